//go:build unix && !aix && !solaris

package file

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// openDirectory opens a directory, to make the names in it durable.
func openDirectory(dir string) (vfs.Dir, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return osDirectory{d}, nil
}

type osDirectory struct{ *os.File }

func (d osDirectory) SyncDir() error                { return d.Sync() }
func (d osDirectory) IsAt(dir string) (bool, error) { return sameFile(d.File, dir) }

func tryLock(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return vfs.ErrHeld
	}
	return err
}

func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
