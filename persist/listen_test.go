package persist_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/persist"
)

// TestListenerOfDestroyedStream falls behind, so far that the log has to keep what
// it has not heard, and hears it all the same before it hears of the end.
func TestListenerOfDestroyedStream(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		cfg := onDemand()
		cfg.ListenerWindowBytes = 1
		c := start(t, p, cfg)
		w, r := create(t, c, "s")
		other, _ := create(t, c, "other")
		_, l := listen(t, r)
		for i := range 10 {
			must(t, w.Write(t.Context(), []update{up(fmt.Sprint(i), "", 1, 1)}))
		}
		destroyed, err := c.Destroy(t.Context(), "s")
		require.NoError(t, err)
		require.True(t, destroyed)
		must(t, other.Write(t.Context(), []update{up("x", "", 1, 1)}))
		require.NoError(t, c.Maintain(t.Context()))

		for i := range 10 {
			require.Equal(t, []update{up(fmt.Sprint(i), "", 1, 1)}, next(t, l).Updates)
		}
		_, err = l.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrDestroyed)
	})
}

// TestListenerOfQuietStream waits while the log moves on with other streams and is
// truncated. What its stream gets then is more than the window holds, so it has to
// come from what is left of the log.
func TestListenerOfQuietStream(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		cfg := onDemand()
		cfg.ListenerWindowBytes = 1
		c := start(t, p, cfg)
		w, r := create(t, c, "quiet")
		other, _ := create(t, c, "busy")
		_, l := listen(t, r)
		for i := range 10 {
			must(t, other.Write(t.Context(), []update{up("x", "", 1, 1)}))
			require.NoError(t, c.Maintain(t.Context()))
			if i%3 == 2 {
				at := must(t, w.Write(t.Context(), []update{up("a", "", 1, 1)}))
				require.Equal(t, event{Updates: []update{up("a", "", 1, 1)}, SeqNo: at}, next(t, l))
			}
		}
	})
}

// A listener that was closed delivers nothing more, also not what it had taken before.
func TestListenerEndsAtClose(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		_, l := listen(t, r)
		for i := range uint64(100) {
			must(t, w.Write(t.Context(), []update{up("a", "", i, 1)}))
		}
		_, err := l.Next(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = l.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrClosed)
	})
}

// A Next in the middle of Close skips nothing: it delivers what follows what was delivered
// before, or the end.
func TestListenerSkipsNothingAtClose(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		_, l := listen(t, r)
		write := func(at uint64) { must(t, w.Write(t.Context(), []update{up("a", "", at, 1)})) }
		for at := range uint64(3) {
			write(at)
		}
		require.Equal(t, []update{up("a", "", 0, 1)}, next(t, l).Updates) // and has taken the others
		write(3)
		l.OnClose(func() { require.Equal(t, []update{up("a", "", 1, 1)}, next(t, l).Updates) })
		require.NoError(t, l.Close())
		_, err := l.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrClosed)
	})
}
