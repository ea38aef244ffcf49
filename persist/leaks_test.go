package persist_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// prepared is a place with a stream "s" that has batches, a tail, and a history.
func prepared(t *testing.T, p place) {
	c, err := p.open(t.Context(), onDemand())
	require.NoError(t, err)
	w, _ := create(t, c, "s")
	for i := range uint64(4) {
		must(t, w.Write(t.Context(), []update{up("k", strings.Repeat("v", 500), i, 1)}))
		must(t, w.Seal(t.Context(), i+1))
		require.NoError(t, c.Maintain(t.Context()))
	}
	must(t, w.Write(t.Context(), []update{up("tail", "", 4, 1)}))
	require.NoError(t, c.Stop())
}

// TestOpenCloseCycles: a runtime that is stopped leaves nothing behind, whatever was
// open when it was.
func TestOpenCloseCycles(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		prepared(t, p)
		resources.TierCycles(t, "open/close", func() {
			c, err := p.open(t.Context(), onDemand())
			require.NoError(t, err)
			_, r := create(t, c, "s")
			s, l, err := r.Listen(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, read(t, s))
			follower, err := p.openRead(t.Context(), onDemand())
			require.NoError(t, err)
			snapshot, followed, err := load(t, follower, "s").Listen(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, read(t, snapshot))
			// All of these are open when their runtimes stop, and nobody closes them.
			require.NoError(t, follower.Stop())
			require.NoError(t, c.Stop())
			_, err = l.Next(t.Context())
			require.ErrorIs(t, err, persist.ErrStopped)
			_, err = followed.Next(t.Context())
			require.ErrorIs(t, err, persist.ErrStopped)
		})
	})
}

// TestNewPlaceCycles: whole locations come and go.
func TestNewPlaceCycles(t *testing.T) {
	resources.TierCycles(t, "new places", func() {
		c, err := kinds[0].make(t).open(t.Context(), onDemand())
		require.NoError(t, err)
		w, _, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.String)
		require.NoError(t, err)
		must(t, w.Write(t.Context(), twoUpdates))
		require.NoError(t, c.Maintain(t.Context()))
		require.NoError(t, c.Stop())
	})
}

// TestFailedOpenCycles: an open that fails has given back everything, the lock among
// it, wherever it has failed.
func TestFailedOpenCycles(t *testing.T) {
	t.Run("locked", func(t *testing.T) {
		onPlaces(t, func(t *testing.T, p place) {
			prepared(t, p)
			c := start(t, p, onDemand())
			resources.TierCycles(t, "failed opens, locked", func() {
				_, err := p.open(t.Context(), onDemand())
				require.ErrorIs(t, err, persist.ErrLocked)
			})
			create(t, c, "s")
		})
	})
	t.Run("config", func(t *testing.T) {
		onPlaces(t, func(t *testing.T, p place) {
			prepared(t, p)
			cfg := onDemand()
			cfg.MaxTailBytes = -1
			twice := prometheus.NewRegistry()
			resources.TierCycles(t, "failed opens, config", func() {
				_, err := p.open(t.Context(), cfg)
				require.ErrorIs(t, err, persist.ErrInvalid)
				_, err = p.openRead(t.Context(), cfg)
				require.ErrorIs(t, err, persist.ErrInvalid)
				taken := onDemand()
				taken.Registerer = twice
				c, err := p.openRead(t.Context(), taken)
				require.NoError(t, err)
				_, err = p.open(t.Context(), taken)
				require.Error(t, err, "its metrics are registered")
				require.NoError(t, c.Stop())
			})
			start(t, p, onDemand())
		})
	})
	t.Run("storage", func(t *testing.T) {
		registry := mem.NewRegistry()
		prepared(t, memPlace{registry})
		failing := []mem.Op{mem.OpBounds, mem.OpRead, mem.OpGet, mem.OpList}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		resources.TierCycles(t, "failed opens, storage", func() {
			for _, op := range failing {
				faults := mem.NewUnreliable()
				faults.Inject(mem.Fault{Op: op, Sticky: true})
				c, err := registry.RuntimeUnreliable(t.Context(), faults, onDemand())
				if err == nil { // a list is for the orphans alone
					require.Equal(t, mem.OpList, op)
					require.NoError(t, c.Stop())
				}
			}
			_, err := registry.Runtime(ended, onDemand())
			require.ErrorIs(t, err, context.Canceled)
		})
		start(t, memPlace{registry}, onDemand())
	})
}

