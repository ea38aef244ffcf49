package indexed

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// blobsOver reads from a store that holds this part alone.
func blobsOver(t testing.TB, data []byte, groupBytes int) *blobs {
	cfg := &Config{CacheSizeLimit: 1 << 20, PartBytes: 8 * groupBytes}
	b, err := newBlobs(&oneBlob{data: data}, cfg, newMetrics(func() *state { return newState(1) }))
	require.NoError(t, err)
	return b
}

func readGroups(ctx context.Context, b *blobs, p *part) (groups []Columns, err error) {
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

func concatColumns(t testing.TB, groups []Columns) Columns {
	var b ColumnsBuilder
	for _, g := range groups {
		for i := range g.Len() {
			require.NoError(t, b.Add(g.Key(i), g.Val(i), g.Time(i), g.Diff(i)))
		}
	}
	return b.Finish()
}

// partOfGroups is a part of many row groups, with a footer longer than the piece that is
// read last.
func partOfGroups(t testing.TB) (data []byte, p *part, c Columns, groupBytes int) {
	const rows = 3000
	groupBytes = 1000
	var b ColumnsBuilder
	e := newPartEncoder(&Config{PartBytes: 8 * groupBytes})
	for i := range rows {
		r := row{fmt.Appendf(nil, "key-%06d", i), []byte(strings.Repeat("v", i%50)), uint64(i), 1}
		require.NoError(t, b.Add(r.key, r.val, r.time, r.diff))
		if i == 0 {
			e.begin([]row{r}, partInfo{"s", "b", 0})
		}
		require.NoError(t, e.add([]row{r}))
	}
	c = b.Finish()
	data, err := e.finish()
	require.NoError(t, err)
	return data, &part{key: "k", size: int64(len(data)), sum: xxhash.Sum64(data), rows: rows, bytes: c.Size()}, c, groupBytes
}

func TestPartIsReadByGroups(t *testing.T) {
	data, p, c, groupBytes := partOfGroups(t)
	b := blobsOver(t, data, groupBytes)
	last, err := b.checkPart(t.Context(), p)
	require.NoError(t, err)
	footer, err := footerBytes(last.data, p.size)
	require.NoError(t, err)
	require.Greater(t, footer, int64(len(last.data)), "a part of the footer is in another piece")

	groups, err := readGroups(t.Context(), b, p)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(groups), c.Size()/(2*groupBytes))
	for i := range groups {
		require.Less(t, groups[i].Size(), 2*groupBytes)
	}
	requireEqualColumns(t, c, concatColumns(t, groups))
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
		require.Equal(t, p.key, corrupt.Where)
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
	for text, change := range map[string]func(p *part){
		"3000 rows, expected 3001":   func(p *part) { p.rows++ },
		"bytes of updates, expected": func(p *part) { p.bytes++ },
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
