package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/internal/kept"
)

// Columns is an immutable run of encoded updates in columnar form. It lies in one buffer.
// The log stores that buffer, the tail keeps it and the cache holds it, so an update is
// copied once on its way in.
//
//	times   n x u64   little endian
//	diffs   n x i64
//	keyEnds n x u32   end of each key in keys; its start is the end of the one before
//	valEnds n x u32
//	keys, vals
//
// The zero value holds no updates.
type Columns struct {
	buf              []byte
	n                int
	keyBytes         int
	minTime, maxTime uint64 // meaningful when n > 0
}

// RowOverhead is how many bytes of Columns a row takes beside its key and its value.
const RowOverhead = 8 + 8 + 4 + 4

// Len returns the number of updates.
func (c *Columns) Len() int { return c.n }

// Size returns the bytes that the updates take, in memory and in the log.
func (c *Columns) Size() int { return len(c.buf) }

// DataBytes returns the bytes of keys and vals, plus 16 for each time and diff.
func (c *Columns) DataBytes() int { return len(c.buf) - 8*c.n }

// KeyBytes returns the bytes of all encoded keys.
func (c *Columns) KeyBytes() int { return c.keyBytes }

// ValBytes returns the bytes of all encoded values.
func (c *Columns) ValBytes() int { return len(c.buf) - RowOverhead*c.n - c.keyBytes }

// TimeRange returns the least and the greatest time, or zeros if there are no updates.
func (c *Columns) TimeRange() (lo, hi uint64) { return c.minTime, c.maxTime }

// Time returns the time of update i.
func (c *Columns) Time(i int) uint64 { return binary.LittleEndian.Uint64(c.buf[8*i:]) }

// Diff returns the diff of update i.
func (c *Columns) Diff(i int) int64 {
	return int64(binary.LittleEndian.Uint64(c.buf[8*(c.n+i):]))
}

func (c *Columns) end(base, i int) int {
	if i < 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(c.buf[base+4*i:]))
}

// Key returns the encoded key of update i. The caller must not change it.
func (c *Columns) Key(i int) []byte {
	keys := c.buf[RowOverhead*c.n : RowOverhead*c.n+c.keyBytes]
	from, to := c.end(16*c.n, i-1), c.end(16*c.n, i)
	return keys[from:to:to]
}

// Val returns the encoded value of update i. The caller must not change it.
func (c *Columns) Val(i int) []byte {
	vals := c.buf[RowOverhead*c.n+c.keyBytes:]
	from, to := c.end(20*c.n, i-1), c.end(20*c.n, i)
	return vals[from:to:to]
}

// KeyAt returns the key of the first update with this time, or nil.
func (c *Columns) KeyAt(time uint64) []byte {
	for i := range c.n {
		if c.Time(i) == time {
			return c.Key(i)
		}
	}
	return nil
}

// Largest returns the index and the size of the update with the largest key and value
// together, or -1, -1 if there are no updates.
func (c *Columns) Largest() (i, size int) {
	i, size = -1, -1
	for k := range c.n {
		if n := len(c.Key(k)) + len(c.Val(k)); n > size {
			i, size = k, n
		}
	}
	return i, size
}

// Apart returns the same updates. If they take at most kept.MaxBlock bytes, they are copied
// into a block of memory that is no larger. So keeping a part of them keeps no more than
// that block.
func (c Columns) Apart(copies *kept.Copies) Columns {
	if len(c.buf) <= kept.MaxBlock {
		c.buf = copies.Copy(c.buf)
	}
	return c
}

