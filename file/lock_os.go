package file

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/gofrs/flock"

	"github.com/tidemark-go/tidemark/storage"
)

// lockedDir is the directory that a writer has locked, once it has. The lock is on
// two files: on LOCK, which is there for people to see, and on the directory itself,
// which stays locked if somebody removes or replaces LOCK.
type lockedDir struct {
	dir atomic.Pointer[lockedInfo]
}

type lockedInfo struct {
	name string
	info os.FileInfo
}

// check fails if the directory is no longer where it was when it was locked. Names
// then lead to the files of somebody else, who may have locked what is there now.
// It narrows the time in which that can go unnoticed to that of one operation, which
// then had no effect.
func (l *lockedDir) check() error {
	if l == nil {
		return nil
	}
	locked := l.dir.Load()
	if locked == nil {
		return nil
	}
	info, err := os.Stat(locked.name)
	switch {
	case err == nil && os.SameFile(info, locked.info):
		return nil
	case err == nil || errors.Is(err, iofs.ErrNotExist):
		return storage.NoEffect(fmt.Errorf("directory %s was moved or replaced since it was locked: open it where it is now: %w", locked.name, errors.Join(err, storage.ErrConflict)))
	default: // which says nothing about who is there
		return storage.NoEffect(fmt.Errorf("look whether directory %s is still the one that was locked: %w", locked.name, err))
	}
}

// lock locks the directory first: if that fails no file was made.
func (fs osFileSystem) lock(name string) (func() error, error) {
	release, err := fs.lockDir(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	l := flock.New(name, flock.SetPermissions(filePerm))
	ok, err := l.TryLock()
	if err == nil && !ok {
		err = errHeld
	}
	if err == nil && errors.Is(fs.locked.check(), storage.ErrConflict) {
		err = errors.Join(errReplaced, l.Unlock())
	}
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return func() error { return errors.Join(l.Unlock(), release()) }, nil
}

// lockDir locks a directory where that is possible. Elsewhere, on a network file
// system above all, the lock on LOCK has to do.
func (fs osFileSystem) lockDir(dir string) (release func() error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	info, err := d.Stat()
	if err == nil {
		if err = tryLock(d, true); err != nil && !errors.Is(err, errHeld) {
			err = nil
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if fs.locked != nil {
		fs.locked.dir.Store(&lockedInfo{dir, info})
	}
	return func() error {
		if fs.locked != nil {
			fs.locked.dir.Store(nil)
		}
		return d.Close()
	}, nil
}
