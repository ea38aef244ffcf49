package part

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

// encodePart returns the file of a part with these rows.
func encodePart(c *Columns) ([]byte, error) {
	e, rows := newFileEncoder(Config{PartBytes: 4 << 20}), []Row(nil)
	for i := range c.Len() {
		rows = append(rows, Row{c.Key(i), c.Val(i), c.Time(i), c.Diff(i)})
		if len(rows) == chunkRows || i == c.Len()-1 {
			if e.rows == 0 {
				e.begin(rows, Info{"orders", "trace batch 1", 0})
			}
			if err := e.add(rows); err != nil {
				return nil, err
			}
			rows = rows[:0]
		}
	}
	data, _, err := e.finish()
	return data, err
}

// Columns are stored as what differs from row to row where that is less than half.
func TestEncodingFollowsTheData(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		key, val func(i int) []byte
		want     [2]format.Encoding
	}{
		"alike and random": {
			func(i int) []byte { return fmt.Appendf(nil, "user/%09d", i) },
			func(int) []byte { return fmt.Appendf(nil, "%016x", random.Uint64()) },
			[2]format.Encoding{format.DeltaByteArray, format.DeltaLengthByteArray},
		},
		"random and the same": {
			func(i int) []byte { return fmt.Appendf(nil, "%09d%016x", i, random.Uint64()) },
			func(int) []byte { return []byte("the same") },
			[2]format.Encoding{format.DeltaLengthByteArray, format.DeltaByteArray},
		},
		"nothing": {
			func(int) []byte { return nil },
			func(int) []byte { return nil },
			[2]format.Encoding{format.DeltaLengthByteArray, format.DeltaLengthByteArray},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b ColumnsBuilder
			for i := range 5000 {
				require.NoError(t, b.Add(c.key(i), c.val(i), uint64(i), 1))
			}
			cols := b.Finish()
			data, err := encodePart(&cols)
			require.NoError(t, err)
			f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			chunks := f.Metadata().RowGroups[0].Columns
			for i, want := range [columnCount]format.Encoding{c.want[0], c.want[1], format.DeltaBinaryPacked, format.DeltaBinaryPacked} {
				require.Equal(t, []format.Encoding{want}, []format.Encoding(chunks[i].MetaData.Encoding), columnName(i))
			}
			back, err := decodePart(data, partOf(&cols), newMemory)
			require.NoError(t, err)
			requireEqualColumns(t, cols, back)
		})
	}
}

// The page index cannot say how great values are that begin with ones, and the footer is
// not to have long ones. A part has bounds of a column or it has not, so one that has them
// ends before such a value.
func TestPartEndsBeforeValuesWithoutBounds(t *testing.T) {
	short := Row{Key: []byte("key"), Val: []byte("val")}
	long := Row{Key: append(bytes.Clone(onesPrefix), "key"...), Val: []byte("val")}
	longVal := Row{Key: []byte("key"), Val: append(bytes.Clone(onesPrefix), "val"...)}
	var e fileEncoder
	e.begin([]Row{short}, Info{})
	require.True(t, e.admits([]Row{short, short}))
	require.False(t, e.admits([]Row{short, long}))
	require.False(t, e.admits([]Row{longVal}))
	e.begin([]Row{short, long}, Info{})
	require.True(t, e.admits([]Row{short, long}))
	require.False(t, e.admits([]Row{longVal}))
	e.begin([]Row{longVal}, Info{})
	require.True(t, e.admits([]Row{longVal}))

	atLimit := Row{Key: bytes.Repeat([]byte("k"), maxBoundBytes), Val: bytes.Repeat([]byte("v"), maxBoundBytes)}
	beyond := Row{Key: []byte("key"), Val: bytes.Repeat([]byte("v"), maxBoundBytes+1)}
	e.begin([]Row{short}, Info{})
	require.True(t, e.admits([]Row{atLimit}))
	require.False(t, e.admits([]Row{beyond}))
	e.begin([]Row{beyond}, Info{})
	require.True(t, e.admits([]Row{beyond, short, atLimit}))
}
