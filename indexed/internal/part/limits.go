package part

import (
	"fmt"
	"math"
	"strconv"

	"github.com/tidemark-go/tidemark/storage"
)

// What is in one piece of memory is limited. Where an int has 64 bits only the ends of
// keys and values are narrower, which are u32. Where it has 32 bits (Narrow is 1), so has
// the address space: sums of sizes must not wrap, and a piece must leave room for the two
// or three copies of it that there are on its way to the log or from a file.
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

// checkReadable refuses what this process cannot hold: a program whose int has 64 bits may
// have written it. Such a file is whole.
func checkReadable(key string, bytes int) error {
	if bytes <= maxReadBytes {
		return nil
	}
	return fmt.Errorf("tidemark: read blob %s: %w: %d bytes of updates in one piece, the limit of a %d-bit program is %d: read it with a 64-bit program", key, storage.ErrTooLarge, bytes, strconv.IntSize, maxReadBytes)
}

// AsInt returns a number that was stored as an int, or the greatest one.
func AsInt(n uint64) int { return int(min(n, math.MaxInt)) }
