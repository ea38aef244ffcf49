package storagetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

func testBlobSetIf(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	setIf := func(value string, expected storage.Version) (storage.Version, error) {
		return blob.SetIf(t.Context(), "a", []byte(value), expected)
	}
	_, err := setIf("x", "made-up")
	require.ErrorIs(t, err, storage.ErrConflict, "a version that never was, of a blob that does not exist")
	requireAbsent(t, blob, "a")

	first, err := setIf("first", storage.NoVersion)
	require.NoError(t, err)
	requireBlob(t, blob, "a", []byte("first"), first)
	for _, expected := range []storage.Version{storage.NoVersion, "made-up", first + "x"} {
		version, err := setIf("x", expected)
		require.ErrorIs(t, err, storage.ErrConflict, "expected %q", expected)
		require.Equal(t, storage.NoVersion, version)
		requireBlob(t, blob, "a", []byte("first"), first)
	}

	second, err := setIf("second", first)
	require.NoError(t, err)
	requireBlob(t, blob, "a", []byte("second"), second)
	require.NotEqual(t, first, second)
	_, err = setIf("x", first)
	require.ErrorIs(t, err, storage.ErrConflict)

	// Set and SetIf use the same versions.
	third := set(t, blob, "a", []byte("third"))
	_, err = setIf("x", second)
	require.ErrorIs(t, err, storage.ErrConflict)
	_, err = setIf("fourth", third)
	require.NoError(t, err)

	require.NoError(t, blob.Delete(t.Context(), "a"))
	_, err = setIf("x", third)
	require.ErrorIs(t, err, storage.ErrConflict)
	requireAbsent(t, blob, "a")
	fifth, err := setIf("fifth", storage.NoVersion)
	require.NoError(t, err)
	requireBlob(t, blob, "a", []byte("fifth"), fifth)
	requireStore(t, blob, map[string][]byte{"a": []byte("fifth")})
}

// writers returns n handles for goroutines that write at once: different ones if the location
// may be shared, otherwise the same handle n times.
func (open Blobs) writers(t testing.TB, path string, n int) []storage.Blob {
	t.Helper()
	first := open.mustOpen(t, path, alice)
	writers := slices.Repeat([]storage.Blob{first}, n)
	if open.Features.Exclusion == Share {
		for i := range writers[1:] {
			writers[i+1] = open.mustOpen(t, path, storage.LockInfo{Owner: fmt.Sprintf("owner %d", i)})
		}
	}
	return writers
}

// Exactly one of several conditional sets with the same expectation wins.
func testBlobSetIfRace(t testing.TB, open Blobs) {
	const racers = 8
	path := newPath("blob")
	writers := open.writers(t, path, racers)
	expected := storage.NoVersion
	for round := range 10 {
		var wins atomic.Int64
		var winner atomic.Value
		var group sync.WaitGroup
		start := make(chan struct{})
		for i, writer := range writers {
			group.Go(func() {
				<-start
				value := fmt.Sprintf("round %d racer %d", round, i)
				version, err := writer.SetIf(t.Context(), "a", []byte(value), expected)
				if err == nil {
					wins.Add(1)
					winner.Store([2]string{value, string(version)})
				} else {
					assert.ErrorIs(t, err, storage.ErrConflict)
				}
			})
		}
		close(start)
		group.Wait()
		require.EqualValues(t, 1, wins.Load(), "winners in round %d", round)
		won, ok := winner.Load().([2]string)
		require.True(t, ok)
		requireBlob(t, writers[0], "a", []byte(won[0]), storage.Version(won[1]))
		expected = storage.Version(won[1])
		if round%3 == 2 {
			require.NoError(t, writers[0].Delete(t.Context(), "a"))
			expected = storage.NoVersion
		}
	}
}

func testBlobReaders(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	readers := []storage.BlobReader{open.mustOpenReader(t, path), open.mustOpenReader(t, path)}
	want := map[string][]byte{}
	check := func() {
		t.Helper()
		for _, reader := range readers {
			requireStore(t, reader, want)
		}
	}
	check()
	want["a"], want["b"] = []byte("A"), []byte("B")
	version := set(t, blob, "a", want["a"])
	set(t, blob, "b", want["b"])
	check()
	for _, reader := range readers {
		requireBlob(t, reader, "a", []byte("A"), version)
		requireAbsent(t, reader, "c")
		got, err := reader.GetRange(t.Context(), "a", 0, 1)
		require.NoError(t, err)
		require.Equal(t, "A", string(got))
	}
	want["a"] = []byte("replaced")
	set(t, blob, "a", want["a"])
	check()
	delete(want, "b")
	require.NoError(t, blob.Delete(t.Context(), "b"))
	check()

	// One reader is closed. That does not affect the other one and the writer.
	require.NoError(t, readers[0].Close())
	readers = readers[1:]
	want["c"] = []byte("C")
	set(t, blob, "c", want["c"])
	check()

	// The writer is closed and opened again. The reader goes on.
	require.NoError(t, blob.Close())
	check()
	blob = open.mustOpen(t, path, bob)
	want["d"] = []byte("D")
	set(t, blob, "d", want["d"])
	check()
}

