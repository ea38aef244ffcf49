//go:build !unix || aix || solaris

package file

import (
	"errors"
	"os"
)

// syncDirectory does nothing: these systems cannot flush a directory.
func syncDirectory(string) error { return nil }

// tryLock reports that there are no such locks. The writer then never reuses a
// segment file, so readers need no protection.
func tryLock(*os.File, bool) error { return errors.ErrUnsupported }

func unlock(*os.File) error { return nil }
