package indexed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tidemark-go/tidemark/internal/kept"
)

// Columns is an immutable run of encoded updates in columnar form. The one
// buffer behind it is at once what the log stores, what the tail keeps and what
// the cache holds, so that an update is copied once on its way in.
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

const rowOverhead = 8 + 8 + 4 + 4

// Len returns the number of updates.
func (c *Columns) Len() int { return c.n }

// Size returns the number of bytes that the updates take, in memory and in the log.
func (c *Columns) Size() int { return len(c.buf) }

// DataBytes returns the bytes of keys and vals, plus 16 for each time and diff.
func (c *Columns) DataBytes() int { return len(c.buf) - 8*c.n }

// KeyBytes returns the bytes of all encoded keys.
func (c *Columns) KeyBytes() int { return c.keyBytes }

// ValBytes returns the bytes of all encoded values.
func (c *Columns) ValBytes() int { return len(c.buf) - rowOverhead*c.n - c.keyBytes }

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

// Key returns the encoded key of update i, which must not be changed.
func (c *Columns) Key(i int) []byte {
	keys := c.buf[rowOverhead*c.n : rowOverhead*c.n+c.keyBytes]
	from, to := c.end(16*c.n, i-1), c.end(16*c.n, i)
	return keys[from:to:to]
}

// Val returns the encoded value of update i, which must not be changed.
func (c *Columns) Val(i int) []byte {
	vals := c.buf[rowOverhead*c.n+c.keyBytes:]
	from, to := c.end(20*c.n, i-1), c.end(20*c.n, i)
	return vals[from:to:to]
}

// keyAt returns the key of the first update at a time, nil if there is none.
func (c *Columns) keyAt(time uint64) []byte {
	for i := range c.n {
		if c.Time(i) == time {
			return c.Key(i)
		}
	}
	return nil
}

// largest returns which update has the largest key and value together, or -1.
func (c *Columns) largest() (i, size int) {
	i, size = -1, -1
	for k := range c.n {
		if n := len(c.Key(k)) + len(c.Val(k)); n > size {
			i, size = k, n
		}
	}
	return i, size
}

// apart returns the same updates. If they take at most kept.MaxBlock bytes, these are in no
// larger block of memory: whoever keeps a part of them keeps no more than that.
func (c Columns) apart(copies *kept.Copies) Columns {
	if len(c.buf) <= kept.MaxBlock {
		c.buf = copies.Copy(c.buf)
	}
	return c
}

// appendTo writes the counts and the buffer, as decodeColumns reads them.
func (c *Columns) appendTo(dst []byte) []byte {
	return append(c.appendCounts(dst), c.buf...)
}

func (c *Columns) appendCounts(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(c.n))
	dst = binary.AppendUvarint(dst, uint64(c.keyBytes))
	return binary.AppendUvarint(dst, uint64(c.ValBytes()))
}

// decodeColumns reads what appendTo wrote. The result refers to the message.
func decodeColumns(r *wireReader) Columns {
	n := r.count(rowOverhead)
	keyBytes, valBytes := r.uvarint(), r.uvarint()
	if r.err == nil && (keyBytes > maxColumnBytes || valBytes > maxColumnBytes) {
		r.fail(fmt.Errorf("column of %d and %d bytes", keyBytes, valBytes))
	}
	if r.err != nil {
		return Columns{}
	}
	//museum:sizes-that-wrap
	size := uint64(rowOverhead)*uint64(n) + keyBytes + valBytes // which an int may not hold
	if size > uint64(r.remaining()) {
		r.fail(errTruncatedMessage)
		return Columns{}
	}
	buf := r.bytes(int(size))
	if r.err != nil {
		return Columns{}
	}
	c, err := columnsOver(buf, n, int(keyBytes))
	if err != nil {
		r.fail(err)
	}
	return c
}

