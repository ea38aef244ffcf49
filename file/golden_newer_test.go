package file_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
)

// A store with one file in a newer format is refused with an error that names the file
// and is not taken for damage, and not one byte of it changes. A part is met when it is
// read; then the rest of the store is readable.
func TestNewerFormatIsRefused(t *testing.T) {
	for _, newer := range []struct {
		name, store, where string
		whole              bool // the store cannot be opened
		make               func(t *testing.T, dir string)
	}{
		{"newest segment", "many", ".log has format version 2", true, func(t *testing.T, dir string) { newerSegment(t, dir, -1) }},
		{"oldest segment", "many", ".log has format version 2", true, func(t *testing.T, dir string) { newerSegment(t, dir, 0) }},
		{"log entry", "compacted", "read log: entry", true, newerEntry},
		{"manifest edit", "compacted", "manifest/edit-", true, func(t *testing.T, dir string) { newerManifest(t, newestBlob(t, dir, "manifest*edit*")) }},
		{"first manifest edit", "compacted", "manifest/edit-00000000000000000001", true, func(t *testing.T, dir string) {
			newerManifest(t, filepath.Join(dir, "blob", "data", "manifest%2fedit-00000000000000000001"))
		}},
		{"manifest base", "many", "manifest/base", true, func(t *testing.T, dir string) {
			newerManifest(t, filepath.Join(dir, "blob", "data", "manifest%2fbase"))
		}},
		{"part", "compacted", "batch/0/", false, newerPart},
	} {
		t.Run(newer.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			dir := unpackGolden(t, filepath.Join(goldenDir, "v1", newer.store+".tar.gz"))
			newer.make(t, dir)
			sum := sumOfStore(t, dir)
			if newer.whole {
				_, err := file.OpenRead(ctx, dir, goldenConfig())
				requireNewer(t, err, newer.where)
				_, err = openGolden(ctx, dir)
				requireNewer(t, err, newer.where)
				require.Equal(t, sum, sumOfStore(t, dir))
				return
			}
			require.Contains(t, describeReading(ctx, dir), file.ErrNewerFormat.Error())
			require.Equal(t, sum, sumOfStore(t, dir))
			// A writer goes on beside it, and may merge other batches.
			part := newestBlob(t, dir, "batch%2f0*")
			sum = sumOfStore(t, part)
			c, err := openGolden(ctx, dir)
			require.NoError(t, err)
			require.Contains(t, describeWriting(ctx, c), "\"round\" \"0\"", "the other stream is readable")
			requireNewer(t, readInventory(t, c), newer.where)
			require.NoError(t, c.Close())
			require.Equal(t, sum, sumOfStore(t, part))
		})
	}
}

func requireNewer(t *testing.T, err error, where string) {
	t.Helper()
	require.ErrorIs(t, err, file.ErrNewerFormat)
	require.ErrorIs(t, err, persist.ErrNewerFormat)
	require.NotErrorIs(t, err, persist.ErrCorrupt)
	require.ErrorContains(t, err, where)
}

func readInventory(t *testing.T, c *persist.Client) error {
	_, read, err := persist.CreateOrLoad(t.Context(), c, "inventory", rawCodec("string"), rawCodec("string"))
	require.NoError(t, err)
	s, err := read.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	_, err = s.ReadToEnd(t.Context())
	return err
}

// changeFile rewrites a file.
func changeFile(t *testing.T, path string, change func(data []byte)) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	change(data)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// newerSegment changes the version of the newest segment, or of the oldest one.
func newerSegment(t *testing.T, dir string, which int) {
	names, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	require.NoError(t, err)
	require.Greater(t, len(names), 1)
	changeFile(t, names[(which+len(names))%len(names)], func(data []byte) {
		binary.LittleEndian.PutUint32(data[8:], 2)
		binary.LittleEndian.PutUint32(data[60:], crc32.Checksum(data[:60], crc32.MakeTable(crc32.Castagnoli)))
	})
}

func newerEntry(t *testing.T, dir string) {
	l, err := file.NewLog(dir, goldenLock)
	require.NoError(t, err)
	b, err := l.Bounds(t.Context())
	require.NoError(t, err)
	_, err = l.Append(t.Context(), b.Last, [][]byte{{2, 1, 2, 0}})
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func newerManifest(t *testing.T, path string) {
	changeFile(t, path, func(data []byte) {
		data[8] = 2
		signManifest(data)
	})
}

// signManifest makes the checksum of a manifest right.
func signManifest(data []byte) {
	body := len(data) - 8
	binary.LittleEndian.PutUint64(data[body:], xxhash.Sum64(data[:body]))
}

// newerPart changes the version in the newest part of the first stream, and the sum of
// the part in the manifest.
func newerPart(t *testing.T, dir string) {
	version := append([]byte("tidemark.version\x18\x01"), '1') // as Thrift writes key and value
	var before, after [8]byte
	changeFile(t, newestBlob(t, dir, "batch%2f0*"), func(data []byte) {
		require.Equal(t, 1, bytes.Count(data, version))
		binary.LittleEndian.PutUint64(before[:], xxhash.Sum64(data))
		data[bytes.Index(data, version)+len(version)-1] = '2'
		binary.LittleEndian.PutUint64(after[:], xxhash.Sum64(data))
	})
	edits, err := filepath.Glob(filepath.Join(dir, "blob", "data", "manifest*"))
	require.NoError(t, err)
	found := 0
	for _, path := range edits {
		changeFile(t, path, func(data []byte) {
			if i := bytes.Index(data, before[:]); i >= 0 {
				copy(data[i:], after[:])
				signManifest(data)
				found++
			}
		})
	}
	require.Equal(t, 1, found)
}
