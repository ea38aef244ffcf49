package persist_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Shutdown is for all owners, as Stop is, and ends with its context; whoever stops or
// closes the runtime later waits for the same end.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry, faults := mem.NewRegistry(), mem.NewUnreliable()
		c, err := registry.RuntimeUnreliable(t.Context(), faults, persist.Config{})
		require.NoError(t, err)
		w, _, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.Unit)
		require.NoError(t, err)
		clone := c.Clone()
		gate := faults.GateBefore(mem.OpAppend)
		future := w.Write(t.Context(), []persist.Update[string, struct{}]{{Key: "a", Time: 1, Diff: 1}})
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			began := time.Now()
			err := c.Shutdown(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "wait for the log")
			require.Equal(t, 20*time.Millisecond, time.Since(began))
		}
		ends := []func() error{c.Close, c.Close, clone.Close, c.Stop, clone.Stop, func() error { return clone.Shutdown(t.Context()) }}
		ended := make(chan error, len(ends))
		for _, end := range ends {
			go func() { ended <- end() }()
		}
		synctest.Wait()
		require.Empty(t, ended, "the location is not released yet")
		gate.Open()
		for range ends {
			require.NoError(t, <-ended)
		}
		_, err = future.Wait(t.Context())
		require.NoError(t, err, "it was submitted before")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, c.Shutdown(ctx), "it has stopped")
		again, err := registry.Runtime(t.Context(), persist.Config{})
		require.NoError(t, err, "the location was released")
		require.NoError(t, again.Close())
	})
}

// A reader shuts down in the same way, and a last owner who closes begins it.
func TestShutdownOfReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry, faults := mem.NewRegistry(), mem.NewUnreliable()
		place := registry.Place()
		r, err := persist.StartFollow(t.Context(), faults.LogReader(place.OpenLogReader()), faults.BlobReader(place.OpenBlobReader()), persist.Config{FollowInterval: time.Hour})
		require.NoError(t, err)
		gate := faults.GateBefore(mem.OpRead)
		go func() { _ = r.Refresh(context.Background()) }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- r.Close() }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = r.Shutdown(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "a refresh waits for the storage")
		require.Empty(t, closed)
		gate.Open()
		require.NoError(t, <-closed)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}
