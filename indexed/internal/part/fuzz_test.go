package part

import (
	"bytes"
	"math"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
)

func FuzzDecodePart(f *testing.F) {
	data, p, _ := samplePart(f)
	f.Add(data, p.Rows, p.Bytes)
	f.Add(data[:len(data)/2], p.Rows, p.Bytes)
	f.Add(data, p.Rows+1, p.Bytes)
	f.Add(append(bytes.Clone(data[:len(data)-8]), 0xff, 0xff, 0xff, 0x7f, 'P', 'A', 'R', '1'), p.Rows, p.Bytes) // a footer of 2 GiB
	f.Fuzz(func(t *testing.T, data []byte, rows, size int) {
		// The manifest vouches for these.
		rows, size = min(max(rows, 1), 1000), min(max(size, RowOverhead), 100_000)
		if rows > size/RowOverhead {
			return
		}
		var c Columns
		var err error
		p := &Part{Key: "k", Size: int64(len(data)), Sum: xxhash.Sum64(data), Rows: rows, Bytes: size}
		limited(t, func() { c, err = decodePart(data, p, newMemory) })
		var groups []Columns
		var groupsErr error
		limited(t, func() { groups, groupsErr = readGroups(t.Context(), blobsOver(t, data, 100), p) })
		if err != nil {
			return
		}
		if groupsErr == nil {
			requireEqualColumns(t, c, joined(t, groups))
		}
		require.Equal(t, rows, c.Len())
		require.Equal(t, size, c.Size())
		readColumns(&c)
	})
}

// FuzzRows writes rows as the log and as a Parquet part have them, and reads them back. The
// rows are cut from the data: a length of key and of value, a time and a diff for each.
func FuzzRows(f *testing.F) {
	f.Add([]byte{}, []byte{}, uint64(0), int64(0))
	f.Add([]byte{1, 1, 0, 2, 3, 0, 1, 1}, []byte("kvkkvvvx"), uint64(math.MaxUint64-2), int64(math.MinInt64))
	f.Add(bytes.Repeat([]byte{5, 9}, 40), bytes.Repeat([]byte("\xff\x00key"), 120), uint64(3), int64(-1))
	f.Add([]byte{200, 255, 200, 0}, bytes.Repeat([]byte{0xff}, 700), uint64(1<<63), int64(1))
	f.Fuzz(func(t *testing.T, cuts, data []byte, time uint64, diff int64) {
		take := func(n int) []byte {
			n = min(n, len(data))
			b := data[:n:n]
			data = data[n:]
			return b
		}
		var b ColumnsBuilder
		var want []Row
		for i := 0; i+1 < min(len(cuts), 400); i += 2 {
			r := Row{take(int(cuts[i])), take(int(cuts[i+1])), time + uint64(i), diff - int64(i)}
			want = append(want, r)
			require.NoError(t, b.Add(r.Key, r.Val, r.Time, r.Diff))
		}
		require.Equal(t, len(want), b.Len())
		c := b.Finish()
		requireRows(t, want, c)

		message := wire.NewReader(c.AppendTo(nil), 0)
		requireRows(t, want, DecodeColumns(message))
		require.NoError(t, message.End())
		if len(want) == 0 {
			return // there are no parts without rows
		}
		file, err := encodePart(&c)
		require.NoError(t, err)
		back, err := decodePart(file, &Part{Key: "k", Rows: c.Len(), Bytes: c.Size()}, newMemory)
		require.NoError(t, err)
		requireRows(t, want, back)
	})
}

func requireRows(t *testing.T, want []Row, c Columns) {
	t.Helper()
	require.Equal(t, len(want), c.Len())
	lo, hi := uint64(math.MaxUint64), uint64(0)
	for i, r := range want {
		require.True(t, bytes.Equal(r.Key, c.Key(i)) && bytes.Equal(r.Val, c.Val(i)), "row %d", i)
		require.Equal(t, r.Time, c.Time(i), "row %d", i)
		require.Equal(t, r.Diff, c.Diff(i), "row %d", i)
		lo, hi = min(lo, r.Time), max(hi, r.Time)
	}
	if len(want) > 0 {
		least, most := c.TimeRange()
		require.Equal(t, []uint64{lo, hi}, []uint64{least, most})
	}
}
