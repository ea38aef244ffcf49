package part

import "math"

// Config says how large parts are, and what reads of them may hold.
type Config struct {
	// PartBytes is the size of encoded updates at which a part ends.
	PartBytes int
	// CacheBytes bounds the decoded parts in the cache; < 0: no limit.
	CacheBytes int64
	// LeastGroup is the least size of a row group; 0: minGroupBytes.
	LeastGroup int
}

// groupBytes is the size of encoded updates at which a row group of a part ends, unless
// it has keys or values of more than a 32nd of that. A reader of many parts side by side
// holds one group of each. Smaller groups would not be worth a page for each column, a
// read, and their 5 KiB of the footer.
func (c Config) groupBytes() int {
	least := c.LeastGroup
	if least == 0 {
		least = minGroupBytes
	}
	return max(least, min(maxGroupBytes, c.PartBytes/8))
}

const (
	maxGroupBytes = 512 << 10
	minGroupBytes = 64 << 10
)

// HeldBytes is what a read of several batches holds of them at most, all together: 256
// row groups. A stream whose merges keep up has fewer batches.
func (c Config) HeldBytes() int { return int(min(math.MaxInt, 32*int64(c.PartBytes))) }
