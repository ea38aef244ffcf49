//go:build !linux

package file

import (
	"errors"
	"os"
)

// These systems have no locks on bytes that belong to a handle, or the library does not know
// them. Readers pin blobs by keeping their files open.

func tryLockByte(*os.File, int64, bool) error { return errors.ErrUnsupported }

func unlockByte(*os.File, int64) error { return errors.ErrUnsupported }
