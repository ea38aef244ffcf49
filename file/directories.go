package file

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"syscall"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// errFlush: names in a directory may not be durable. Another flush of the directory might
// succeed without making them durable.
var errFlush = errors.New("flush directory")

// flushDir makes the names in a directory durable. An error matches errFlush.
//
// If the file system says that it has no such flush, flushDir succeeds. No flush is missed
// then, and nothing else can be done. The log names the file system once.
func (c *config) flushDir(d vfs.Dir, dir string) error {
	err := d.SyncDir()
	if cannotFlush(err) {
		c.noFlush.Do(func() {
			c.logger.Warn("the file system cannot flush directories: after a power cut, names of files may be missing", "directory", dir, "error", err)
		})
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w %s: %w", errFlush, dir, err)
	}
	return nil
}

// cannotFlush reports that an error means that there is no such flush, not that the flush
// failed. A file system that says that it is read-only does not count: it had to give up
// what was not flushed yet.
func cannotFlush(err error) bool {
	for _, no := range []error{syscall.EINVAL, syscall.ENOTTY, errors.ErrUnsupported} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// makeDir makes a directory and its missing parents, durably. What it makes is added to
// made.
//
// It flushes the parent even if the directory was there. An earlier process may have made
// the directory, and been killed before it flushed the parent. For the same reason it
// flushes the parent's own name before anything is in the parent.
//
// An error that does not match errFlush has left nothing behind that is not flushed.
func (c *config) makeDir(dir string, made *tracks) (err error) {
	parent := filepath.Dir(dir)
	above, err := c.openAbove(parent)
	if isNotExist(err) && parent != dir {
		if err := c.makeDir(parent, made); err != nil {
			return err
		}
		above, err = c.openAbove(parent)
	}
	if err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, above.Close()) }()
	beyond, err := c.openAbove(filepath.Dir(parent))
	if err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, beyond.Close()) }()

	err = c.fsys.Mkdir(dir)
	isNew := err == nil
	if isNew {
		made.add(dir)
	} else if !errors.Is(err, iofs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	//museum:made-and-not-flushed
	if err := flushAbove(above, parent); err != nil || !isNew {
		return err
	}
	return flushAbove(beyond, filepath.Dir(parent))
}

// openAbove opens a directory that may be above the location. A directory that this process
// may not even list cannot be flushed, and need not be. In its place openAbove returns a
// noDirectory.
func (c *config) openAbove(dir string) (vfs.Dir, error) {
	d, err := c.fsys.OpenDir(dir)
	if errors.Is(err, iofs.ErrPermission) {
		return noDirectory{}, nil
	}
	return d, err
}

// flushAbove flushes a directory that may be above the location. Such a directory may be on
// a read-only file system, or on one that has no directories on a disk. These need no
// flush.
func flushAbove(d vfs.Dir, dir string) error {
	//museum:read-only-root
	if err := d.SyncDir(); err != nil && !cannotFlush(err) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, iofs.ErrPermission) {
		return fmt.Errorf("%w %s: %w", errFlush, dir, err)
	}
	return nil
}

// noDirectory stands for a directory that cannot be opened and need not be flushed.
type noDirectory struct{}

func (noDirectory) SyncDir() error            { return nil }
func (noDirectory) IsAt(string) (bool, error) { return true, nil }
func (noDirectory) Close() error              { return nil }

// isNotExist reports that a file is not there.
func isNotExist(err error) bool { return errors.Is(err, iofs.ErrNotExist) }

// ignoreNotExist returns nil for an error of removing something that is gone already, and
// any other error as it is.
func ignoreNotExist(err error) error {
	if isNotExist(err) {
		return nil
	}
	return err
}
