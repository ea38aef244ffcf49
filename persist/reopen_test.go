package persist_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// TestDelayedClose: a runtime that was replaced by a newer one of the same owner is
// stopped long after. That does no harm to the newer one, nor does its last write.
func TestDelayedClose(t *testing.T) {
	registry := mem.NewMultiRegistry()
	open := func(owner string) (*persist.Client, error) {
		return registry.Open(t.Context(), "p", owner, onDemand())
	}
	old, err := open("owner")
	require.NoError(t, err)
	oldWriter, oldReader := create(t, old, "s")
	must(t, oldWriter.Write(t.Context(), twoUpdates[:1]))
	_, l := listen(t, oldReader)

	c, err := open("owner")
	require.NoError(t, err)
	w, r := create(t, c, "s")
	must(t, w.Write(t.Context(), twoUpdates[1:]))
	require.ErrorIs(t, refused(t, oldWriter.Write(t.Context(), twoUpdates)), persist.ErrStopped)
	_, err = l.Next(t.Context())
	require.ErrorIs(t, err, persist.ErrStopped)
	require.NoError(t, old.Stop())

	_, err = open("another")
	require.ErrorIs(t, err, persist.ErrLocked, "the newer runtime still has the place")
	require.Equal(t, twoUpdates, contents(t, r))
	must(t, w.Write(t.Context(), nil))
	require.NoError(t, c.Stop())
	c, err = open("another")
	require.NoError(t, err)
	require.NoError(t, c.Stop())
}

// TestReopenWithKeptLog opens a location whose log still has what is in batches too,
// since a listener had not heard it. It counts once.
func TestReopenWithKeptLog(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		cfg := onDemand()
		cfg.ListenerWindowBytes = 1
		const rounds = 18 // so many that batches of both kinds are merged
		for round := range uint64(rounds) {
			c := start(t, p, cfg)
			w, r := create(t, c, "s")
			require.EqualValues(t, 6*round, count(t, r))
			s, l, err := r.Listen(t.Context())
			require.NoError(t, err)
			for i := range uint64(3) {
				must(t, w.Write(t.Context(), []update{up("k", "", round, 1), up("later", "", 100, 1)}))
				if i == 1 {
					must(t, w.Seal(t.Context(), round+1-i%2))
				}
				require.NoError(t, c.Maintain(t.Context()))
			}
			require.EqualValues(t, 6*round+6, count(t, r))
			if round == rounds-1 {
				require.Less(t, info(t, c, "s").Batches, rounds)
			}
			require.NoError(t, s.Close())
			require.NoError(t, c.Stop())
			require.NoError(t, l.Close())
		}
	})
}

// TestReopenAfterWriteDuringFlush writes to a stream that has just been flushed,
// before the manifest says so. The log, which is kept for a listener, then has both
// what is in a batch and what is not.
func TestReopenAfterWriteDuringFlush(t *testing.T) {
	cfg := onDemand()
	cfg.ListenerWindowBytes = 1
	registry := mem.NewRegistry()
	// Which of the streams is flushed first is not for the test to say.
	for round := range int64(10) {
		faults := mem.NewUnreliable()
		c, err := registry.RuntimeUnreliable(t.Context(), faults, cfg)
		require.NoError(t, err)
		for _, name := range []string{"a", "b"} {
			w, r := create(t, c, name)
			require.Equal(t, 2*round, count(t, r))
			listen(t, r)
			must(t, w.Write(t.Context(), twoUpdates[:1]))
		}
		after := faults.GateAfter(mem.OpSet)
		maintained := make(chan error)
		go func() { maintained <- c.Maintain(t.Context()) }()
		require.NoError(t, after.Wait(t.Context(), 1))
		before := faults.GateBefore(mem.OpSet)
		after.Open()
		require.NoError(t, before.Wait(t.Context(), 1))
		for _, name := range []string{"a", "b"} {
			w, _ := create(t, c, name)
			must(t, w.Write(t.Context(), twoUpdates[1:]))
		}
		before.Open()
		require.NoError(t, <-maintained)
		require.NoError(t, c.Stop())
	}
}