func testBlobReaderFirst(t testing.TB, open Blobs) {
	path := newPath("blob")
	reader := open.mustOpenReader(t, path)
	requireStore(t, reader, nil)
	requireAbsent(t, reader, "a")
	blob := open.mustOpen(t, path, alice)
	requireStore(t, reader, nil)
	set(t, blob, "a", []byte("A"))
	requireStore(t, reader, map[string][]byte{"a": []byte("A")})
}

// Beside a writer, every reader sees one of the values that were set, as a whole.
func testBlobAtomic(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	views := []storage.BlobReader{blob}
	if open.OpenReader != nil {
		views = append(views, open.mustOpenReader(t, path), open.mustOpenReader(t, path))
	}
	set(t, blob, "a", uniform(0))
	var started, finished atomic.Int64
	var done atomic.Bool
	var group sync.WaitGroup
	steps := newStep(len(views))
	for i, view := range views {
		group.Go(func() {
			defer steps.leave(i)
			for final := false; !final && !t.Failed(); steps.round(i) {
				final = done.Load()
				least := finished.Load()
				value, version, err := view.Get(t.Context(), "a")
				if !assert.NoError(t, err) {
					return
				}
				n := uniformNumber(value)
				assert.NotEqual(t, storage.NoVersion, version)
				assert.GreaterOrEqual(t, n, least, "a value older than one that was acknowledged, or a mixture")
				assert.LessOrEqual(t, n, started.Load(), "a value that nobody set")
				if value, _, err := view.Get(t.Context(), "comes and goes"); err == nil {
					assert.Equal(t, uniform(3), value)
				} else if !assert.ErrorIs(t, err, storage.ErrNotFound) {
					return
				}
			}
		})
	}
	for n := int64(1); n <= 60 && !t.Failed(); n++ {
		steps.await()
		started.Store(n)
		_, err := blob.Set(t.Context(), "a", uniform(n))
		assert.NoError(t, err)
		finished.Store(n)
		if n%2 == 0 {
			assert.NoError(t, blob.Delete(t.Context(), "comes and goes"))
		} else {
			_, err = blob.Set(t.Context(), "comes and goes", uniform(3))
			assert.NoError(t, err)
		}
	}
	done.Store(true)
	group.Wait()
}

// uniform returns a value that repeats n; the size goes up and down with n.
func uniform(n int64) []byte {
	var value []byte
	for range 1 + (n*37)%101*20 {
		value = binary.BigEndian.AppendUint64(value, uint64(n))
	}
	return value
}

// uniformNumber returns the n of a value of uniform, or -1 for any other value.
func uniformNumber(value []byte) int64 {
	if len(value) < 8 {
		return -1
	}
	n := int64(binary.BigEndian.Uint64(value))
	if n < 0 || n > 1<<20 || !slices.Equal(value, uniform(n)) {
		return -1
	}
	return n
}

func testBlobPin(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	reader := open.mustOpenReader(t, path)
	pinner, ok := reader.(storage.Pinner)
	if !ok {
		t.Skip("readers cannot pin blobs")
	}
	_, err := pinner.Pin(t.Context(), "a")
	require.ErrorIs(t, err, storage.ErrNotFound)

	set(t, blob, "a", []byte("contents"))
	set(t, blob, "b", []byte("B"))
	first, err := pinner.Pin(t.Context(), "a")
	require.NoError(t, err)
	second, err := pinner.Pin(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, blob.Delete(t.Context(), "a"))
	requireAbsent(t, blob, "a")
	readable := func() {
		t.Helper()
		got, _, err := reader.Get(t.Context(), "a")
		require.NoError(t, err, "a pinned blob")
		require.Equal(t, "contents", string(got))
		got, err = reader.GetRange(t.Context(), "a", 3, 4)
		require.NoError(t, err, "a pinned blob")
		require.Equal(t, "tent", string(got))
	}
	readable()
	first()
	first() // a second call must not release the other pin
	readable()
	second()
	requireAbsent(t, reader, "a")

	// A pin changes nothing for other readers, and ends with its own reader.
	set(t, blob, "a", []byte("contents"))
	release, err := pinner.Pin(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	release()
	requireStore(t, blob, map[string][]byte{"a": []byte("contents"), "b": []byte("B")})
	requireStore(t, open.mustOpenReader(t, path), map[string][]byte{"a": []byte("contents"), "b": []byte("B")})
}

// isOneOf says whether err matches any of the targets.
func isOneOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