// columnsOver interprets a buffer and checks that every row lies inside it.
func columnsOver(buf []byte, n, keyBytes int) (Columns, error) {
	c := Columns{buf: buf, n: n, keyBytes: keyBytes}
	valBytes := len(buf) - rowOverhead*n - keyBytes
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

// ColumnsBuilder collects updates. The zero value is ready to use; it is not for
// use by several goroutines at once.
type ColumnsBuilder struct {
	keys, vals       []byte // behind guard, once there is an update
	keyEnds, valEnds []uint32
	times            []uint64
	diffs            []int64
}

// Len returns the number of updates added so far.
func (b *ColumnsBuilder) Len() int { return len(b.times) }

// Size returns the size that Finish would give its Columns.
func (b *ColumnsBuilder) Size() int {
	return rowOverhead*len(b.times) + len(unguarded(b.keys)) + len(unguarded(b.vals))
}

// Cap returns the bytes of memory that Reset keeps.
func (b *ColumnsBuilder) Cap() int {
	return cap(b.keys) + cap(b.vals) + 4*(cap(b.keyEnds)+cap(b.valEnds)) + 8*(cap(b.times)+cap(b.diffs))
}

// Reset forgets the updates and keeps the memory.
func (b *ColumnsBuilder) Reset() {
	b.keys, b.vals = b.keys[:0], b.vals[:0]
	b.keyEnds, b.valEnds = b.keyEnds[:0], b.valEnds[:0]
	b.times, b.diffs = b.times[:0], b.diffs[:0]
}

// maxRoom is how much room a column is given at most before there is something to fill it.
const maxRoom = 4 << 20

// Grow makes room for n updates more, with keys and values of the lengths that those have
// on average that were added so far, but no more than 4 MiB for either.
func (b *ColumnsBuilder) Grow(n int) {
	if b.Len() > 0 {
		// A little more, since a column that turns out too small by a byte is copied.
		like := int64(n + n/32)
		//museum:room-that-wraps
		b.keys = slices.Grow(b.keys, int(min(maxRoom, int64(len(b.keys)/b.Len())*like)))
		//museum:room-that-wraps/2
		b.vals = slices.Grow(b.vals, int(min(maxRoom, int64(len(b.vals)/b.Len())*like)))
	}
	b.keyEnds, b.valEnds = slices.Grow(b.keyEnds, n), slices.Grow(b.valEnds, n)
	b.times, b.diffs = slices.Grow(b.times, n), slices.Grow(b.diffs, n)
}

// Add appends one update; key and val are copied.
//
// Errors: ErrTooLarge if all keys or all values would pass 2 GiB, or in a 32-bit program
// 256 MiB, or there all updates; the builder is then as before.
func (b *ColumnsBuilder) Add(key, val []byte, time uint64, diff int64) error {
	if len(key) > maxColumnBytes-len(unguarded(b.keys)) || len(val) > maxColumnBytes-len(unguarded(b.vals)) {
		return errColumnTooLarge
	}
	return b.addRow(append(guarded(b.keys), key...), append(guarded(b.vals), val...), time, diff)
}

var errColumnTooLarge = fmt.Errorf("%w: a column would pass %d bytes", ErrTooLarge, maxColumnBytes)

// AddTyped appends one update whose key and value are encoded straight into the
// columns. After an error, which is the encoder's or ErrTooLarge, the builder is as before.
// ErrInvalid names an encoder that does not append: what it has done to the updates before
// is not known, so they are to be given up, by Reset.
func AddTyped[K, V any](b *ColumnsBuilder, kc Encoder[K], vc Encoder[V], key K, val V, time uint64, diff int64) error {
	keys, err := appendGuarded(kc, guarded(b.keys), key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	vals, err := appendGuarded(vc, guarded(b.vals), val)
	if err != nil {
		return fmt.Errorf("encode value: %w", err)
	}
	return b.addRow(keys, vals, time, diff)
}

// addRow takes over the columns with the new row's bytes at their ends.
func (b *ColumnsBuilder) addRow(keys, vals []byte, time uint64, diff int64) error {
	keyBytes, valBytes := len(unguarded(keys)), len(unguarded(vals))
	if keyBytes > maxColumnBytes || valBytes > maxColumnBytes {
		return errColumnTooLarge
	}
	if narrow == 1 && rowOverhead*(len(b.times)+1) > maxUpdateBytes-keyBytes-valBytes {
		return fmt.Errorf("%w: updates would pass %d bytes", ErrTooLarge, maxUpdateBytes)
	}
	b.keys, b.vals = keys, vals
	b.keyEnds = append(b.keyEnds, uint32(keyBytes))
	b.valEnds = append(b.valEnds, uint32(valBytes))
	b.times = append(b.times, time)
	b.diffs = append(b.diffs, diff)
	return nil
}

// Columns returns the updates as Columns with a buffer of their own.
func (b *ColumnsBuilder) Columns() Columns { return b.appendColumns(make([]byte, 0, b.Size())) }

// Finish is Columns and Reset.
func (b *ColumnsBuilder) Finish() Columns {
	c := b.Columns()
	b.Reset()
	return c
}

// appendColumns lays the updates out behind dst, within its capacity, and returns
// Columns over that part of it.
func (b *ColumnsBuilder) appendColumns(dst []byte) Columns {
	n := len(b.times)
	if n == 0 {
		return Columns{}
	}
	start := len(dst)
	c := Columns{n: n, keyBytes: len(unguarded(b.keys)), minTime: math.MaxUint64}
	for _, t := range b.times {
		dst = binary.LittleEndian.AppendUint64(dst, t)
		c.minTime, c.maxTime = min(c.minTime, t), max(c.maxTime, t)
	}
	for _, d := range b.diffs {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(d))
	}
	for _, e := range b.keyEnds {
		dst = binary.LittleEndian.AppendUint32(dst, e)
	}
	for _, e := range b.valEnds {
		dst = binary.LittleEndian.AppendUint32(dst, e)
	}
	dst = append(dst, unguarded(b.keys)...)
	dst = append(dst, unguarded(b.vals)...)
	c.buf = dst[start:len(dst):len(dst)]
	return c
}
