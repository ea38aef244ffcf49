package file

import (
	"errors"
	iofs "io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// statx asks for what mask names alone, of the open file f, or of what a path leads to if f
// is nil. Above all it does not ask for time stamps: where they have a fine resolution
// (Linux 6.13 and later), the file system must give a file that was asked for them another
// one with the next write, and store it. An fstat before each append doubled what appends
// wrote to the disk.
func statx(f *os.File, path string, mask int) (unix.Statx_t, error) {
	var s unix.Statx_t
	at, flags, name := unix.AT_FDCWD, 0, path
	if f != nil {
		at, flags, name = int(f.Fd()), unix.AT_EMPTY_PATH, f.Name()
	}
	for {
		err := unix.Statx(at, path, flags, mask, &s)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			// A kernel before 4.11, or a sandbox that is older than the call.
			return statOld(f, path)
		default:
			return s, &os.PathError{Op: "statx", Path: name, Err: err}
		}
	}
}

// statOld does with what there was before statx.
func statOld(f *os.File, path string) (s unix.Statx_t, err error) {
	var old unix.Stat_t
	op, name := "stat", path
	if f != nil {
		op, name = "fstat", f.Name()
		err = unix.Fstat(int(f.Fd()), &old)
	} else {
		err = unix.Stat(path, &old)
	}
	if err != nil {
		return s, &os.PathError{Op: op, Path: name, Err: err}
	}
	dev := uint64(old.Dev) //nolint:unconvert // it has 32 bits on mips
	s.Dev_major, s.Dev_minor, s.Ino = unix.Major(dev), unix.Minor(dev), old.Ino
	s.Nlink = uint32(old.Nlink) //nolint:gosec // no file has that many names
	s.Mask = unix.STATX_BASIC_STATS
	return s, nil
}

// linkCount is called before every append.
func linkCount(f *os.File) (int, error) {
	s, err := statx(f, "", unix.STATX_NLINK)
	if err == nil && s.Mask&unix.STATX_NLINK == 0 {
		return unknownLinks, nil
	}
	return int(s.Nlink), err
}

func identify(f *os.File) (fileID, error) {
	s, err := statx(f, "", unix.STATX_INO)
	return idOf(&s), err
}

// sameFile reports whether a path leads to an open file or directory.
func sameFile(f *os.File, name string) (bool, error) {
	now, err := statx(nil, name, unix.STATX_INO)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	is, err := identify(f)
	return err == nil && idOf(&now) == is, err
}

func idOf(s *unix.Statx_t) fileID {
	return fileID{device: unix.Mkdev(s.Dev_major, s.Dev_minor), inode: s.Ino}
}
