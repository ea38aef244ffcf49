package indexed_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// A listener to which nothing happens holds back no log, and is not told that it
// lagged when something does and the window is too small for it.
func TestIdleListenerMovesOn(t *testing.T) {
	cfg := still()
	cfg.ListenerWindowBytes = 1
	f := newFixture(t, cfg)
	quiet, busy := f.register("quiet"), f.register("busy")
	_, l, err := f.Listen(f.ctx, quiet)
	require.NoError(t, err)
	for i := range uint64(3) {
		f.write(busy, up("x", i))
		f.round(true)
	}
	bounds, err := f.LogBounds(f.ctx)
	require.NoError(t, err)
	require.Equal(t, bounds.Last, bounds.After, "the log was truncated")
	seqno := f.write(quiet, up("a", 1))
	e, err := l.Next(f.ctx)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%s [k=a @1 +1]", seqno), showEvent(e))
	require.NoError(t, l.Close())
}

// A slow listener keeps its part of the log, also of a stream that is destroyed, until
// it holds back too much.
func TestSlowListenerKeepsItsLog(t *testing.T) {
	cfg := still()
	cfg.ListenerWindowBytes = 1
	f := newFixture(t, cfg)
	id, other := f.register("s"), f.register("other")
	_, l, err := f.Listen(f.ctx, id)
	require.NoError(t, err)
	f.write(id, up("a", 1))
	f.write(id, up("b", 1))
	_, err = f.Destroy(f.ctx, "s")
	require.NoError(t, err)
	f.write(other, up("x", 1))
	f.round(true)
	f.write(other, up("x", 1))
	f.round(true)
	events, err := drain(t, l)
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	require.Len(t, events, 2)
	require.NoError(t, l.Close())

	cfg.MaxListenerLag = 10
	f.cfg = cfg
	f.crash()
	_, l, err = f.Listen(f.ctx, other)
	require.NoError(t, err)
	f.write(other, up(strings.Repeat("x", 1<<20), 1))
	f.write(other, up(strings.Repeat("x", 1<<20), 1))
	f.round(true)
	_, err = l.Next(f.ctx)
	require.ErrorIs(t, err, indexed.ErrLagged)
	require.ErrorContains(t, err, "MaxListenerLag")
}

// A finished listener delivers one end, and holds back nothing, although the stream
// may be finished again.
func TestFinishedListener(t *testing.T) {
	for _, window := range []int64{1, 1 << 20} {
		cfg := still()
		cfg.ListenerWindowBytes = window
		f := newFixture(t, cfg)
		id := f.register("s")
		_, l, err := f.Listen(f.ctx, id)
		require.NoError(t, err)
		f.seal(id, frontier.Empty())
		f.seal(id, frontier.Empty())
		events, err := drain(t, l)
		require.NoError(t, err)
		require.Len(t, events, 1)
		f.seal(id, frontier.Empty())
		f.round(true)
		log := f.place.OpenLogReader()
		bounds, err := log.Bounds(f.ctx)
		require.NoError(t, err)
		require.Equal(t, bounds.Last, bounds.After, "the log is truncated to its end")
		require.NoError(t, log.Close())
		require.NoError(t, l.Close())
		require.NoError(t, f.CheckIdle())
	}
}

// Listeners and reads end with their context, with Close, and with the engine.
func TestListenerEnds(t *testing.T) {
	cfg := still()
	cfg.ListenerWindowBytes = 1
	f := newFixture(t, cfg)
	id := f.register("s")
	_, l, err := f.Listen(f.ctx, id)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(f.ctx)
	answers := make(chan error, 1)
	next := func(ctx context.Context) { _, err := l.Next(ctx); answers <- err }
	go next(ctx)
	cancel()
	require.ErrorIs(t, <-answers, context.Canceled)
	_, err = l.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)

	f.write(id, up("a", 1))
	f.faults.Inject(mem.Fault{Op: mem.OpRead})
	_, err = l.Next(f.ctx)
	require.ErrorIs(t, err, mem.ErrUnavailable, "which does not end it")
	_, err = l.Next(f.ctx)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err = l.Next(f.ctx)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.Zero(t, f.WaitingListeners())

	_, l, err = f.Listen(f.ctx, id)
	require.NoError(t, err)
	_, lagging, err := f.Listen(f.ctx, id)
	require.NoError(t, err)
	go next(f.ctx)
	for f.WaitingListeners() == 0 {
		require.NoError(t, f.ctx.Err())
	}
	f.faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: mem.Vanished})
	_, err = f.submit(func(c *indexed.Command) { c.Write(id, columns(up("b", 1))) })
	require.ErrorIs(t, err, indexed.ErrOutcomeUnknown)
	require.ErrorIs(t, <-answers, indexed.ErrStopped)
	_, err = f.submit(func(c *indexed.Command) { c.Write(id, columns(up("b", 1))) })
	require.ErrorIs(t, err, indexed.ErrStopped)
	require.ErrorContains(t, err, "it accepts no more writes since its log failed")
	require.Equal(t, []string{"k=a @1 +1"}, show(f.read(id)), "reads go on")
	require.NoError(t, f.CheckIdle())
	require.NoError(t, f.Engine.Stop())
	_, err = lagging.Next(f.ctx)
	require.ErrorIs(t, err, indexed.ErrStopped)
}
