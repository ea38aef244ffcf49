package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync flushes contents without waiting for the time stamps. On a preallocated file
// that saves a write to the journal of the file system.
func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == unix.EINTR {
			continue // no failure was reported, so nothing was lost: this is not a retry of a failed flush
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}
