package file

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// readCached reads what the page cache has, and never waits for the disk. It returns how many
// bytes it has read, from the first on.
func readCached(f *os.File, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Preadv2(int(f.Fd()), [][]byte{p}, off, unix.RWF_NOWAIT)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		}
		// The kernel or the file system cannot: ENOSYS, EOPNOTSUPP, EINVAL. A read in the
		// ordinary way tells every other error again.
		return 0, errors.ErrUnsupported
	}
}
