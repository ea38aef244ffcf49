package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// NewBlob opens the blobs of the location dir for writing, creates what is missing, and
// keeps the blobs locked until Close. It removes the remains of interrupted sets.
//
// The blobs have the directory dir/blob to themselves, and a Log has dir/log. So both may
// be given the same dir.
//
// Errors: storage.LockedError if another handle has the blobs open, in this process or
// another; those of the file system.
func NewBlob(dir string, opts ...Option) (*Blob, error) {
	ctx := context.Background()
	b, err := openBlob(ctx, dir, opts, new(opening))
	if err != nil {
		return nil, err
	}
	if err := b.opening.settle(ctx); err != nil {
		return nil, fmt.Errorf("file: open blobs %s: %w", dir, errors.Join(err, b.Close()))
	}
	return b, nil
}

// openBlob opens the blobs of a location without changing them: see opening.
func openBlob(ctx context.Context, dir string, opts []Option, o *opening) (*Blob, error) {
	cfg, dir, err := locate(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("file: open blobs %s: %w", dir, err)
	}
	base := filepath.Join(dir, blobDir)
	b := &Blob{config: cfg, base: base, opening: o, reads: newOperations(), blobFiles: blobFiles{cfg.fsys, filepath.Join(base, blobData)}}
	if b.held, err = o.lockIn(ctx, cfg, base, dir); err != nil {
		return nil, fmt.Errorf("file: open blobs %s: %w", dir, err)
	}
	if err := b.inspectPins(); err != nil {
		return nil, fmt.Errorf("file: open blobs %s: %w", dir, errors.Join(err, o.takeBack(cfg, b.held)))
	}
	// opening.settle begins at the end of parts. So pins come last: they are not taken back.
	o.parts = append(slices.Insert(o.parts, 0, b.settlePins), b.settle)
	return b, nil
}

// settle makes the directories, makes the names of blobs durable, and removes leftovers:
// see opening.
func (b *Blob) settle(ctx context.Context) error {
	temp := filepath.Join(b.base, blobTemp)
	for _, dir := range []string{b.dir, temp} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.makeDir(dir, &b.opening.made); err != nil {
			return err
		}
	}
	// If an earlier process was killed, the names of its newest blobs may not be durable yet.
	// What is seen from here on must stay, so flush them.
	var err error
	if b.names, err = b.config.fsys.OpenDir(b.dir); err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := b.flushDir(b.names, b.dir); err != nil {
		return err
	}
	var surplus []string // directories of blobs with long keys that are gone
	err = b.walk("", func(path string, dir bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !dir {
			return nil
		}
		path = filepath.Join(b.dir, path)
		d, err := b.config.fsys.OpenDir(path)
		if err != nil {
			return fmt.Errorf("open directory: %w", err)
		}
		if err := errors.Join(b.flushDir(d, path), d.Close()); err != nil {
			return err
		}
		names, err := b.config.fsys.List(path)
		if empty := !slices.ContainsFunc(names, func(n string) bool {
			return !slices.Contains(surplus, filepath.Join(path, n))
		}); err == nil && empty {
			surplus = append(surplus, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // from here on something changes
	}
	names, err := b.config.fsys.List(temp)
	if err != nil {
		return fmt.Errorf("list %s: %w", temp, err)
	}
	for _, n := range names {
		if err := b.config.fsys.Remove(filepath.Join(temp, n)); err != nil {
			return fmt.Errorf("remove unfinished blob: %w", err)
		}
	}
	for _, dir := range surplus {
		if err := b.config.fsys.Remove(dir); err != nil {
			return err
		}
	}
	return nil
}
