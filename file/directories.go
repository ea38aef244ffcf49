package file

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"syscall"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// errFlush: names in a directory may not be durable, and flushing it again could
// only pretend that they are.
var errFlush = errors.New("flush directory")

// flushDir makes the names in a directory durable. An error matches errFlush.
//
// A file system that says that it has no such flush is used all the same: there is none
// that could be missed, and nothing else to be done. It is named in the log, once.
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

// cannotFlush reports that an error says that there is no such flush, not that it failed.
// A file system that says that it is read-only had to give up what was not flushed yet.
func cannotFlush(err error) bool {
	for _, no := range []error{syscall.EINVAL, syscall.ENOTTY, errors.ErrUnsupported} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// makeDir makes a directory and its missing parents, durably. The parent is
// flushed also if the directory was there: an earlier process may have been
// killed between making and flushing it. For the same reason the parent's own name
// is flushed before anything is in it. What is made is added to made.
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

// openAbove opens a directory that may be above the location. One that we may not even
// list cannot be flushed, and is not ours to worry about.
func (c *config) openAbove(dir string) (vfs.Dir, error) {
	d, err := c.fsys.OpenDir(dir)
	if errors.Is(err, iofs.ErrPermission) {
		return noDirectory{}, nil
	}
	return d, err
}

// flushAbove flushes a directory that may be above the location, where a read-only file
// system may begin, or one that has no directories on a disk: they need no flush.
func flushAbove(d vfs.Dir, dir string) error {
	//museum:read-only-root
	if err := d.SyncDir(); err != nil && !cannotFlush(err) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, iofs.ErrPermission) {
		return fmt.Errorf("%w %s: %w", errFlush, dir, err)
	}
	return nil
}

// noDirectory stands for one that cannot be opened and need not be.
type noDirectory struct{}

func (noDirectory) SyncDir() error            { return nil }
func (noDirectory) IsAt(string) (bool, error) { return true, nil }
func (noDirectory) Close() error              { return nil }

// isNotExist reports that a file is not there.
func isNotExist(err error) bool { return errors.Is(err, iofs.ErrNotExist) }

// ignoreNotExist is for removing what may be gone already.
func ignoreNotExist(err error) error {
	if isNotExist(err) {
		return nil
	}
	return err
}
