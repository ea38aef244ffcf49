package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync flushes contents without waiting for the time stamps: on a
// preallocated file that spares a write to the file system's journal.
func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == unix.EINTR {
			continue // nothing was reported, so nothing was lost: this is not a retry after a failure
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}
