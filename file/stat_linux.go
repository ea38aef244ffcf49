package file

import (
	"errors"
	iofs "io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// statx asks for the fields of mask alone: of an open file, or of the file that path leads
// to if path is not "". The error is that of the system.
//
// Above all it does not ask for time stamps. They may have a fine resolution (Linux 6.13
// and later). Then a file whose time stamp was asked for gets another one with the next
// write, which the file system must store. An fstat before each append doubled what appends
// wrote to the disk.
func statx(fd uintptr, path string, mask int) (unix.Statx_t, error) {
	var s unix.Statx_t
	at, flags := int(fd), unix.AT_EMPTY_PATH //nolint:gosec // descriptors are small
	if path != "" {
		at, flags = unix.AT_FDCWD, 0
	}
	for {
		err := unix.Statx(at, path, flags, mask, &s)
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
			// The kernel is older than 4.11, or a sandbox is older than the call.
			s, err = statOld(fd, path)
		}
		if !errors.Is(err, unix.EINTR) {
			return s, err
		}
	}
}

// statOld does the work of statx with the calls that are older than statx.
func statOld(fd uintptr, path string) (s unix.Statx_t, err error) {
	var old unix.Stat_t
	if path == "" {
		err = unix.Fstat(int(fd), &old) //nolint:gosec // descriptors are small
	} else {
		err = unix.Stat(path, &old)
	}
	dev := uint64(old.Dev) //nolint:unconvert // it has 32 bits on mips
	s.Dev_major, s.Dev_minor, s.Ino = unix.Major(dev), unix.Minor(dev), old.Ino
	s.Nlink = uint32(old.Nlink) //nolint:gosec // no file has that many names
	s.Mask = unix.STATX_BASIC_STATS
	return s, err
}

// linkCount is called before every append. REQUIRES: nobody closes the file meanwhile.
func linkCount(f *os.File) (int, error) {
	s, err := statx(f.Fd(), "", unix.STATX_NLINK)
	runtime.KeepAlive(f)
	switch {
	case err != nil:
		return 0, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	case s.Mask&unix.STATX_NLINK == 0:
		return vfs.UnknownLinks, nil
	}
	return int(s.Nlink), nil
}

// identify returns the device and inode of a file. It may be called while the file is being
// closed.
func identify(f *os.File) (id vfs.FileID, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return vfs.FileID{}, err
	}
	var s unix.Statx_t
	closed := conn.Control(func(fd uintptr) { s, err = statx(fd, "", unix.STATX_INO) })
	if err = errors.Join(closed, err); err != nil {
		return vfs.FileID{}, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	return idOf(&s), nil
}

// sameFile reports whether a path leads to an open file or directory.
func sameFile(f *os.File, name string) (bool, error) {
	now, err := statx(0, name, unix.STATX_INO)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "statx", Path: name, Err: err}
	}
	is, err := identify(f)
	return err == nil && idOf(&now) == is, err
}

func idOf(s *unix.Statx_t) vfs.FileID {
	return vfs.FileID{Device: unix.Mkdev(s.Dev_major, s.Dev_minor), Inode: s.Ino}
}
