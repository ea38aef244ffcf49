package part

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/storage"
)

// blobsOver reads from a store that holds this part alone.
func blobsOver(t testing.TB, data []byte, groupBytes int) *Store {
	cfg := Config{CacheBytes: 1 << 20, PartBytes: 8 * groupBytes, LeastGroup: 1}
	b, err := NewStore(&oneBlob{data: data}, cfg, testMetrics())
	require.NoError(t, err)
	return b
}

func readGroups(ctx context.Context, b *Store, p *Part) (groups []Columns, err error) {
	open, err := b.openGroups(ctx, p)
	if err != nil {
		return nil, err
	}
	for i := range open.count() {
		g, err := open.group(ctx, i)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func joined(t testing.TB, groups []Columns) Columns {
	var b ColumnsBuilder
	for _, g := range groups {
		for i := range g.Len() {
			require.NoError(t, b.Add(g.Key(i), g.Val(i), g.Time(i), g.Diff(i)))
		}
	}
	return b.Finish()
}

// partOfGroups is a part of many row groups, with a long footer.
func partOfGroups(t testing.TB) (data []byte, p *Part, c Columns, groupBytes int) {
	const rows = 3000
	groupBytes = 1000
	var b ColumnsBuilder
	e := newFileEncoder(Config{PartBytes: 8 * groupBytes, LeastGroup: 1})
	for i := range rows {
		r := Row{fmt.Appendf(nil, "key-%06d", i), []byte(strings.Repeat("v", i%50)), uint64(i), 1}
		require.NoError(t, b.Add(r.Key, r.Val, r.Time, r.Diff))
		if i == 0 {
			e.begin([]Row{r}, Info{"s", "b", 0})
		}
		require.NoError(t, e.add([]Row{r}))
	}
	c = b.Finish()
	data, _, err := e.finish()
	require.NoError(t, err)
	return data, &Part{Key: "k", Size: int64(len(data)), Sum: xxhash.Sum64(data), Rows: rows, Bytes: c.Size()}, c, groupBytes
}

func TestPartIsReadByGroups(t *testing.T) {
	data, p, c, groupBytes := partOfGroups(t)
	b := blobsOver(t, data, groupBytes)
	footer, err := footerBytes(data, p.Size)
	require.NoError(t, err)
	require.Greater(t, footer, int64(likelyFooter+checkBlock), "it is read in two steps")

	groups, err := readGroups(t.Context(), b, p)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(groups), c.Size()/(2*groupBytes))
	for i := range groups {
		require.Less(t, groups[i].Size(), 2*groupBytes)
	}
	requireEqualColumns(t, c, joined(t, groups))
	whole, err := decodePart(data, p, newMemory)
	require.NoError(t, err)
	requireEqualColumns(t, c, whole)

	open, err := b.openGroups(t.Context(), p)
	require.NoError(t, err)
	for range 3 { // pieces are read again
		g, err := open.group(t.Context(), 0)
		require.NoError(t, err)
		requireEqualColumns(t, groups[0], g)
	}
}

// Nothing of a damaged part is decoded, and a part that is whole must be what the
// manifest has promised.
func TestDamagedGroups(t *testing.T) {
	data, p, _, groupBytes := partOfGroups(t)
	requireCorrupt := func(err error, text string, args ...any) {
		var corrupt *storage.CorruptError
		require.ErrorAs(t, err, &corrupt, args...)
		require.Equal(t, p.Key, corrupt.Where)
		require.ErrorContains(t, err, text, args...)
	}
	flipped := append([]byte(nil), data...)
	for at := 0; at < len(data); at += 1 + len(data)/500 {
		flipped[at] ^= 1 << (at % 8)
		_, err := blobsOver(t, flipped, groupBytes).openGroups(t.Context(), p)
		requireCorrupt(err, "xxhash64", "byte %d", at)
		flipped[at] = data[at]
	}
	for _, n := range []int{0, 7, 12, len(data) / 2, len(data) - 1} {
		_, err := blobsOver(t, data[:n], groupBytes).openGroups(t.Context(), p)
		requireCorrupt(err, "shorter", "%d bytes", n)
	}
	for text, change := range map[string]func(p *Part){
		"3000 rows, expected 3001":   func(p *Part) { p.Rows++ },
		"bytes of updates, expected": func(p *Part) { p.Bytes++ },
	} {
		other := *p
		change(&other)
		_, err := readGroups(t.Context(), blobsOver(t, data, groupBytes), &other)
		requireCorrupt(err, text)
	}
	b := blobsOver(t, data, groupBytes)
	b.blob.(*oneBlob).err = storage.ErrNotFound
	_, err := b.openGroups(t.Context(), p)
	requireCorrupt(err, "is gone")
	b.blob.(*oneBlob).err = storage.ErrClosed
	_, err = b.openGroups(t.Context(), p)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.NotErrorIs(t, err, storage.ErrCorrupt)
}

// Whatever a disk returns after the checksum was right is compared before it is decoded.
func TestDamageAfterTheCheck(t *testing.T) {
	data, p, c, groupBytes := partOfGroups(t)
	flipped := append([]byte(nil), data...)
	b := blobsOver(t, flipped, groupBytes)
	open, err := b.openGroups(t.Context(), p)
	require.NoError(t, err)
	_, to, _ := open.extent(open.count() - 1)
	for at := 4; at < int(to); at += 1 + len(data)/500 {
		flipped[at] ^= 1 << (at % 8)
		found := false
		for i := range open.count() {
			_, err := open.group(t.Context(), i)
			if err != nil {
				require.ErrorIs(t, err, storage.ErrCorrupt)
				require.ErrorContains(t, err, "a moment ago", "byte %d", at)
				found = true
			}
		}
		require.True(t, found, "byte %d", at)
		flipped[at] = data[at]
	}
	groups, err := readGroups(t.Context(), b, p)
	require.NoError(t, err)
	requireEqualColumns(t, c, joined(t, groups))
}

// A footer that says how many rows there are, and has no row groups, or fewer rows in them.
func TestFooterWithoutRowGroups(t *testing.T) {
	data, p, _, groupBytes := partOfGroups(t)
	for text, change := range map[string]func(m *format.FileMetaData){
		"0 rows in row groups, expected 3000": func(m *format.FileMetaData) { m.RowGroups = nil },
		"rows in row groups, expected 3000":   func(m *format.FileMetaData) { m.RowGroups = m.RowGroups[:len(m.RowGroups)-1] },
		"a row group of 0 rows":               func(m *format.FileMetaData) { m.RowGroups[1].NumRows = 0 },
		"a row group of 4000 rows":            func(m *format.FileMetaData) { m.RowGroups[1].NumRows = 4000 },
		"refers to its bytes -1 to":           func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = -1 },
		"refers to its bytes 4 to":            func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = 1 << 40 },
	} {
		f, err := parquet.OpenFile(bytes.NewReader(data), p.Size)
		require.NoError(t, err)
		m := *f.Metadata()
		change(&m)
		footer, err := thrift.Marshal(new(thrift.CompactProtocol), m)
		require.NoError(t, err)
		length, err := footerBytes(data, p.Size)
		require.NoError(t, err)
		other := append(bytes.Clone(data[:p.Size-length]), footer...)
		other = append(binary.LittleEndian.AppendUint32(other, uint32(len(footer))), "PAR1"...)
		_, err = readGroups(t.Context(), blobsOver(t, other, groupBytes), &Part{
			Key: p.Key, Size: int64(len(other)), Sum: xxhash.Sum64(other), Rows: p.Rows, Bytes: p.Bytes,
		})
		require.ErrorIs(t, err, storage.ErrCorrupt)
		require.ErrorContains(t, err, text)
	}
}

