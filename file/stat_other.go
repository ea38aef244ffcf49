//go:build !linux

package file

import (
	"errors"
	iofs "io/fs"
	"os"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// identify does nothing here: it serves the pins of blobs, which need Linux.
func identify(*os.File) (vfs.FileID, error) { return vfs.FileID{}, errors.ErrUnsupported }

// sameFile reports whether a path leads to an open file or directory.
func sameFile(f *os.File, name string) (bool, error) {
	now, err := os.Stat(name)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	is, err := f.Stat()
	return err == nil && os.SameFile(now, is), err
}
