//go:build unix && !linux && !aix && !solaris

package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// linkCount is called before every append.
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
