package storagetest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

func testBlobAbsent(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	requireStore(t, blob, nil)
	requireAbsent(t, blob, "a")
	require.NoError(t, blob.Delete(t.Context(), "a"), "deleting what does not exist")
	requireAbsent(t, blob, "a")
	requireStore(t, blob, nil)
}

func testBlobSetGet(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	want := map[string][]byte{
		"nil":    nil,
		"empty":  {},
		"text":   []byte("text"),
		"zeros":  make([]byte, 4096),
		"binary": {0, '\r', '\n', 0xff, 0xfe, 0x1a},
		"page":   pattern(65537),
	}
	for key, value := range want {
		set(t, blob, key, value)
	}
	requireStore(t, blob, want)
	for _, absent := range []string{"tex", "text2", "TEXT", "text/"} {
		requireAbsent(t, blob, absent)
	}
}

func testBlobOverwrite(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	for _, size := range []int{1000, 10, 0, 5, 70000, 69999, 1} {
		set(t, blob, "a", pattern(size))
		requireStore(t, blob, map[string][]byte{"a": pattern(size)})
	}
	// The same contents again.
	set(t, blob, "a", pattern(1))
	require.NoError(t, blob.Close())
	requireStore(t, open.mustOpen(t, path, alice), map[string][]byte{"a": pattern(1)})
}

// The store must not keep the bytes that it is given, nor hand out the bytes that it keeps.
func testBlobKeepsNothing(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	value := []byte("value")
	version := set(t, blob, "a", value)
	copy(value, "XXXXX")
	requireBlob(t, blob, "a", []byte("value"), version)

	got, _, err := blob.Get(t.Context(), "a")
	require.NoError(t, err)
	copy(got, "XXXXX")
	requireBlob(t, blob, "a", []byte("value"), version)
	got, err = blob.GetRange(t.Context(), "a", 1, 3)
	require.NoError(t, err)
	copy(got, "XXX")
	requireBlob(t, blob, "a", []byte("value"), version)

	kept, _, err := blob.Get(t.Context(), "a")
	require.NoError(t, err)
	set(t, blob, "a", []byte("VALUE"))
	require.Equal(t, "value", string(kept), "what was read before a Set")
}

func testBlobLarge(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	size := open.Features.largest()
	large := pattern(size)
	set(t, blob, "large", large)
	got, err := blob.GetRange(t.Context(), "large", int64(size/3), int64(size/2))
	require.NoError(t, err)
	requireBytes(t, large[size/3:size/3+size/2], got)
	require.NoError(t, blob.Close())
	requireStore(t, open.mustOpen(t, path, alice), map[string][]byte{"large": large})
}

func testBlobTooLarge(t testing.TB, open Blobs) {
	if open.Features.MaxSize == 0 {
		t.Skip("no limit stated")
	}
	blob := open.mustOpen(t, newPath("blob"), alice)
	version := set(t, blob, "a", []byte("value"))
	_, err := blob.Set(t.Context(), "a", pattern(open.Features.MaxSize+1))
	require.ErrorIs(t, err, storage.ErrTooLarge)
	_, err = blob.SetIf(t.Context(), "a", pattern(open.Features.MaxSize+1), version)
	require.ErrorIs(t, err, storage.ErrTooLarge)
	requireBlob(t, blob, "a", []byte("value"), version)
}

func testBlobRange(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	const size = 1000
	value := pattern(size)
	set(t, blob, "a", value)
	set(t, blob, "empty", nil)
	for _, r := range []struct{ offset, length int64 }{
		{0, size}, {0, 1}, {size - 1, 1}, {300, 400}, {1, size - 1}, {0, 0}, {500, 0}, {size, 0},
	} {
		got, err := blob.GetRange(t.Context(), "a", r.offset, r.length)
		require.NoError(t, err, "%+v", r)
		requireBytes(t, value[r.offset:r.offset+r.length], got, "%+v", r)
	}
	for _, r := range []struct{ offset, length int64 }{
		{0, size + 1}, {1, size}, {size, 1}, {size + 1, 0}, {size + 1, 1}, {-1, 1}, {0, -1}, {-1, -1}, {-1, 0},
		{math.MaxInt64, 1}, {1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, 1}, {0, math.MinInt64},
	} {
		_, err := blob.GetRange(t.Context(), "a", r.offset, r.length)
		require.ErrorIs(t, err, storage.ErrInvalidRange, "%+v", r)
	}
	got, err := blob.GetRange(t.Context(), "empty", 0, 0)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = blob.GetRange(t.Context(), "empty", 0, 1)
	require.ErrorIs(t, err, storage.ErrInvalidRange)
}

func testBlobDelete(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	set(t, blob, "a", []byte("A"))
	set(t, blob, "b", []byte("B"))
	for range 2 {
		require.NoError(t, blob.Delete(t.Context(), "a"))
		requireAbsent(t, blob, "a")
		requireStore(t, blob, map[string][]byte{"b": []byte("B")})
	}
	set(t, blob, "a", []byte("again"))
	requireStore(t, blob, map[string][]byte{"a": []byte("again"), "b": []byte("B")})
	require.NoError(t, blob.Delete(t.Context(), "a"))
	require.NoError(t, blob.Delete(t.Context(), "b"))
	require.NoError(t, blob.Close())
	requireStore(t, open.mustOpen(t, path, alice), nil)
}

