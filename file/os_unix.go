//go:build unix && !aix && !solaris

package file

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openDirectory opens a directory, to make the names in it durable.
func openDirectory(dir string) (directory, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return osDirectory{d}, nil
}

type osDirectory struct{ *os.File }

func (d osDirectory) syncDir() error                { return d.Sync() }
func (d osDirectory) isAt(dir string) (bool, error) { return sameFile(d.File, dir) }

// linkCount is called before every append, so it makes no garbage.
func linkCount(f *os.File) (int, error) {
	var s unix.Stat_t
	for {
		err := unix.Fstat(int(f.Fd()), &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
		}
		return int(s.Nlink), nil // its type differs between systems
	}
}

func tryLock(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errHeld
	}
	return err
}

func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
