package wire

import (
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/storage"
)

// Unreadable says that stored bytes cannot be read: a newer format as it is, and
// whatever else is wrong with them as damage.
func Unreadable(where string, err error) error {
	if errors.Is(err, storage.ErrNewerFormat) {
		return fmt.Errorf("tidemark: read %s: %w", where, err)
	}
	return storage.Corruptf(where, -1, "%w", err)
}

// NewerFormat is the error for whole bytes of a version that this program does not
// know yet.
func NewerFormat(what string, version, known int) error {
	return fmt.Errorf("%w: %s of format version %d, this program knows %d: upgrade it", storage.ErrNewerFormat, what, version, known)
}
