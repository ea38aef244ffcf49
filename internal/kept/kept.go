// Package kept copies bytes that decoded values keep. Only this package uses unsafe for
// speed: without it, a string would be one more copy of bytes that were copied for that
// string.
package kept

import "unsafe"

// String returns the bytes as a string without a copy. Afterwards nobody may change the
// bytes.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// MaxBlock is how many bytes Copies takes at a time, unless a single copy has more. A value
// that stays in use keeps its whole block.
const MaxBlock = 4 << 10

// Copies makes copies of byte slices, many small ones in one allocation. The zero value is
// ready to use, by one goroutine at a time.
type Copies struct {
	free []byte
	next int // size of the next block, unless a copy needs more; 0 at first
}

// Copy returns a copy of src. Its capacity is its length, and it is never nil.
func (c *Copies) Copy(src []byte) []byte {
	n := len(src)
	if n > len(c.free) {
		size := max(n, c.next)
		c.next = min(2*size, MaxBlock)
		c.free = make([]byte, size)
	}
	if n == 0 {
		return []byte{}
	}
	dst := c.free[:n:n]
	copy(dst, src)
	c.free = c.free[n:]
	return dst
}

// Expect says how many bytes will be copied now: no more are allocated for them. It gives
// up the rest of the last block.
func (c *Copies) Expect(bytes int) { *c = Copies{next: min(bytes, MaxBlock)} }
