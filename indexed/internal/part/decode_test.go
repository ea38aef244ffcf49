package part

import (
	"errors"
	"flag"
	"os"
	"path/filepath"

	"bytes"
	"context"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

func samplePart(t testing.TB) (data []byte, p *Part, c Columns) {
	c = someColumns()
	data, err := encodePart(&c)
	require.NoError(t, err)
	return data, &Part{Key: "batch/0/x-1-0.parquet", Size: int64(len(data)), Sum: xxhash.Sum64(data), Rows: c.Len(), Bytes: c.Size()}, c
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
	b, err := NewStore(store, Config{CacheBytes: 1 << 20}, testMetrics())
	require.NoError(t, err)
	back, err := b.fetch(t.Context(), p, newMemory)
	require.NoError(t, err)
	requireEqualColumns(t, c, back)

	requireCorrupt := func(err error) {
		var corrupt *storage.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.Equal(t, p.Key, corrupt.Where)
	}
	everyBitFlipped(data, func(flipped []byte, bit int) {
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
	_, err = cached{b}.readCached(t.Context(), p)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.NotErrorIs(t, err, storage.ErrCorrupt)
}

// A store whose own context ended fails the read; it is not asked for ever.
func TestReadPartGivesUpOnItsOwnCancellation(t *testing.T) {
	_, p, _ := samplePart(t)
	b, err := NewStore(&oneBlob{err: context.Canceled}, Config{CacheBytes: 1 << 20}, testMetrics())
	require.NoError(t, err)
	_, err = cached{b}.readCached(t.Context(), p)
	require.ErrorIs(t, err, context.Canceled)
}

// A part that is not what the manifest promised is refused, also if it is whole.
func TestDecodePartRefusesAnother(t *testing.T) {
	data, p, _ := samplePart(t)
	for text, change := range map[string]func(p *Part){
		"4 rows, expected 5":         func(p *Part) { p.Rows = 5 },
		"bytes of updates, expected": func(p *Part) { p.Bytes++ },
		"more than":                  func(p *Part) { p.Bytes = RowOverhead*p.Rows + 1 },
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

// A part that is whole and of a newer version is no damage.
func TestNewerPart(t *testing.T) {
	data, p, _ := samplePart(t)
	version := []byte(metaVersion + "\x18\x01") // as Thrift writes a key and the length of its value
	require.Equal(t, 1, bytes.Count(data, version))
	data[bytes.Index(data, version)+len(version)]++
	_, err := decodePart(data, p, newMemory)
	require.ErrorIs(t, err, storage.ErrNewerFormat)
	err = wire.Unreadable("place", err)
	require.ErrorIs(t, err, storage.ErrNewerFormat)
	require.NotErrorIs(t, err, storage.ErrCorrupt)
	require.ErrorContains(t, err, "place")
}

var writeGolden = flag.Bool("update", false, "write the golden file if it is missing; that of a released format never changes")

// What format version 1 looks like, for as long as it is to be read. The Parquet library
// may change what it writes.
func TestGoldenPart(t *testing.T) {
	encoded, p, c := samplePart(t)
	path := filepath.Join("testdata", "golden", "part-v1.parquet")
	if _, err := os.Stat(path); *writeGolden && errors.Is(err, os.ErrNotExist) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, encoded, 0o644))
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	back, err := decodePart(data, p, newMemory)
	require.NoError(t, err)
	requireEqualColumns(t, c, back)
}

// What a program with more memory has written in one piece, and this one cannot hold, is
// not damaged.
func TestPartOfALargerProgram(t *testing.T) {
	require.NoError(t, checkReadable("k", maxReadBytes))
	if Narrow == 0 {
		return // every part that was ever written fits
	}
	_, err := new(Store).fetch(t.Context(), &Part{Key: "part-7", Size: 1 << 30, Rows: 1 << 25, Bytes: 1 << 30}, newMemory)
	require.ErrorIs(t, err, storage.ErrTooLarge)
	require.NotErrorIs(t, err, storage.ErrCorrupt)
	require.ErrorContains(t, err, "part-7")
	require.ErrorContains(t, err, "64-bit program")
}
