package interop_test

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/stretchr/testify/require"
)

// row is an update as another program sees it.
type row struct {
	Key, Val string // encoded
	Time     uint64
	Diff     int64
}

// compareRows orders as batches are ordered.
func compareRows(a, b row) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Val, b.Val), cmp.Compare(a.Time, b.Time))
}

// The columns of a part, in order.
const (
	key = iota
	val
	time
	diff
)

// partFile is a part as Arrow reads it.
type partFile struct {
	blob     string // its key
	metadata map[string]string
	rows     []row
	pages    int // of the column of values
}

// readPartFile reads a part and checks all that can be known of it alone.
func readPartFile(t require.TestingT, blob string, data []byte) partFile {
	r, err := file.NewParquetReader(bytes.NewReader(data))
	require.NoError(t, err, blob)
	defer func() { require.NoError(t, r.Close()) }()

	requireSchema(t, r.MetaData().Schema)
	p := partFile{blob: blob, metadata: map[string]string{}}
	kv := r.MetaData().KeyValueMetadata()
	for i, k := range kv.Keys() {
		p.metadata[k] = kv.Values()[i]
	}
	var groups [][]row
	for i := range r.NumRowGroups() {
		rows := readRowGroup(t, r.RowGroup(i))
		requireChecksums(t, data, r.RowGroup(i).MetaData())
		groups = append(groups, rows)
		p.rows = append(p.rows, rows...)
	}
	unbounded := [4]bool{
		key: slices.ContainsFunc(p.rows, func(r row) bool { return !hasBounds(r.Key) }),
		val: slices.ContainsFunc(p.rows, func(r row) bool { return !hasBounds(r.Val) }),
	}
	for i, rows := range groups {
		requireStatistics(t, r.RowGroup(i).MetaData(), rows, unbounded)
		p.pages += requirePageIndex(t, r, i, rows)
	}
	require.EqualValues(t, len(p.rows), r.NumRows())
	require.NotEmpty(t, p.rows, "%s: a part without rows", blob)
	for i := range p.rows[1:] {
		require.Negative(t, compareRows(p.rows[i], p.rows[i+1]), "%s: rows %d and %d are not in order", blob, i, i+1)
	}
	for i := range p.rows {
		require.NotZero(t, p.rows[i].Diff, "%s: row %d says nothing", blob, i)
	}
	return p
}

func requireSchema(t require.TestingT, s *schema.Schema) {
	require.Equal(t, 4, s.NumColumns())
	for i, want := range []struct {
		name     string
		physical parquet.Type
		logical  schema.LogicalType
	}{
		{"key", parquet.Types.ByteArray, schema.NoLogicalType{}},
		{"val", parquet.Types.ByteArray, schema.NoLogicalType{}},
		{"time", parquet.Types.Int64, schema.NewIntLogicalType(64, false)},
		{"diff", parquet.Types.Int64, schema.NewIntLogicalType(64, true)},
	} {
		c := s.Column(i)
		require.Equal(t, want.name, c.Path())
		require.Equal(t, want.physical, c.PhysicalType(), want.name)
		require.True(t, want.logical.Equals(c.LogicalType()), "column %s is %s, expected %s", want.name, c.LogicalType(), want.logical)
		require.Equal(t, parquet.Repetitions.Required, c.SchemaNode().RepetitionType(), want.name)
	}
}

func readRowGroup(t require.TestingT, group *file.RowGroupReader) []row {
	n := int(group.NumRows())
	keys := readColumn[parquet.ByteArray](t, group, key, n)
	vals := readColumn[parquet.ByteArray](t, group, val, n)
	times := readColumn[int64](t, group, time, n)
	diffs := readColumn[int64](t, group, diff, n)
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{Key: string(keys[i]), Val: string(vals[i]), Time: uint64(times[i]), Diff: diffs[i]}
	}
	return rows
}

