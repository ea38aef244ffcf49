package storagetest

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// An open blob is what it was when it was opened, whatever happens to its key.
func testBlobOpen(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	readers := map[string]storage.BlobReader{"the writer": blob}
	if open.OpenReader != nil {
		readers["a reader"] = open.mustOpenReader(t, path)
	}
	opened := map[string]storage.OpenBlob{}
	for who, reader := range readers {
		opener, ok := reader.(storage.Opener)
		if !ok {
			continue
		}
		_, err := opener.Open(t.Context(), "a")
		require.ErrorIs(t, err, storage.ErrNotFound, who)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = opener.Open(ended, "a")
		require.ErrorIs(t, err, context.Canceled, who)
	}
	set(t, blob, "a", []byte("contents"))
	for who, reader := range readers {
		if opener, ok := reader.(storage.Opener); ok {
			o, err := opener.Open(t.Context(), "a")
			require.NoError(t, err, who)
			opened[who] = o
		}
	}
	if len(opened) == 0 {
		t.Skip("blobs cannot be opened")
	}
	readable := func() {
		t.Helper()
		for who, o := range opened {
			require.EqualValues(t, 8, o.Size(), who)
			for from, want := range map[int64]string{0: "contents", 3: "tent", 8: ""} {
				got := make([]byte, len(want))
				require.NoError(t, o.ReadRange(t.Context(), got, from), who)
				require.Equal(t, want, string(got), who)
			}
			for from, size := range map[int64]int{-1: 1, 0: 9, 8: 1, 9: 0, math.MaxInt64: 2} {
				require.ErrorIs(t, o.ReadRange(t.Context(), make([]byte, size), from), storage.ErrInvalidRange, "%s: %d bytes from %d", who, size, from)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, o.ReadRange(ended, make([]byte, 1), 0), context.Canceled, who)
		}
	}
	readable()
	set(t, blob, "a", []byte("others, and more of them"))
	readable()
	require.NoError(t, blob.Delete(t.Context(), "a"))
	readable()
	for who, o := range opened {
		require.NoError(t, o.Close(), who)
		require.NoError(t, o.Close(), "%s: a second Close does nothing", who)
		require.ErrorIs(t, o.ReadRange(t.Context(), make([]byte, 1), 0), storage.ErrClosed, who)
	}
	requireStore(t, blob, nil)
}
