package part

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
)

// A large key or value is stored once, also if it is alone in its part, and the footer
// does not grow with it: other readers refuse long ones. Bounds that are short stay.
func TestFooterDoesNotGrowWithValues(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	large := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	for name, rows := range map[string][]Row{
		"one value":              {{Key: []byte("k"), Val: large(8 << 20), Diff: 1}},
		"one key":                {{Key: large(8 << 20), Val: []byte("v"), Diff: 1}},
		"both":                   {{Key: large(4 << 20), Val: large(4 << 20), Diff: 1}},
		"among small ones":       {{Key: []byte("a"), Val: []byte("v"), Diff: 1}, {Key: []byte("b"), Val: large(8 << 20), Diff: 1}, {Key: []byte("c"), Val: []byte("v"), Diff: 1}},
		"that compresses well":   {{Key: []byte("k"), Val: bytes.Repeat([]byte("v"), 8<<20), Diff: 1}},
		"that begins with ones":  {{Key: []byte("k"), Val: append(bytes.Repeat([]byte{0xff}, 100), large(8<<20)...), Diff: 1}},
		"a little above a bound": {{Key: []byte("k"), Val: large(maxBoundBytes + 1), Diff: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newFileEncoder(Config{PartBytes: 4 << 20})
			e.begin(rows, Info{"s", "b", 0})
			bytesIn := 0
			for i := range rows {
				require.NoError(t, e.add(rows[i:i+1]))
				bytesIn += RowBytes(&rows[i])
			}
			data, _, err := e.finish()
			require.NoError(t, err)
			longKey := len(rows[0].Key) > maxBoundBytes
			require.Less(t, len(data), bytesIn+bytesIn/100+8<<10)
			footer, err := footerBytes(data, int64(len(data)))
			require.NoError(t, err)
			require.Less(t, footer, int64(8<<10))
			f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			for _, group := range f.Metadata().RowGroups {
				key := group.Columns[columnKey].MetaData.Statistics
				require.Equal(t, longKey, key.MinValue == nil, "%.20q", key.MinValue)
				require.NotNil(t, group.Columns[columnTime].MetaData.Statistics.MinValue)
				require.LessOrEqual(t, len(group.Columns[columnVal].MetaData.Statistics.MaxValue), maxBoundBytes)
				for _, c := range group.Columns {
					require.Zero(t, c.ColumnIndexOffset, "pages have no bounds that would be wrong")
				}
			}
			cols, err := decodePart(data, &Part{Key: "k", Rows: len(rows), Bytes: bytesIn}, newMemory)
			require.NoError(t, err)
			requireRows(t, rows, cols)
		})
	}
}
