package file

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
)

// fileSystem is everything this package does to a disk. Nothing else in the
// package touches the operating system's files, so a test that implements it
// sees, and may fail, every single operation.
//
// Names are paths. Errors match fs.ErrNotExist and fs.ErrExist where they say so.
type fileSystem interface {
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
	// syncDir makes the names in a directory durable.
	syncDir(dir string) error
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
	// tryLock takes the shared or the exclusive lock on the file, or reports
	// errHeld. It belongs to this handle and ends with it. Other errors mean that
	// the file system has no such locks.
	tryLock(exclusive bool) error
	unlock() error
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
func flushDir(fsys fileSystem, dir string) error {
	if err := fsys.syncDir(dir); err != nil {
		return fmt.Errorf("%w %s: %w", errFlush, dir, err)
	}
	return nil
}

// makeDir makes a directory and its missing parents, durably. The parent is
// flushed also if the directory was there: an earlier process may have been
// killed between making and flushing it. What is made is added to made.
func makeDir(fsys fileSystem, dir string, made *tracks) error {
	parent := filepath.Dir(dir)
	err := fsys.mkdir(dir)
	if errors.Is(err, iofs.ErrNotExist) && parent != dir {
		if err := makeDir(fsys, parent, made); err != nil {
			return err
		}
		err = fsys.mkdir(dir)
	}
	if err != nil && !errors.Is(err, iofs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	isNew := err == nil
	if isNew {
		made.add(dir)
	}
	if err := syncParent(fsys, parent); err != nil {
		return err
	}
	if isNew {
		return syncParent(fsys, filepath.Dir(parent))
	}
	return nil
}

// syncParent flushes a directory above the location. One that we may not even
// list cannot be flushed, and is not ours to worry about.
func syncParent(fsys fileSystem, dir string) error {
	if err := flushDir(fsys, dir); err != nil && !errors.Is(err, iofs.ErrPermission) {
		return err
	}
	return nil
}

// isNotExist reports that a file is not there.
func isNotExist(err error) bool { return errors.Is(err, iofs.ErrNotExist) }

// ignoreNotExist is for removing what may be gone already.
func ignoreNotExist(err error) error {
	if isNotExist(err) {
		return nil
	}
	return err
}
