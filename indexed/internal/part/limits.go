package part

import (
	"fmt"
	"math"
	"strconv"

	"github.com/tidemark-go/tidemark/storage"
)

// These limits bound what is in one piece of memory. In a 64-bit program only the ends of
// keys and values are narrower than an int: they are u32. In a 32-bit program (Narrow is 1)
// the address space is small: sums of sizes must not wrap, and a piece must leave room for
// the two or three copies of it that exist on its way to the log or from a file.
const (
	Narrow = (64 - strconv.IntSize) / 32

	// maxColumnBytes bounds all keys, and all values, of Columns: 2 GiB, or 256 MiB.
	//museum:sizes-that-wrap/2
	maxColumnBytes = math.MaxInt32 >> (3 * Narrow)

	// MaxUpdateBytes bounds Columns as a whole, and all updates of a command: nothing to
	// speak of, or 256 MiB, which is as much as an append to a file.Log.
	MaxUpdateBytes = math.MaxInt >> (3 * Narrow)

	// MaxBytes bounds Config.PartBytes: 1 GiB, which leaves room below the limit of a
	// column for the row that completes a part, or 32 MiB, of which Config.HeldBytes can
	// be counted.
	MaxBytes = 1 << (30 - 5*Narrow)

	// maxReadBytes bounds what is decoded in one piece: every part, or those that were
	// written within the limits above.
	maxReadBytes = MaxUpdateBytes + Narrow*MaxBytes
)

// checkReadable refuses a part that this program cannot hold. A 64-bit program may have
// written it, and the file is not damaged.
func checkReadable(key string, bytes int) error {
	if bytes <= maxReadBytes {
		return nil
	}
	return fmt.Errorf("tidemark: read blob %s: %w: %d bytes of updates in one piece, the limit of a %d-bit program is %d: read it with a 64-bit program", key, storage.ErrTooLarge, bytes, strconv.IntSize, maxReadBytes)
}

// AsInt returns a stored number as an int, or the greatest int if it is larger.
func AsInt(n uint64) int { return int(min(n, math.MaxInt)) }
