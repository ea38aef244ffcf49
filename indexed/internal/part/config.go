package part

import "math"

// Config says how large parts are, and how much memory reads of parts may hold.
type Config struct {
	// PartBytes is the size of encoded updates at which a part ends.
	PartBytes int
	// CacheBytes bounds the decoded parts in the cache; < 0: no limit.
	CacheBytes int64
	// LeastGroup is the least size of a row group; 0: minGroupBytes.
	LeastGroup int
}

// groupBytes is the size of encoded updates at which a row group of a part ends. A group
// with a key or value of more than a 32nd of that is larger: see groupEnds. A reader of
// many parts at once holds one group of each, so groups are small. Still smaller groups
// would not be worth a page for each column, a read, and 5 KiB of the footer.
func (c Config) groupBytes() int {
	least := c.LeastGroup
	if least == 0 {
		least = minGroupBytes
	}
	return max(least, min(maxGroupBytes, c.PartBytes/8))
}

// pageBytes is the size of encoded updates at which a page ends.
func (c Config) pageBytes() int { return max(1, min(maxPageBytes, c.groupBytes()/4)) }

const maxPageBytes = 32 << 10

const (
	maxGroupBytes = 512 << 10
	minGroupBytes = 64 << 10
)

// HeldBytes is how many bytes of updates a read of several batches holds at most, of all
// batches together: 256 row groups. A stream whose merges keep up has fewer batches.
func (c Config) HeldBytes() int { return int(min(math.MaxInt, 32*int64(c.PartBytes))) }
