package persist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/persist"
)

// TestSlowListener sleeps while many updates are written: a million in the long form.
// Writers do not wait for it, what the runtime keeps in memory stays within its
// limits, and the listener then hears everything, in order, from the log.
func TestSlowListener(t *testing.T) {
	const perWrite = 1000
	writes := proof.Pick(500, 500, 1000)
	cfg := persist.Config{
		MinStepInterval: time.Millisecond,
		MaxTailBytes:    1 << 20, ListenerWindowBytes: 256 << 10, CacheSizeLimit: 256 << 10,
		FlushBytes: 256 << 10, PartBytes: 64 << 10, MaxLogBytes: 1 << 20, MaxGroupBytes: 64 << 10,
	}
	c := start(t, kinds[1].make(t), cfg)
	w, r := create(t, c, "s")
	s, l := listen(t, r)
	require.Empty(t, read(t, s))
	peak := resources.Watch(t)

	updates := make([]update, perWrite)
	written := 0
	for i := range writes {
		for n := range updates {
			updates[n] = up(fmt.Sprintf("%09d", i*perWrite+n), "some value", uint64(i), 1)
		}
		written += perWrite * (24 + 9 + 10)
		must(t, w.Write(t.Context(), updates))
		if i%10 == 0 {
			must(t, w.Seal(t.Context(), uint64(i)))
		}
	}
	// The limits of Config, and what a flush, a merge and an append that are under way
	// hold, the Parquet library's buffers most of all: that does not grow with what was
	// written.
	const underWay = 16 << 20
	limit := cfg.MaxTailBytes + cfg.ListenerWindowBytes + cfg.CacheSizeLimit + underWay
	used := peak.Sample(t)
	t.Logf("%d bytes in use, %d written, limits of %d", used, written, limit)
	require.Less(t, used, limit)
	require.Greater(t, int64(written), limit, "or the test shows nothing")
	require.LessOrEqual(t, info(t, c, "s").TailBytes, cfg.MaxTailBytes)

	heard, upper := 0, uint64(0)
	for heard < writes*perWrite {
		e := next(t, l)
		if e.Updates == nil {
			upper, _ = e.Sealed.Elem()
			continue
		}
		for _, u := range e.Updates {
			if want := up(fmt.Sprintf("%09d", heard), "some value", uint64(heard/perWrite), 1); u != want || u.Time < upper {
				require.Equal(t, want, u)
			}
			heard++
		}
	}
}

// TestListenerHoldsLog: the log keeps what a slow listener has not heard, up to a
// limit, and lets go of it when the listener has caught up or is closed.
func TestListenerHoldsLog(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		cfg := onDemand()
		cfg.ListenerWindowBytes, cfg.MaxListenerLag = 1, 2<<20 // which is kept to within a MiB
		c := start(t, p, cfg)
		w, r := create(t, c, "s")
		_, lagged := listen(t, r)
		_, current := listen(t, r)
		payload := []update{up("k", strings.Repeat("v", 1<<20), 1, 1)}
		must(t, w.Write(t.Context(), payload))
		require.NoError(t, c.Maintain(t.Context()))
		require.Equal(t, payload, next(t, current).Updates)
		require.Equal(t, payload, next(t, lagged).Updates, "within the limit nothing is lost")
		for range 4 {
			must(t, w.Write(t.Context(), payload))
			require.NoError(t, c.Maintain(t.Context()))
			require.Equal(t, payload, next(t, current).Updates)
		}
		_, err := lagged.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrLagged)
		_, err = lagged.Next(t.Context())
		require.ErrorIs(t, err, persist.ErrLagged, "and it stays so")
		s, again := listen(t, r)
		require.EqualValues(t, 5, read(t, s)[0].Diff)
		must(t, w.Write(t.Context(), payload))
		require.Equal(t, payload, next(t, again).Updates)
	})
}
