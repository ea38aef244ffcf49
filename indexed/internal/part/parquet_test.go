package part

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawColumns(t *rapid.T) Columns {
	var b ColumnsBuilder
	for range rapid.IntRange(1, 200).Draw(t, "rows") {
		require.NoError(t, b.Add(
			rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "key"), rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "val"),
			rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Just(uint64(math.MaxUint64)), rapid.Uint64()).Draw(t, "time"),
			rapid.Int64().Draw(t, "diff")))
	}
	return b.Finish()
}

func requireEqualColumns(t require.TestingT, want, got Columns) {
	require.Equal(t, want.Len(), got.Len())
	require.Equal(t, want.buf, got.buf)
	require.Equal(t, want, got)
}

func partOf(c *Columns) *Part { return &Part{Key: "k", Rows: c.Len(), Bytes: c.Size()} }

func TestPartRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawColumns(t)
		data, err := encodePart(&c)
		require.NoError(t, err)
		back, err := decodePart(data, partOf(&c), newMemory)
		require.NoError(t, err)
		requireEqualColumns(t, c, back)
	})
}

func TestPartOfManyPages(t *testing.T) {
	var builder ColumnsBuilder
	for i := range 300_000 {
		require.NoError(t, builder.Add(fmt.Appendf(nil, "key-%09d", i), make([]byte, 40), uint64(i/10), 1))
	}
	c := builder.Finish()
	data, err := encodePart(&c)
	require.NoError(t, err)
	require.Less(t, len(data), c.Size()/2)
	back, err := decodePart(data, partOf(&c), newMemory)
	require.NoError(t, err)
	requireEqualColumns(t, c, back)
}

func BenchmarkPart(b *testing.B) {
	var builder ColumnsBuilder
	val := make([]byte, 100)
	for i := range 60_000 {
		for j := range 50 {
			val[j] = byte(i * j >> 3)
		}
		_ = builder.Add(fmt.Appendf(nil, "key-%012d", i*7919), val, uint64(i/10), 1)
	}
	c := builder.Finish()
	data, _ := encodePart(&c)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(c.Size()))
		b.ReportAllocs()
		for range b.N {
			if _, err := encodePart(&c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(c.Size()))
		b.ReportAllocs()
		for range b.N {
			if _, err := decodePart(data, partOf(&c), newMemory); err != nil {
				b.Fatal(err)
			}
		}
	})
}
