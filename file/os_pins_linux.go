package file

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// lockByte takes or gives up a lock on one byte of a file. It uses locks of open file
// descriptions, which belong to the handle. POSIX locks would not do: a process loses them
// when it closes any handle of the file.
func lockByte(f *os.File, kind int16, at int64) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	lock := unix.Flock_t{Type: kind, Start: at, Len: 1}
	cerr := conn.Control(func(fd uintptr) {
		for {
			if err = unix.FcntlFlock(fd, unix.F_OFD_SETLK, &lock); err != unix.EINTR { //nolint:errorlint // an errno
				return
			}
		}
	})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = vfs.ErrHeld
	}
	if errors.Is(err, unix.EINVAL) { // kernels before 3.15
		err = errors.ErrUnsupported
	}
	return errors.Join(cerr, err)
}

func tryLockByte(f *os.File, at int64, exclusive bool) error {
	if exclusive {
		return lockByte(f, unix.F_WRLCK, at)
	}
	return lockByte(f, unix.F_RDLCK, at)
}

func unlockByte(f *os.File, at int64) error { return lockByte(f, unix.F_UNLCK, at) }
