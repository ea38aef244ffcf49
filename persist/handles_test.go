package persist_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// TestHandlesCarryErrors (8687): a pipeline that is built while the runtime stops
// gets handles all the same, and each of their methods says why.
func TestHandlesCarryErrors(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		good, _ := create(t, c, "good")
		_, _, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.String)
		require.NoError(t, err)
		_, err = c.Destroy(t.Context(), "s")
		require.NoError(t, err)
		bad, badReader, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.String)
		require.ErrorIs(t, err, persist.ErrDestroyed)

		check := func(err error) {
			t.Helper()
			require.ErrorIs(t, err, persist.ErrDestroyed)
		}
		require.Equal(t, "s", bad.StreamName())
		require.Equal(t, "s", badReader.StreamName())
		check(bad.Err())
		check(badReader.Err())
		_, err = bad.StreamID()
		check(err)
		_, err = badReader.Snapshot(t.Context())
		check(err)
		_, _, err = badReader.Listen(t.Context())
		check(err)
		check(refused(t, bad.Write(t.Context(), nil)))
		check(refused(t, bad.Seal(t.Context(), 1)))
		check(refused(t, bad.Finish(t.Context())))
		check(refused(t, bad.AllowCompaction(t.Context(), frontier.At(1))))
		check(refused(t, bad.CompareAndAppend(t.Context(), nil, frontier.At(0), frontier.At(1))))

		multi, err := persist.NewMultiWriteHandle(good, bad)
		require.NoError(t, err, "it has the same shape whatever its members")
		check(multi.Err())
		require.NoError(t, multi.AddStream(good))
		check(refused(t, multi.SealAll(t.Context(), 1)))
		check(refused(t, multi.AllowCompactionAll(t.Context(), frontier.At(1))))
		check(refused(t, multi.WriteAtomic(t.Context(), func(*persist.AtomicWrite) error { return nil })))

		// A broken handle in a sound multi-write handle spoils its own write alone.
		multi, err = persist.NewMultiWriteHandle(good)
		require.NoError(t, err)
		check(refused(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
			return persist.AddWrite(b, bad, nil)
		})))
		must(t, multi.SealAll(t.Context(), 1))

		read := startRead(t, p, persist.Config{})
		broken, err := persist.Load(t.Context(), read, "never registered", codec.String, codec.String)
		require.ErrorIs(t, err, persist.ErrUnknownStream)
		_, err = broken.Snapshot(t.Context())
		require.ErrorIs(t, err, persist.ErrUnknownStream)
	})
}

// Handles that nobody has made carry an error, and so does what is built from them.
func TestEmptyHandles(t *testing.T) {
	c := start(t, memPlace{mem.NewRegistry()}, onDemand())
	good, _ := create(t, c, "good")
	var none *writer
	var empty persist.MultiWriteHandle
	nothing := func(*persist.AtomicWrite) error { return nil }
	require.ErrorIs(t, empty.Err(), persist.ErrInvalid)
	require.ErrorIs(t, empty.AddStream(good), persist.ErrInvalid)
	require.ErrorIs(t, refused(t, empty.WriteAtomic(t.Context(), nothing)), persist.ErrInvalid)
	require.ErrorIs(t, refused(t, empty.SealAll(t.Context(), 1)), persist.ErrInvalid)
	for _, streams := range [][]persist.Stream{{none}, {good, none}, {none, good}, {new(writer)}} {
		m, err := persist.NewMultiWriteHandle(streams...)
		require.NoError(t, err)
		require.ErrorIs(t, m.Err(), persist.ErrInvalid)
		require.ErrorIs(t, refused(t, m.WriteAtomic(t.Context(), nothing)), persist.ErrInvalid)
	}
}
