package part

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// ColumnsBuilder collects updates for Columns. The zero value is ready to use. One
// goroutine at a time may use it.
type ColumnsBuilder struct {
	keys, vals       []byte // after guard, once there is an update
	keyEnds, valEnds []uint32
	times            []uint64
	diffs            []int64
}

// Len returns the number of updates added so far.
func (b *ColumnsBuilder) Len() int { return len(b.times) }

// Size returns the size of the Columns that Finish would return, in bytes.
func (b *ColumnsBuilder) Size() int {
	return RowOverhead*len(b.times) + len(unguarded(b.keys)) + len(unguarded(b.vals))
}

// Cap returns how many bytes of memory Reset keeps.
func (b *ColumnsBuilder) Cap() int {
	return cap(b.keys) + cap(b.vals) + 4*(cap(b.keyEnds)+cap(b.valEnds)) + 8*(cap(b.times)+cap(b.diffs))
}

// Reset drops the updates and keeps the memory.
func (b *ColumnsBuilder) Reset() {
	b.keys, b.vals = b.keys[:0], b.vals[:0]
	b.keyEnds, b.valEnds = b.keyEnds[:0], b.valEnds[:0]
	b.times, b.diffs = b.times[:0], b.diffs[:0]
}

// maxRoom is how many bytes Grow makes room for in each of the columns of keys and values.
const maxRoom = 4 << 20

// Grow makes room for n more updates, with keys and values as long as those so far are on
// average, but for no more than 4 MiB of either.
func (b *ColumnsBuilder) Grow(n int) {
	if b.Len() > 0 {
		// Make room for a little more: a column that is too small by one byte is copied.
		like := int64(n + n/32)
		//museum:room-that-wraps
		b.keys = slices.Grow(b.keys, int(min(maxRoom, int64(len(b.keys)/b.Len())*like)))
		//museum:room-that-wraps/2
		b.vals = slices.Grow(b.vals, int(min(maxRoom, int64(len(b.vals)/b.Len())*like)))
	}
	b.keyEnds, b.valEnds = slices.Grow(b.keyEnds, n), slices.Grow(b.valEnds, n)
	b.times, b.diffs = slices.Grow(b.times, n), slices.Grow(b.diffs, n)
}

// Add appends one update. It copies key and val.
//
// Errors: ErrTooLarge if all keys or all values would take more than 2 GiB. In a 32-bit
// program the limit is 256 MiB, and holds for all updates together too. The builder is then
// unchanged.
func (b *ColumnsBuilder) Add(key, val []byte, time uint64, diff int64) error {
	if len(key) > maxColumnBytes-len(unguarded(b.keys)) || len(val) > maxColumnBytes-len(unguarded(b.vals)) {
		return errColumnTooLarge
	}
	return b.addRow(append(guarded(b.keys), key...), append(guarded(b.vals), val...), time, diff)
}

var errColumnTooLarge = fmt.Errorf("%w: a column would pass %d bytes", storage.ErrTooLarge, maxColumnBytes)

// AddTyped appends one update. The encoders append key and value directly to the columns.
//
// Errors: the encoder's; ErrTooLarge; after these the builder is unchanged. ErrInvalid
// names an encoder that does not append. It may have changed earlier updates, so the caller
// must drop them all, by Reset.
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

// addRow takes over the columns, which have the bytes of the new row at their ends.
func (b *ColumnsBuilder) addRow(keys, vals []byte, time uint64, diff int64) error {
	keyBytes, valBytes := len(unguarded(keys)), len(unguarded(vals))
	if keyBytes > maxColumnBytes || valBytes > maxColumnBytes {
		return errColumnTooLarge
	}
	if Narrow == 1 && RowOverhead*(len(b.times)+1) > MaxUpdateBytes-keyBytes-valBytes {
		return fmt.Errorf("%w: updates would pass %d bytes", storage.ErrTooLarge, MaxUpdateBytes)
	}
	b.keys, b.vals = keys, vals
	b.keyEnds = append(b.keyEnds, uint32(keyBytes))
	b.valEnds = append(b.valEnds, uint32(valBytes))
	b.times = append(b.times, time)
	b.diffs = append(b.diffs, diff)
	return nil
}

// Columns returns the updates, in a buffer of their own. The builder keeps them too.
func (b *ColumnsBuilder) Columns() Columns { return b.AppendColumns(make([]byte, 0, b.Size())) }

// Finish is Columns and Reset.
func (b *ColumnsBuilder) Finish() Columns {
	c := b.Columns()
	b.Reset()
	return c
}

// AppendColumns writes the updates behind dst, within its capacity, and returns Columns
// over that part of it.
func (b *ColumnsBuilder) AppendColumns(dst []byte) Columns {
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
