package indexed

import (
	"bytes"
	"context"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

func samplePart(t testing.TB) (data []byte, p *part, c Columns) {
	c = sampleColumns()
	data, err := encodePart(&c)
	require.NoError(t, err)
	return data, &part{key: "batch/0/x-1-0.parquet", size: int64(len(data)), sum: xxhash.Sum64(data), rows: c.Len(), bytes: c.Size()}, c
}

// oneBlob is a store that holds one blob.
type oneBlob struct {
	storage.BlobReader
	data []byte
	err  error
}

func (b *oneBlob) Get(context.Context, string) ([]byte, storage.Version, error) {
	return b.data, "1", b.err
}

func (b *oneBlob) GetRange(_ context.Context, _ string, offset, length int64) ([]byte, error) {
	if b.err == nil && offset+length > int64(len(b.data)) {
		return nil, storage.ErrInvalidRange
	}
	if b.err != nil {
		return nil, b.err
	}
	return bytes.Clone(b.data[offset : offset+length]), nil
}

// Every flipped bit and every truncation of a part is found and named.
func TestFetchDamagedPart(t *testing.T) {
	data, p, c := samplePart(t)
	store := &oneBlob{data: data}
	b, err := newBlobs(store, partConfig{cacheBytes: 1 << 20}, testMetrics())
	require.NoError(t, err)
	back, err := b.fetch(t.Context(), p, newMemory)
	require.NoError(t, err)
	requireEqualColumns(t, c, back)

	requireCorrupt := func(err error) {
		var corrupt *storage.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.Equal(t, p.key, corrupt.Where)
	}
	eachBitFlipped(data, func(flipped []byte, bit int) {
		store.data = flipped
		_, err := b.fetch(t.Context(), p, newMemory)
		requireCorrupt(err)
		if bit%8 == bit/8%8 {
			// Nor may it panic if the checksum were to match by chance.
			_, _ = decodePart(flipped, p, newMemory)
		}
	})
	for n := range data {
		store.data = data[:n]
		_, err := b.fetch(t.Context(), p, newMemory)
		requireCorrupt(err)
		_, err = decodePart(data[:n], p, newMemory)
		require.Error(t, err)
	}
	store.data, store.err = nil, storage.ErrNotFound
	_, err = b.fetch(t.Context(), p, newMemory)
	requireCorrupt(err)
	store.err = storage.ErrClosed
	_, err = b.readPart(t.Context(), p)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.NotErrorIs(t, err, storage.ErrCorrupt)
}

// A store whose own context ended fails the read; it is not asked for ever.
func TestReadPartGivesUpOnItsOwnCancellation(t *testing.T) {
	_, p, _ := samplePart(t)
	b, err := newBlobs(&oneBlob{err: context.Canceled}, partConfig{cacheBytes: 1 << 20}, testMetrics())
	require.NoError(t, err)
	_, err = b.readPart(t.Context(), p)
	require.ErrorIs(t, err, context.Canceled)
}

// A part that is not what the manifest promised is refused, also if it is whole.
func TestDecodePartRefusesAnother(t *testing.T) {
	data, p, _ := samplePart(t)
	for text, change := range map[string]func(p *part){
		"4 rows, expected 5":         func(p *part) { p.rows = 5 },
		"bytes of updates, expected": func(p *part) { p.bytes++ },
		"more than":                  func(p *part) { p.bytes = rowOverhead*p.rows + 1 },
	} {
		t.Run(text, func(t *testing.T) {
			other := *p
			change(&other)
			_, err := decodePart(data, &other, newMemory)
			require.ErrorContains(t, err, text)
		})
	}
}

// The footer's length is checked before anything is allocated for it.
func TestDecodePartChecksItsFooter(t *testing.T) {
	data, p, _ := samplePart(t)
	huge := bytes.Clone(data)
	copy(huge[len(huge)-8:], []byte{0xff, 0xff, 0xff, 0x7f})
	_, err := decodePart(huge, p, newMemory)
	require.ErrorContains(t, err, "footer of 2147483647 bytes")
	for n := range 12 {
		_, err := decodePart(data[:n], p, newMemory)
		require.ErrorContains(t, err, "too few")
	}
}
