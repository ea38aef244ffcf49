package persist_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// unreliable opens a runtime in memory whose storage fails on demand.
func unreliable(t *testing.T, cfg persist.Config) (*persist.Client, *mem.Unreliable, *mem.Registry) {
	registry, faults := mem.NewRegistry(), mem.NewUnreliable()
	c, err := registry.RuntimeUnreliable(t.Context(), faults, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		faults.SetUp()
		_ = c.Stop()
	})
	return c, faults, registry
}

// TestFailedCommandLeavesNoTrace submits commands that rest on one another, and the
// log takes none of them. None may be answered as if another one had been taken.
func TestFailedCommandLeavesNoTrace(t *testing.T) {
	c, faults, _ := unreliable(t, onDemand())
	w, r := create(t, c, "s")

	// All of them share an append: the first command is on its way until the rest
	// have been decided.
	gate := faults.GateBefore(mem.OpAppend)
	first := w.Write(t.Context(), twoUpdates)
	require.NoError(t, gate.Wait(t.Context(), 1))

	seal := w.Seal(t.Context(), 5)
	early := w.Write(t.Context(), []update{up("a", "", 1, 1)})
	compare := w.CompareAndAppend(t.Context(), []update{up("b", "", 2, 1)}, frontier.At(0), frontier.At(3))
	back := w.Seal(t.Context(), 2)
	created, destroyed := make(chan error, 2), make(chan error, 2)
	for range 2 {
		go func() {
			_, _, err := persist.CreateOrLoad(t.Context(), c, "new", codec.String, codec.String)
			created <- err
		}()
		go func() {
			was, err := c.Destroy(t.Context(), "s")
			if err == nil {
				err = fmt.Errorf("destroy answered %v", was)
			}
			destroyed <- err
		}()
	}
	faults.SetDown()
	gate.Open()
	for _, f := range []*persist.Future[storage.SeqNo]{first, seal, early, compare, back} {
		require.ErrorIs(t, refused(t, f), storage.ErrNoEffect)
	}
	for range 2 {
		require.ErrorIs(t, <-created, storage.ErrNoEffect, "a stream that nobody has registered")
		require.ErrorIs(t, <-destroyed, storage.ErrNoEffect)
	}

	faults.SetUp()
	must(t, w.Write(t.Context(), []update{up("a", "", 1, 1)}))
	require.Equal(t, []update{up("a", "", 1, 1)}, contents(t, r))
	_, other := create(t, c, "other")
	_, fresh := create(t, c, "new")
	otherID, _ := other.StreamID()
	freshID, _ := fresh.StreamID()
	require.NotEqual(t, otherID, freshID)
}
