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
		name, version, store, where string
		whole                       bool // the store cannot be opened
		make                        func(t *testing.T, dir string)
	}{
		{"newest segment", "v1", "many", ".log has format version 2", true, func(t *testing.T, dir string) { newerSegment(t, dir, -1) }},
		{"oldest segment", "v1", "many", ".log has format version 2", true, func(t *testing.T, dir string) { newerSegment(t, dir, 0) }},
		{"log entry", "v1", "compacted", "read log: entry", true, newerEntry},
		{"manifest edit", "v1", "compacted", "manifest/edit-", true, func(t *testing.T, dir string) { newerManifest(t, newestBlob(t, dir, "manifest*edit*")) }},
		{"first manifest edit", "v1", "compacted", "manifest/edit-00000000000000000001", true, func(t *testing.T, dir string) {
			newerManifest(t, filepath.Join(dir, "blob", "data", "manifest%2fedit-00000000000000000001"))
		}},
		{"manifest base", "v1", "many", "manifest/base", true, func(t *testing.T, dir string) {
			newerManifest(t, filepath.Join(dir, "blob", "data", "manifest%2fbase"))
		}},
		{"part", "v1", "compacted", "batch/0/", false, newerPart},
		{"directory of a part", "v2", "compacted", "batch/0/", false, newerDirectory},
	} {
		t.Run(newer.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			dir := unpackGolden(t, filepath.Join(goldenDir, newer.version, newer.store+".tar.gz"))
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
		data[8] = 0xff
		signManifest(data)
	})
}

// signManifest makes the checksum of a manifest right.
func signManifest(data []byte) {
	body := len(data) - 8
	binary.LittleEndian.PutUint64(data[body:], xxhash.Sum64(data[:body]))
}

// newerPart changes the version in the newest part of the first stream, and the sum of
// the part in the manifest. The part has no directory: the footer of one that has is not read.
func newerPart(t *testing.T, dir string) {
	version := append([]byte("tidemark.version\x18\x01"), '1') // as Thrift writes key and value
	var before, after uint64
	changeFile(t, newestBlob(t, dir, "batch%2f0*"), func(data []byte) {
		require.Equal(t, 1, bytes.Count(data, version))
		before = xxhash.Sum64(data)
		data[bytes.Index(data, version)+len(version)-1] = '2'
		after = xxhash.Sum64(data)
	})
	changeSum(t, dir, before, after)
}

// newerDirectory changes the version of the directory of the newest part of the first stream,
// and the sums of both in the manifest.
func newerDirectory(t *testing.T, dir string) {
	part := newestBlob(t, dir, "batch%2f0*")
	data, err := os.ReadFile(part)
	require.NoError(t, err)
	var manifest []byte
	for _, path := range manifestFiles(t, dir) {
		edit, err := os.ReadFile(path)
		require.NoError(t, err)
		manifest = append(manifest, edit...)
	}
	// It ends where the footer begins, and the manifest has its sum.
	end := len(data) - 8 - int(binary.LittleEndian.Uint32(data[len(data)-8:]))
	at := end - 1
	for !bytes.Contains(manifest, binary.LittleEndian.AppendUint64(nil, xxhash.Sum64(data[at:end]))) {
		at--
		require.Positive(t, at, "the manifest has no sum of a directory")
	}
	sum, sumOfAll := xxhash.Sum64(data[at:end]), xxhash.Sum64(data)
	changeFile(t, part, func(data []byte) { data[at]++ })
	data[at]++
	changeSum(t, dir, sum, xxhash.Sum64(data[at:end]))
	changeSum(t, dir, sumOfAll, xxhash.Sum64(data))
}

func manifestFiles(t *testing.T, dir string) []string {
	names, err := filepath.Glob(filepath.Join(dir, "blob", "data", "manifest*"))
	require.NoError(t, err)
	return names
}

// changeSum puts a sum in the place of another one in the manifest, which must be there once.
func changeSum(t *testing.T, dir string, before, after uint64) {
	found := 0
	for _, path := range manifestFiles(t, dir) {
		changeFile(t, path, func(data []byte) {
			if i := bytes.Index(data, binary.LittleEndian.AppendUint64(nil, before)); i >= 0 {
				binary.LittleEndian.PutUint64(data[i:], after)
				signManifest(data)
				found++
			}
		})
	}
	require.Equal(t, 1, found)
}