func testBlobReopen(t testing.TB, open Blobs) {
	path := newPath("blob")
	want := map[string][]byte{}
	for i, lock := range []storage.LockInfo{alice, alice, bob, alice} {
		blob := open.mustOpen(t, path, lock)
		requireStore(t, blob, want)
		key := fmt.Sprintf("%s-%d", lock.Owner, i)
		want[key], want["shared"] = pattern(i*100), pattern(i)
		version := set(t, blob, key, want[key])
		set(t, blob, "shared", want["shared"])
		require.NoError(t, blob.Close())

		// A version outlives the handle.
		blob = open.mustOpen(t, path, lock)
		requireBlob(t, blob, key, want[key], version)
		want[key] = []byte("replaced")
		_, err := blob.SetIf(t.Context(), key, want[key], version)
		require.NoError(t, err)
		require.NoError(t, blob.Close())
	}
}

func testBlobIndependent(t testing.TB, open Blobs) {
	one := open.mustOpen(t, newPath("blob"), alice)
	two := open.mustOpen(t, newPath("blob"), bob)
	set(t, one, "a", []byte("one"))
	requireStore(t, two, nil)
	_, err := two.SetIf(t.Context(), "a", []byte("two"), storage.NoVersion)
	require.NoError(t, err)
	requireStore(t, one, map[string][]byte{"a": []byte("one")})
	require.NoError(t, one.Delete(t.Context(), "a"))
	require.NoError(t, one.Close())
	requireStore(t, two, map[string][]byte{"a": []byte("two")})
}

// A random history of one store is compared with a map.
func testBlobHistory(t testing.TB, open Blobs) {
	keys := []string{"a", "a/b", "a/c", "b", "ab", "b/"}
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 1))
		path := newPath("blob")
		blob := open.mustOpen(t, path, alice)
		want := map[string][]byte{}
		versions := map[string]storage.Version{}
		for range 60 {
			key := keys[random.IntN(len(keys))]
			value := pattern(random.IntN(500))
			switch random.IntN(10) {
			case 0, 1, 2:
				want[key], versions[key] = value, set(t, blob, key, value)
			case 3, 4:
				version, err := blob.SetIf(t.Context(), key, value, versions[key])
				require.NoError(t, err, "seed %d", seed)
				want[key], versions[key] = value, version
			case 5:
				_, err := blob.SetIf(t.Context(), key, value, versions[key]+"x")
				require.ErrorIs(t, err, storage.ErrConflict, "seed %d", seed)
			case 6, 7:
				require.NoError(t, blob.Delete(t.Context(), key))
				delete(want, key)
				delete(versions, key)
			case 8:
				if _, ok := want[key]; ok {
					requireBlob(t, blob, key, want[key], versions[key])
				} else {
					requireAbsent(t, blob, key)
				}
			case 9:
				require.NoError(t, blob.Close())
				blob = open.mustOpen(t, path, alice)
			}
		}
		requireStore(t, blob, want)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			requireBlob(t, blob, key, want[key], versions[key])
		}
	}
}

func testBlobUseAfterClose(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	version := set(t, blob, "a", []byte("A"))
	require.NoError(t, blob.Close())
	require.NoError(t, blob.Close(), "a second Close does nothing")
	requireClosedBlob(t, blob)
	_, err := blob.Set(t.Context(), "a", []byte("x"))
	require.ErrorIs(t, err, storage.ErrClosed)
	_, err = blob.SetIf(t.Context(), "a", []byte("x"), version)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorIs(t, blob.Delete(t.Context(), "a"), storage.ErrClosed)
	requireStore(t, open.mustOpen(t, path, bob), map[string][]byte{"a": []byte("A")})

	if open.OpenReader != nil {
		reader := open.mustOpenReader(t, path)
		require.NoError(t, reader.Close())
		require.NoError(t, reader.Close(), "a second Close does nothing")
		requireClosedBlob(t, reader)
	}
}

func requireClosedBlob(t testing.TB, blob storage.BlobReader) {
	t.Helper()
	_, _, err := blob.Get(t.Context(), "a")
	require.ErrorIs(t, err, storage.ErrClosed)
	_, err = blob.GetRange(t.Context(), "a", 0, 1)
	require.ErrorIs(t, err, storage.ErrClosed)
	infos, err := tryList(t, blob, "")
	require.ErrorIs(t, err, storage.ErrClosed)
	require.Empty(t, infos)
	if pinner, ok := blob.(storage.Pinner); ok {
		_, err = pinner.Pin(t.Context(), "a")
		require.ErrorIs(t, err, storage.ErrClosed)
	}
	if opener, ok := blob.(storage.Opener); ok {
		_, err = opener.Open(t.Context(), "a")
		require.ErrorIs(t, err, storage.ErrClosed)
	}
}

func testBlobCancelled(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	version := set(t, blob, "a", []byte("A"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, setErr := blob.Set(ctx, "a", []byte("x"))
	_, setIfErr := blob.SetIf(ctx, "a", []byte("x"), version)
	for _, err := range []error{setErr, setIfErr, blob.Delete(ctx, "a")} {
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, storage.ErrNoEffect, "the mutation had not begun")
	}
	requireBlob(t, blob, "a", []byte("A"), version)
	_, _, err := blob.Get(ctx, "a")
	require.ErrorIs(t, err, context.Canceled)
	_, err = blob.GetRange(ctx, "a", 0, 1)
	require.ErrorIs(t, err, context.Canceled)
	yields := 0
	for _, err := range blob.List(ctx, "") {
		yields++
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, 1, yields, "one error, and nothing before or after it")
	set(t, blob, "a", []byte("B"))
}