// What is held of a part between reads is not much beside a row group, and what the
// encoder holds not much beside the part.
func TestPartsHoldLittle(t *testing.T) {
	var rows []Row
	for i := range 1000 {
		val := make([]byte, 1000)
		_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(val)
		rows = append(rows, Row{fmt.Appendf(nil, "key-%06d", i), val, 1, 1})
	}
	cfg := Config{CacheBytes: 1 << 20, PartBytes: 4 << 20}
	e := newFileEncoder(cfg)
	e.begin(rows[:1], Info{"s", "b", 0})
	for range 4 {
		for i := range rows {
			require.NoError(t, e.add(rows[i:i+1]))
		}
	}
	n, size := e.rows, e.bytes
	data, _, err := e.finish()
	require.NoError(t, err)
	require.Less(t, e.out.Cap(), 2*len(data))

	b := blobsOver(t, data, cfg.groupBytes())
	p := &Part{Key: "k", Size: int64(len(data)), Sum: xxhash.Sum64(data), Rows: n, Bytes: size}
	var open [20]*groupedPart
	before := resources.LiveHeap(t)
	for i := range open {
		open[i], err = b.openGroups(t.Context(), p)
		require.NoError(t, err)
	}
	require.Less(t, (resources.LiveHeap(t)-before)/int64(len(open)), int64(cfg.groupBytes()/4))
	runtime.KeepAlive(open)
}

// The footer of a part repeats two values of each row group, so that these are larger
// where values are.
func TestLargeValuesAreStoredOnce(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{1000, 20_000, 100_000, 600_000} {
		e := newFileEncoder(Config{PartBytes: 4 << 20})
		for i := 0; e.bytes < 4<<20; i++ {
			r := Row{Key: fmt.Appendf(nil, "key-%06d", i), Val: make([]byte, size), Time: 1, Diff: 1}
			_, _ = random.Read(r.Val)
			if i == 0 {
				e.begin([]Row{r}, Info{"s", "b", 0})
			}
			require.NoError(t, e.add([]Row{r}))
		}
		total := e.bytes
		data, _, err := e.finish()
		require.NoError(t, err)
		require.Less(t, len(data), total*11/10+2*size, "values of %d bytes", size)
	}
}
