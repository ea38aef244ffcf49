package part

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

func TestColumnsOverRefusesRowsOutside(t *testing.T) {
	sample := someColumns()
	good := sample.buf
	_, err := columnsOver(good, sample.n, sample.keyBytes)
	require.NoError(t, err)
	for name, change := range map[string]func(b []byte){
		"key ends go back":    func(b []byte) { b[16*4+4] = 0 },
		"val ends go back":    func(b []byte) { b[20*4+4] = 0 },
		"key beyond its end":  func(b []byte) { b[16*4+4*3] = 200 },
		"val beyond its end":  func(b []byte) { b[20*4+4*3] = 200 },
		"key bytes left over": func(b []byte) { b[16*4+4*3]-- },
		"val bytes left over": func(b []byte) { b[20*4+4]--; b[20*4+8]--; b[20*4+12]-- },
		"end above what fits": func(b []byte) { b[16*4+4*3+3] = 255 },
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(good)
			change(bad)
			_, err := columnsOver(bad, sample.n, sample.keyBytes)
			require.Error(t, err)
		})
	}
}

// append_detect_min_max_times.
func TestColumnsDetectMinAndMaxTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Uint64(), 1, 20).Draw(t, "times")
		var b ColumnsBuilder
		for _, time := range times {
			require.NoError(t, b.Add(nil, nil, time, 1))
		}
		require.Equal(t, len(times), b.Len())
		c := b.Columns()
		lo, hi := c.TimeRange()
		require.Equal(t, slices.Min(times), lo)
		require.Equal(t, slices.Max(times), hi)
		r := wire.NewReader(c.AppendTo(nil), 0)
		back := DecodeColumns(r)
		require.NoError(t, r.End())
		requireEqualColumns(t, c, back)
	})
}

// columnar_records: a refused update leaves the builder as it was.
func TestAddTyped(t *testing.T) {
	var b ColumnsBuilder
	good, bad := stringEncoder{}, stringEncoder{errSource}
	require.NoError(t, AddTyped(&b, good, good, "k", "", 1, 0))
	require.ErrorIs(t, AddTyped(&b, bad, good, "x", "y", 2, 1), errSource)
	require.ErrorIs(t, AddTyped(&b, good, bad, "x", "y", 2, 1), errSource)
	require.ErrorContains(t, AddTyped(&b, shortEncoder{}, good, "x", "y", 2, 1), "does not append")
	require.NoError(t, AddTyped(&b, good, good, "", "v", 3, -1))
	size := b.Size()
	c := b.Finish()
	require.Zero(t, b.Len())
	require.Equal(t, size, c.Size())
	require.Equal(t, 2*16+1+1, c.DataBytes(), "keys, vals, and 16 for each time and diff")
	require.Equal(t, []string{"k=", "=v"}, []string{
		fmt.Sprintf("%s=%s", c.Key(0), c.Val(0)), fmt.Sprintf("%s=%s", c.Key(1), c.Val(1)),
	})
	empty := b.Columns()
	require.Equal(t, Columns{}, empty)
}

// A builder that was told how many updates are to come takes memory once.
func TestColumnsBuilderGrows(t *testing.T) {
	key, val := make([]byte, 16), make([]byte, 100)
	var b ColumnsBuilder
	for range 10 {
		require.NoError(t, b.Add(key, val, 0, 1))
	}
	b.Grow(10_000)
	require.Zero(t, testing.AllocsPerRun(1, func() {
		for range 5000 { // AllocsPerRun runs twice
			_ = b.Add(key, val, 0, 1)
		}
	}))
	require.Equal(t, 10_010, b.Len())
	cols := b.Finish()
	require.Equal(t, 10_010*16, cols.KeyBytes())
	b.Grow(0)
	new(ColumnsBuilder).Grow(3)

	// A few large values do not say how large the others are.
	require.NoError(t, b.Add(key, make([]byte, 1<<20), 0, 1))
	b.Grow(10_000)
	require.Less(t, b.Cap(), 16<<20)
}

func FuzzDecodeColumns(f *testing.F) {
	sample := someColumns()
	f.Add(sample.AppendTo(nil))
	f.Add((&Columns{}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := wire.NewReader(data, 0)
		var c Columns
		limited(t, func() { c = DecodeColumns(r) })
		if r.Err() != nil {
			return
		}
		readColumns(&c)
		again := wire.NewReader(c.AppendTo(nil), 0)
		back := DecodeColumns(again)
		require.NoError(t, again.End())
		requireEqualColumns(t, c, back)
	})
}

// Sizes of updates are refused before they wrap, and the builder is as before.
func TestColumnsLimits(t *testing.T) {
	if Narrow == 0 {
		t.Skip("takes gigabytes where an int has 64 bits")
	}
	// Memory that nothing is written to costs nothing.
	keys := make([]byte, len(guard)+maxColumnBytes-10)
	copy(keys, guard)
	b := ColumnsBuilder{keys: keys, keyEnds: []uint32{0}, valEnds: []uint32{0}, times: []uint64{0}, diffs: []int64{0}}
	for what, add := range map[string]func() error{
		"a key":          func() error { return b.Add(make([]byte, 11), nil, 0, 1) },
		"a large key":    func() error { return b.Add(make([]byte, 1<<28), nil, 0, 1) },
		"a large value":  func() error { return b.Add(nil, make([]byte, 1<<28), 0, 1) },
		"all of them":    func() error { return b.Add(nil, nil, 0, 1) },
		"an encoded key": func() error { return AddTyped(&b, extend(11), extend(0), 0, 0, 0, 1) },
	} {
		require.ErrorIs(t, add(), storage.ErrTooLarge, what)
		require.Equal(t, 1, b.Len(), what)
		require.Len(t, b.keys, len(keys), what)
	}
}

// extend is an Encoder that appends so many zeros, within the room that there is.
type extend int

func (n extend) Append(dst []byte, _ int) ([]byte, error) {
	return append(dst, make([]byte, n)...), nil
}

type stringEncoder struct{ err error }

func (e stringEncoder) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), e.err }

type shortEncoder struct{}

func (shortEncoder) Append([]byte, string) ([]byte, error) { return nil, nil }
