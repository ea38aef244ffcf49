package file

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"syscall"
)

// fileSystem is everything this package does to a disk. Nothing else in the
// package touches the operating system's files, so a test that implements it
// sees, and may fail, every single operation.
//
// Names are paths. Errors match fs.ErrNotExist and fs.ErrExist where they say so.
type fileSystem interface {
	// absolute returns the path of a directory that means the same whatever becomes of
	// the working directory, or of a symbolic link on the way. The directory need not exist.
	absolute(dir string) (string, error)
	// open opens a file for reading. fs.ErrNotExist.
	open(name string) (handle, error)
	// openWrite opens an existing file for reading and writing. fs.ErrNotExist.
	openWrite(name string) (handle, error)
	// create makes a new file and opens it for reading and writing. fs.ErrExist.
	create(name string) (handle, error)
	// rename gives a file another name, atomically, replacing what has that name.
	rename(from, to string) error
	// remove removes a file, or an empty directory. fs.ErrNotExist.
	remove(name string) error
	// mkdir makes a directory in an existing one. fs.ErrExist, fs.ErrNotExist.
	mkdir(name string) error
	// list returns the names in a directory, in any order. fs.ErrNotExist.
	list(dir string) ([]string, error)
	// stat returns the size of a file in bytes. fs.ErrNotExist.
	stat(name string) (int64, error)
	// openDir opens a directory, to make the names in it durable. fs.ErrNotExist.
	openDir(dir string) (directory, error)
	// lock takes the exclusive lock on a file, which it creates if needed, and on the
	// directory that it is in, or fails with errHeld, or with errReplaced if another
	// directory has got that name meanwhile. The lock ends with unlock or with the
	// process.
	lock(name string) (unlock func() error, err error)
}

// handle is an open file.
type handle interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// sync makes contents and size durable.
	sync() error
	// datasync makes contents durable. It need not do so for the time stamps,
	// which makes it cheap for a file that does not grow.
	datasync() error
	truncate(size int64) error
	size() (int64, error)
	// links returns how many names the file has, 0 if it was removed, or unknownLinks.
	links() (int, error)
	// isAt reports whether a path leads to the file now. Where that cannot be told, it does.
	isAt(name string) (bool, error)
	// tryLock takes the shared or the exclusive lock on the file, or reports
	// errHeld. It belongs to this handle and ends with it. Other errors mean that
	// the file system has no such locks.
	tryLock(exclusive bool) error
	unlock() error
	// tryLockByte takes the shared or the exclusive lock on the byte at an offset, which
	// need not be there, instead of the one that the handle has, or reports errHeld. It
	// belongs to this handle and ends with it. errors.ErrUnsupported.
	tryLockByte(at int64, exclusive bool) error
	unlockByte(at int64) error
	// id tells the file apart from others that are there. errors.ErrUnsupported.
	id() (fileID, error)
	Close() error
}

// directory is an open directory. It is opened before the names in it change: when
// there is no descriptor left, nothing has happened yet.
type directory interface {
	// syncDir makes the names in the directory durable.
	syncDir() error
	// isAt reports whether a path leads to the directory now. Where that cannot be
	// told, it does.
	isAt(dir string) (bool, error)
	Close() error
}

// errHeld: somebody else holds the lock.
var errHeld = errors.New("file: lock is held")

// errReplaced: what was locked is not what has the name now.
var errReplaced = errors.New("file: the directory was replaced while it was locked")

// errFlush: names in a directory may not be durable, and flushing it again could
// only pretend that they are.
var errFlush = errors.New("flush directory")

// flushDir makes the names in a directory durable. An error matches errFlush.
//
// A file system that says that it has no such flush is used all the same: there is none
// that could be missed, and nothing else to be done. It is named in the log, once.
func (c *config) flushDir(d directory, dir string) error {
	err := d.syncDir()
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

	err = c.fsys.mkdir(dir)
	isNew := err == nil
	if isNew {
		made.add(dir)
	} else if !errors.Is(err, iofs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := flushAbove(above, parent); err != nil || !isNew {
		return err
	}
	return flushAbove(beyond, filepath.Dir(parent))
}

// openAbove opens a directory that may be above the location. One that we may not even
// list cannot be flushed, and is not ours to worry about.
func (c *config) openAbove(dir string) (directory, error) {
	d, err := c.fsys.openDir(dir)
	if errors.Is(err, iofs.ErrPermission) {
		return noDirectory{}, nil
	}
	return d, err
}

// flushAbove flushes a directory that may be above the location, where a read-only file
// system may begin, or one that has no directories on a disk: they need no flush.
func flushAbove(d directory, dir string) error {
	if err := d.syncDir(); err != nil && !cannotFlush(err) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, iofs.ErrPermission) {
		return fmt.Errorf("%w %s: %w", errFlush, dir, err)
	}
	return nil
}

// noDirectory stands for one that cannot be opened and need not be.
type noDirectory struct{}

func (noDirectory) syncDir() error            { return nil }
func (noDirectory) isAt(string) (bool, error) { return true, nil }
func (noDirectory) Close() error              { return nil }

// unknownLinks: the system does not tell how many names a file has.
const unknownLinks = -1

// isNotExist reports that a file is not there.
func isNotExist(err error) bool { return errors.Is(err, iofs.ErrNotExist) }

// ignoreNotExist is for removing what may be gone already.
func ignoreNotExist(err error) error {
	if isNotExist(err) {
		return nil
	}
	return err
}
