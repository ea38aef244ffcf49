// Package kept is about bytes that decoded values keep. It is the one place of the project
// that uses unsafe for speed: a string would be copied once more out of bytes that were
// copied for it.
package kept

import "unsafe"

// String returns the bytes as a string without a copy. The caller hands them over:
// nobody may change them afterwards.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// MaxBlock is how many bytes Copies takes at a time at most, unless a single copy has
// more. One value that stays in use keeps so much.
const MaxBlock = 4 << 10

// Copies makes copies of byte slices, many small ones to an allocation. The zero value is
// ready to use, by one goroutine at a time.
type Copies struct {
	free []byte
	next int // size of the next block, unless a copy needs more; 0 at first
}

// Copy returns a copy of src, whose capacity is its length. It is not nil.
func (c *Copies) Copy(src []byte) []byte { return c.Concat(src, nil) }

// Concat returns a copy of a and then b, as Copy does.
func (c *Copies) Concat(a, b []byte) []byte {
	n := len(a) + len(b)
	if n > len(c.free) {
		size := max(n, c.next)
		c.next = min(2*size, MaxBlock)
		c.free = make([]byte, size)
	}
	if n == 0 {
		return []byte{}
	}
	dst := c.free[:n:n]
	copy(dst[copy(dst, a):], b)
	c.free = c.free[n:]
	return dst
}

// Expect says how many bytes are to be copied now: no more are taken for them. What is
// left of the last block is let go of.
func (c *Copies) Expect(bytes int) { *c = Copies{next: min(bytes, MaxBlock)} }
