package file

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/gofrs/flock"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// lockedDir is the directory that a writer has locked; it is empty before that. The lock is
// on two files: on LOCK, which people can see, and on the directory itself. The directory
// stays locked if somebody removes or replaces LOCK.
type lockedDir struct {
	dir   atomic.Pointer[lockedInfo]
	alone atomic.Bool // the lock on the directory itself could be taken
}

type lockedInfo struct {
	name string
	info os.FileInfo
}

// check fails if the directory is no longer where it was when it was locked. Then its names
// lead to the files of another location, which may have a writer of its own. The error says
// that the operation had no effect. A move of the directory can go unnoticed only between
// check and the operation after it.
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
	default: // the error does not say which directory is there
		return storage.NoEffect(fmt.Errorf("look whether directory %s is still the one that was locked: %w", locked.name, err))
	}
}

// Lock locks the directory first: if that fails, no file was made.
func (fs osFileSystem) Lock(name string) (func() error, error) {
	//museum:second-writer
	release, err := fs.lockDir(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	if err := fs.ownLock(name); err != nil {
		return nil, errors.Join(err, release())
	}
	l := flock.New(name, flock.SetPermissions(filePerm))
	//museum:second-writer/2
	ok, err := l.TryLock()
	if err == nil && !ok {
		err = vfs.ErrHeld
	}
	if err == nil && errors.Is(fs.locked.check(), storage.ErrConflict) {
		err = errors.Join(vfs.ErrReplaced, l.Unlock())
	}
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return func() error { return errors.Join(l.Unlock(), release()) }, nil
}

// ownLock gives a location a LOCK file of its own, if another location shares the present
// one by a hard link. Otherwise the other location would lock this one. The lock of the
// directory keeps others away meanwhile. Without that lock the file stays as it is.
func (fs osFileSystem) ownLock(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := linkCount(f)
	var contents []byte
	if err == nil && n > 1 {
		contents, err = io.ReadAll(f)
	}
	if err = errors.Join(err, f.Close()); err != nil || n <= 1 || fs.locked == nil || !fs.locked.alone.Load() {
		return err
	}
	temp := filepath.Join(filepath.Dir(name), tempPrefix+lockName)
	if err := os.WriteFile(temp, contents, filePerm); err != nil {
		return err
	}
	return os.Rename(temp, name)
}

// lockDir locks a directory if that is possible. If not, on a network file system above
// all, the lock on LOCK must suffice.
func (fs osFileSystem) lockDir(dir string) (release func() error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	info, err := d.Stat()
	alone := false
	if err == nil {
		//museum:lock-file-removed
		if err = tryLock(d, true); err != nil && !errors.Is(err, vfs.ErrHeld) {
			err = nil
		} else {
			alone = err == nil
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if fs.locked != nil {
		fs.locked.dir.Store(&lockedInfo{dir, info})
		fs.locked.alone.Store(alone)
	}
	return func() error {
		if fs.locked != nil {
			fs.locked.dir.Store(nil)
		}
		return d.Close()
	}, nil
}
