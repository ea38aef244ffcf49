//go:build !unix || aix || solaris

package file

import (
	"errors"
	"os"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// openDirectory opens nothing: these systems cannot flush a directory.
func openDirectory(dir string) (vfs.Dir, error) {
	_, err := os.Stat(dir)
	return noDirectory{}, err
}

// linkCount knows nothing: hard links and removed files are not noticed on these systems.
func linkCount(*os.File) (int, error) { return vfs.UnknownLinks, nil }

// tryLock reports that there are no such locks. The writer then never reuses a segment
// file, so readers need no protection.
func tryLock(*os.File, bool) error { return errors.ErrUnsupported }

func unlock(*os.File) error { return nil }
