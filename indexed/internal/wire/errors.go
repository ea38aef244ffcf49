package wire

import (
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/storage"
)

// Unreadable returns the error for stored bytes that cannot be read. A newer format stays
// storage.ErrNewerFormat; everything else is damage.
func Unreadable(where string, err error) error {
	if errors.Is(err, storage.ErrNewerFormat) {
		return fmt.Errorf("tidemark: read %s: %w", where, err)
	}
	return storage.Corruptf(where, -1, "%w", err)
}

// NewerFormat returns the error for intact bytes of a version that this program does not
// know yet.
func NewerFormat(what string, version, known int) error {
	return fmt.Errorf("%w: %s of format version %d, this program knows %d: upgrade it", storage.ErrNewerFormat, what, version, known)
}