// readColumn reads a column in batches, as its pages allow.
func readColumn[T any](t require.TestingT, group *file.RowGroupReader, column, n int) []T {
	c, err := group.Column(column)
	require.NoError(t, err)
	reader, ok := c.(interface {
		ReadBatch(n int64, values []T, definition, repetition []int16) (total int64, read int, err error)
	})
	require.True(t, ok, "column %d is read by a %T", column, c)
	values := make([]T, n)
	done := 0
	for c.HasNext() && done < n {
		_, read, err := reader.ReadBatch(int64(n-done), values[done:], nil, nil)
		require.NoError(t, err, "column %d", column)
		// What was read refers to a page that the next batch overwrites.
		if arrays, ok := any(values[done : done+read]).([]parquet.ByteArray); ok {
			for i := range arrays {
				arrays[i] = slices.Clone(arrays[i])
			}
		}
		done += read
	}
	require.NoError(t, c.Err(), "column %d", column)
	require.False(t, c.HasNext(), "column %d goes on after %d values", column, n)
	require.Equal(t, n, done, "column %d ends early", column)
	return values
}

// hasBounds reports whether a column with this value has bounds: docs/format.md.
func hasBounds(value string) bool {
	return len(value) <= 4<<10 && !strings.HasPrefix(value, strings.Repeat("\xff", 16))
}

// requireStatistics checks what query engines skip row groups by.
func requireStatistics(t require.TestingT, group *metadata.RowGroupMetaData, rows []row, unbounded [4]bool) {
	bounds := [4][2][]byte{
		key:  {[]byte(slices.MinFunc(rows, byKey).Key), []byte(slices.MaxFunc(rows, byKey).Key)},
		val:  {[]byte(slices.MinFunc(rows, byVal).Val), []byte(slices.MaxFunc(rows, byVal).Val)},
		time: {encoded(slices.MinFunc(rows, byTime).Time), encoded(slices.MaxFunc(rows, byTime).Time)},
		diff: {encoded(uint64(slices.MinFunc(rows, byDiff).Diff)), encoded(uint64(slices.MaxFunc(rows, byDiff).Diff))},
	}
	for i, want := range bounds {
		chunk, err := group.ColumnChunk(i)
		require.NoError(t, err)
		require.Equal(t, compress.Codecs.Snappy, chunk.Compression(), "column %d", i)
		require.False(t, chunk.HasDictionaryPage(), "column %d", i)
		stats, err := chunk.Statistics()
		require.NoError(t, err)
		require.NotNil(t, stats, "column %d has no statistics", i)
		require.Equal(t, !unbounded[i], stats.HasMinMax(), "bounds of column %d", i)
		if !unbounded[i] {
			require.Equal(t, string(want[0]), string(stats.EncodeMin()), "least value of column %d", i)
			require.Equal(t, string(want[1]), string(stats.EncodeMax()), "greatest value of column %d", i)
		}
		require.True(t, stats.HasNullCount(), "column %d", i)
		require.Zero(t, stats.NullCount(), "column %d", i)
	}
}

// requirePageIndex checks what query engines find pages by. There are no bounds of pages: they
// would take much room. It returns how many pages the values take.
func requirePageIndex(t require.TestingT, r *file.Reader, group int, rows []row) int {
	index, err := r.GetPageIndexReader().RowGroup(group)
	require.NoError(t, err)
	require.NotNil(t, index, "no page index")
	pages := 0
	for column := range 4 {
		bounds, err := index.GetColumnIndex(column)
		require.NoError(t, err)
		offsets, err := index.GetOffsetIndex(column)
		require.NoError(t, err)
		locations := offsets.GetPageLocations()
		require.Nil(t, bounds, "bounds of pages of column %d", column)
		for i, location := range locations {
			end := len(rows)
			if i+1 < len(locations) {
				end = int(locations[i+1].FirstRowIndex)
			}
			require.NotEmpty(t, rows[location.FirstRowIndex:end], "page %d of column %d has no rows", i, column)
		}
		if column == val {
			pages = len(locations)
		}
	}
	return pages
}

func byKey(a, b row) int  { return cmp.Compare(a.Key, b.Key) }
func byVal(a, b row) int  { return cmp.Compare(a.Val, b.Val) }
func byTime(a, b row) int { return cmp.Compare(a.Time, b.Time) }
func byDiff(a, b row) int { return cmp.Compare(a.Diff, b.Diff) }