// Concat returns the updates of several runs in their order.
func Concat(runs []Columns) Columns {
	n, keyBytes, size := 0, 0, 0
	for i := range runs {
		c := &runs[i]
		n += c.n
		keyBytes += c.keyBytes
		size += len(c.buf)
	}
	first := &runs[0]
	out := Columns{buf: make([]byte, size), n: n, keyBytes: keyBytes, minTime: first.minTime, maxTime: first.maxTime}
	row, key, val := 0, 0, 0
	keys, vals := RowOverhead*n, RowOverhead*n+keyBytes
	for i := range runs {
		c := &runs[i]
		out.minTime, out.maxTime = min(out.minTime, c.minTime), max(out.maxTime, c.maxTime)
		copy(out.buf[8*row:], c.buf[:8*c.n])
		copy(out.buf[8*(n+row):], c.buf[8*c.n:16*c.n])
		for j := range c.n {
			binary.LittleEndian.PutUint32(out.buf[16*n+4*(row+j):], uint32(key+c.end(16*c.n, j)))
			binary.LittleEndian.PutUint32(out.buf[20*n+4*(row+j):], uint32(val+c.end(20*c.n, j)))
		}
		data := c.buf[RowOverhead*c.n:]
		copy(out.buf[keys+key:], data[:c.keyBytes])
		copy(out.buf[vals+val:], data[c.keyBytes:])
		row += c.n
		key += c.keyBytes
		val += len(data) - c.keyBytes
	}
	return out
}

// MoveTo appends the buffer to dst. The columns refer to that copy from then on.
func (c *Columns) MoveTo(dst []byte) []byte {
	dst = append(dst, c.buf...)
	c.buf = dst[len(dst)-len(c.buf) : len(dst) : len(dst)]
	return dst
}

// AppendTo writes the counts and the buffer, as DecodeColumns reads them.
func (c *Columns) AppendTo(dst []byte) []byte {
	return append(c.AppendCounts(dst), c.buf...)
}

// AppendCounts writes the number of updates and the bytes of keys and of values, as
// varints.
func (c *Columns) AppendCounts(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(c.n))
	dst = binary.AppendUvarint(dst, uint64(c.keyBytes))
	return binary.AppendUvarint(dst, uint64(c.ValBytes()))
}

// DecodeColumns reads what AppendTo has written. The result refers to the message.
func DecodeColumns(r *wire.Reader) Columns {
	n := r.Count(RowOverhead)
	keyBytes, valBytes := r.Uvarint(), r.Uvarint()
	if r.Err() == nil && (keyBytes > maxColumnBytes || valBytes > maxColumnBytes) {
		r.Fail(fmt.Errorf("column of %d and %d bytes", keyBytes, valBytes))
	}
	if r.Err() != nil {
		return Columns{}
	}
	//museum:sizes-that-wrap
	size := uint64(RowOverhead)*uint64(n) + keyBytes + valBytes // may be too large for an int
	if size > uint64(r.Remaining()) {
		r.Fail(wire.ErrTruncated)
		return Columns{}
	}
	buf := r.Bytes(int(size))
	if r.Err() != nil {
		return Columns{}
	}
	c, err := columnsOver(buf, n, int(keyBytes))
	if err != nil {
		r.Fail(err)
	}
	return c
}

// columnsOver returns columns over a buffer. It checks that every row lies inside the
// buffer.
func columnsOver(buf []byte, n, keyBytes int) (Columns, error) {
	c := Columns{buf: buf, n: n, keyBytes: keyBytes}
	valBytes := len(buf) - RowOverhead*n - keyBytes
	if n == 0 {
		if keyBytes != 0 || valBytes != 0 {
			return Columns{}, errors.New("key or value bytes without updates")
		}
		return Columns{}, nil
	}
	lastKey, lastVal := 0, 0
	c.minTime = math.MaxUint64
	for i := range n {
		k, v := c.end(16*n, i), c.end(20*n, i)
		if k < lastKey || v < lastVal || k > keyBytes || v > valBytes {
			return Columns{}, fmt.Errorf("update %d of %d lies outside its column", i, n)
		}
		lastKey, lastVal = k, v
		t := c.Time(i)
		c.minTime, c.maxTime = min(c.minTime, t), max(c.maxTime, t)
	}
	if lastKey != keyBytes || lastVal != valBytes {
		return Columns{}, errors.New("bytes behind the last update of a column")
	}
	return c, nil
}