// TestSubscribeCycles: listeners that are closed, cancelled, or closed while they
// wait; with a follower as with the owner.
func TestSubscribeCycles(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		prepared(t, p)
		metrics := prometheus.NewPedanticRegistry()
		cfg := onDemand()
		cfg.Registerer = metrics
		c := start(t, p, cfg)
		w, r := create(t, c, "s")
		follower := load(t, startRead(t, p, onDemand()), "s")
		resources.TierCycles(t, "subscribe/cancel", func() {
			for _, from := range []*reader{r, follower} {
				s, l, err := from.Listen(t.Context())
				require.NoError(t, err)
				require.NoError(t, s.Close())
				ctx, cancel := context.WithCancel(t.Context())
				answers := make(chan error, 1)
				go func() {
					_, err := l.Next(ctx)
					answers <- err
				}()
				cancel()
				require.ErrorIs(t, <-answers, context.Canceled)
				go func() {
					_, err := l.Next(t.Context())
					answers <- err
				}()
				require.NoError(t, l.Close())
				require.ErrorIs(t, <-answers, persist.ErrClosed)
			}
			must(t, w.Seal(t.Context(), 4)) // an event for whoever is still there
		})
		require.Zero(t, otherListeners(t, r, metrics))
		require.Zero(t, resources.Metric(t, metrics, "tidemark_listener_window_bytes"))
	})
}

// TestForgottenCycles: snapshots and listeners that nobody reads and nobody closes
// are closed when they are garbage, as documented. Then they hold no batch, no log,
// no file and no event.
func TestForgottenCycles(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		prepared(t, p)
		metrics := prometheus.NewPedanticRegistry()
		cfg := onDemand()
		cfg.Registerer, cfg.Logger = metrics, slog.New(slog.DiscardHandler)
		c := start(t, p, cfg)
		w, r := create(t, c, "s")
		follower := load(t, startRead(t, p, onDemand()), "s")
		time := uint64(4)
		resources.TierCycles(t, "snapshots abandoned", func() {
			for _, from := range []*reader{r, follower} {
				_, err := from.Snapshot(t.Context())
				require.NoError(t, err)
				half, l, err := from.Listen(t.Context())
				require.NoError(t, err)
				for _, err := range half.All(t.Context()) {
					require.NoError(t, err)
					break
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_, err = l.Next(ctx)
				require.ErrorIs(t, err, context.Canceled)
			}
			// What they hold is replaced, at every cycle: the contents stay what they are.
			time++
			must(t, w.Write(t.Context(), []update{up("k", "x", time-1, 1), up("k", "x", time-1, -1)}))
			must(t, w.Seal(t.Context(), time))
			must(t, w.AllowCompaction(t.Context(), frontier.At(time-1)))
			require.NoError(t, c.Maintain(t.Context()))
		})
		resources.Collect(t, func() bool {
			require.NoError(t, c.Maintain(t.Context()))
			return resources.Metric(t, metrics, "tidemark_pinned_blobs") == 0 && resources.Metric(t, metrics, "tidemark_garbage_blobs") == 0 &&
				otherListeners(t, r, metrics) == 0 && resources.Metric(t, metrics, "tidemark_listener_window_bytes") == 0
		})
	})
}

// TestRefusedCommandCycles: commands that are refused or given up give back their
// share of the limits.
func TestRefusedCommandCycles(t *testing.T) {
	cfg := onDemand()
	cfg.MaxTailBytes = 64 << 10
	c, faults, _ := unreliable(t, cfg)
	w, _ := create(t, c, "s")
	must(t, w.Seal(t.Context(), 5))
	half := []update{up("k", strings.Repeat("v", 30<<10), 5, 1)}
	late := []update{up("k", strings.Repeat("v", 30<<10), 1, 1)}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	resources.TierCycles(t, "refused commands", func() {
		require.ErrorIs(t, refused(t, w.Write(t.Context(), late)), persist.ErrSealed)
		require.ErrorIs(t, refused(t, w.Write(ended, half)), context.Canceled)
		faults.SetDown()
		require.ErrorIs(t, refused(t, w.Write(t.Context(), half)), mem.ErrUnavailable)
		faults.SetUp()
	})
	must(t, w.Write(t.Context(), half))
	must(t, w.Write(t.Context(), half)) // there is room for both, and for no third one
}

// otherListeners returns how many listeners are open. A stream that has none has no
// such metric, so one is opened, counted with the others, and closed.
func otherListeners(t *testing.T, r *reader, metrics prometheus.Gatherer) float64 {
	s, l, err := r.Listen(t.Context())
	require.NoError(t, err)
	defer func() {
		require.NoError(t, s.Close())
		require.NoError(t, l.Close())
	}()
	return resources.Metric(t, metrics, "tidemark_listeners") - 1
}
