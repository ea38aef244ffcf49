package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// blobCheck is one promise of a blob store; see logCheck.
type blobCheck struct {
	name string
	run  func(testing.TB, Blobs)
}

var blobTests = []blobCheck{
	{"Absent", testBlobAbsent},
	{"SetGet", testBlobSetGet},
	{"Overwrite", testBlobOverwrite},
	{"KeepsNothing", testBlobKeepsNothing},
	{"Large", testBlobLarge},
	{"TooLarge", testBlobTooLarge},
	{"Range", testBlobRange},
	{"Delete", testBlobDelete},
	{"SetIf", testBlobSetIf},
	{"SetIfRace", testBlobSetIfRace},
	{"OddKeys", testBlobOddKeys},
	{"InvalidKeys", testBlobInvalidKeys},
	{"List", testBlobList},
	{"ListMany", testBlobListMany},
	{"ListWhileChanging", testBlobListWhileChanging},
	{"Reopen", testBlobReopen},
	{"Independent", testBlobIndependent},
	{"History", testBlobHistory},
	{"Readers", testBlobReaders},
	{"ReaderFirst", testBlobReaderFirst},
	{"Atomic", testBlobAtomic},
	{"Pin", testBlobPin},
	{"Open", testBlobOpen},
	{"UseAfterClose", testBlobUseAfterClose},
	{"Cancelled", testBlobCancelled},
	{"SecondOwner", func(t testing.TB, open Blobs) { testSecondOwner(t, open.location(t)) }},
	{"SameOwner", func(t testing.TB, open Blobs) { testSameOwner(t, open.location(t)) }},
	{"LateClose", func(t testing.TB, open Blobs) { testLateClose(t, open.location(t)) }},
	{"ReaderKeepsLock", func(t testing.TB, open Blobs) { testReaderKeepsLock(t, open.location(t)) }},
}

func (open Blobs) mustOpen(t testing.TB, path string, lock storage.LockInfo) storage.Blob {
	t.Helper()
	blob, err := open.Open(t.Context(), path, lock)
	require.NoError(t, err, "open blobs %s for %s", path, lock.Owner)
	closeAtEnd(t, blob)
	return blob
}

func (open Blobs) mustOpenReader(t testing.TB, path string) storage.BlobReader {
	t.Helper()
	if open.OpenReader == nil {
		t.Skip("no readers")
	}
	reader, err := open.OpenReader(t.Context(), path)
	require.NoError(t, err, "open a reader of blobs %s", path)
	closeAtEnd(t, reader)
	return reader
}

// location adapts a new blob store to the tests of locks.
func (open Blobs) location(t testing.TB) location {
	path := newPath("blob")
	l := location{features: open.Features}
	l.open = func(lock storage.LockInfo) (writer, error) {
		blob, err := open.Open(t.Context(), path, lock)
		if err != nil {
			return nil, err
		}
		return &blobWriter{Blob: blob, ctx: t.Context()}, nil
	}
	if open.OpenReader != nil {
		l.openReader = func() (closer, error) { return open.OpenReader(t.Context(), path) }
	}
	return l
}

// blobWriter is a blob store as the tests of locks see it.
type blobWriter struct {
	storage.Blob
	ctx    context.Context
	writes int
}

func (w *blobWriter) write() error {
	w.writes++
	_, err := w.Set(w.ctx, fmt.Sprintf("%p-%d", w, w.writes), []byte("x"))
	return err
}

func (w *blobWriter) contents(t testing.TB) string {
	t.Helper()
	return fmt.Sprint(list(t, w.Blob, ""))
}

// set stores a value and returns its version, which Get must agree with.
func set(t testing.TB, blob storage.Blob, key string, value []byte) storage.Version {
	t.Helper()
	version, err := blob.Set(t.Context(), key, value)
	require.NoError(t, err, "set %q", key)
	require.NotEqual(t, storage.NoVersion, version, "the version of a blob that exists")
	requireBlob(t, blob, key, value, version)
	return version
}

func requireBlob(t testing.TB, blob storage.BlobReader, key string, value []byte, version storage.Version) {
	t.Helper()
	got, gotVersion, err := blob.Get(t.Context(), key)
	require.NoError(t, err, "get %q", key)
	requireBytes(t, value, got, "the contents of %q", key)
	require.Equal(t, version, gotVersion, "the version of %q", key)
}

// requireBytes compares bytes, and does not print megabytes if they differ.
func requireBytes(t testing.TB, want, got []byte, message ...any) {
	t.Helper()
	require.Len(t, got, len(want), message...)
	require.True(t, bytes.Equal(want, got), message...)
}

func requireAbsent(t testing.TB, blob storage.BlobReader, key string) {
	t.Helper()
	_, version, err := blob.Get(t.Context(), key)
	require.ErrorIs(t, err, storage.ErrNotFound, "get %q", key)
	require.Equal(t, storage.NoVersion, version)
	for _, size := range []int64{0, 1} {
		_, err = blob.GetRange(t.Context(), key, 0, size)
		require.ErrorIs(t, err, storage.ErrNotFound, "get a range of %q", key)
	}
}

// list returns the blobs of a prefix, and checks their order.
func list(t testing.TB, blob storage.BlobReader, prefix string) []storage.BlobInfo {
	t.Helper()
	infos, err := tryList(t, blob, prefix)
	require.NoError(t, err, "list %q", prefix)
	return infos
}

func tryList(t testing.TB, blob storage.BlobReader, prefix string) ([]storage.BlobInfo, error) {
	t.Helper()
	var infos []storage.BlobInfo
	var failed error
	for info, err := range blob.List(t.Context(), prefix) {
		if !assert.NoError(t, failed, "the sequence must end with its first error") {
			break
		}
		if err != nil {
			failed = err
			continue
		}
		assert.True(t, strings.HasPrefix(info.Key, prefix), "list %q yielded %q", prefix, info.Key)
		if n := len(infos); n > 0 {
			assert.Greater(t, info.Key, infos[n-1].Key, "keys come in ascending order, each once")
		}
		infos = append(infos, info)
	}
	return infos, failed
}

// requireStore checks that the store holds exactly these blobs.
func requireStore(t testing.TB, blob storage.BlobReader, want map[string][]byte) {
	t.Helper()
	var infos []storage.BlobInfo
	for _, key := range slices.Sorted(maps.Keys(want)) {
		infos = append(infos, storage.BlobInfo{Key: key, Size: int64(len(want[key]))})
	}
	require.Equal(t, infos, list(t, blob, ""), "all blobs, in order, with their sizes")
	for key, value := range want {
		got, _, err := blob.Get(t.Context(), key)
		require.NoError(t, err, "get %q", key)
		requireBytes(t, value, got, "the contents of %q", key)
	}
}
