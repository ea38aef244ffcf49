package file

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// Only the owner may see a location: it holds the user's data.
const (
	filePerm = 0o600
	dirPerm  = 0o700
)

// osFileSystem is the file system of the operating system. Operations that change names fail
// once the directory that was locked is not where it was.
type osFileSystem struct {
	locked *lockedDir // nil if nothing is ever locked
}

func (osFileSystem) Absolute(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("a relative path needs a working directory: %w", err)
	}
	rest := "" // the end of the path, which does not exist yet
	for there := dir; ; there = filepath.Dir(there) {
		real, err := filepath.EvalSymlinks(there)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, iofs.ErrNotExist) || there == filepath.Dir(there) {
			return dir, nil // the first use of the path reports what is wrong with it
		}
		rest = filepath.Join(filepath.Base(there), rest)
	}
}

func (osFileSystem) Open(name string) (vfs.File, error) {
	return openOS(name, os.O_RDONLY)
}

func (osFileSystem) OpenWrite(name string) (vfs.File, error) {
	return openOS(name, os.O_RDWR)
}

func (fs osFileSystem) Create(name string) (vfs.File, error) {
	if err := fs.locked.check(); err != nil {
		return nil, err
	}
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func openOS(name string, flag int) (vfs.File, error) {
	f, err := os.OpenFile(name, flag, filePerm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (fs osFileSystem) Rename(from, to string) error {
	if err := fs.locked.check(); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (fs osFileSystem) Remove(name string) error {
	if err := fs.locked.check(); err != nil {
		return err
	}
	return os.Remove(name)
}

func (fs osFileSystem) Mkdir(name string) error {
	if err := fs.locked.check(); err != nil {
		return err
	}
	return os.Mkdir(name, dirPerm)
}

func (osFileSystem) OpenDir(dir string) (vfs.Dir, error) { return openDirectory(dir) }

func (osFileSystem) List(dir string) (names []string, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := d.Close(); err == nil {
			err = cerr
		}
	}()
	return d.Readdirnames(-1)
}

func (osFileSystem) Stat(name string) (int64, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// osFile adds to os.File the operations that differ between platforms.
type osFile struct{ *os.File }

func (f osFile) Datasync() error              { return datasync(f.File) }
func (f osFile) TryLock(exclusive bool) error { return tryLock(f.File, exclusive) }
func (f osFile) Unlock() error                { return unlock(f.File) }

func (f osFile) ReadCached(p []byte, off int64) (int, error) { return readCached(f.File, p, off) }

func (f osFile) TryLockByte(at int64, exclusive bool) error {
	return tryLockByte(f.File, at, exclusive)
}
func (f osFile) UnlockByte(at int64) error { return unlockByte(f.File, at) }
func (f osFile) ID() (vfs.FileID, error)   { return identify(f.File) }

func (f osFile) Links() (int, error)            { return linkCount(f.File) }
func (f osFile) IsAt(name string) (bool, error) { return sameFile(f.File, name) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
