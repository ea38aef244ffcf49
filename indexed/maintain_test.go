package indexed_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// A writer whose command needs more room than the tails leave is not left waiting for
// a limit or a timer that never comes: they are flushed for it.
func TestWriterThatWaitsIsMadeRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which ends a writer that waits for ever
		f := newFixture(t, still())
		f.restart(indexed.Config{MinStepInterval: time.Hour, FlushInterval: -1, MaxTailBytes: 1000, FlushBytes: 500})
		one, two := f.register("one"), f.register("two")
		for range 2 {
			for range 2 {
				f.write(one, up(strings.Repeat("x", 100), 1))
				f.write(two, up(strings.Repeat("x", 100), 1))
				f.write(one, up(strings.Repeat("y", 900), 1))
			}
			f.write(one, up(strings.Repeat("y", 900), 1))
		}
		require.Zero(t, f.WaitingBytes())
		_, err := f.submit(func(c *indexed.Command) { c.Write(one, columns(up(strings.Repeat("z", 1000), 1))) })
		require.ErrorIs(t, err, indexed.ErrTooLarge)
	})
}

// restart opens the place with background work.
func (f *fixture) restart(cfg indexed.Config) {
	f.Helper()
	require.NoError(f, f.Engine.Stop())
	f.faults = mem.NewUnreliable()
	log, blob := f.storage()
	e, err := indexed.Open(f.ctx, log, blob, cfg)
	require.NoError(f, err)
	f.Engine = e
}

// A writer that waits for room ends with the engine, or with its own context.
func TestWaitingWriterEnds(t *testing.T) {
	cfg := still()
	cfg.MaxTailBytes, cfg.FlushBytes = 100, 50
	f := newFixture(t, cfg)
	id := f.register("s")
	f.write(id, up(strings.Repeat("x", 70), 1))
	ctx, cancel := context.WithCancel(f.ctx)
	answers := make(chan error, 2)
	submit := func(ctx context.Context) {
		var c indexed.Command
		c.Write(id, columns(up("more", 1)))
		_, err := f.Submit(ctx, &c).Wait(context.Background())
		answers <- err
	}
	go submit(ctx)
	cancel()
	require.ErrorIs(t, <-answers, context.Canceled)
	go submit(f.ctx)
	for f.WaitingBytes() == 0 {
		// It is on its way to the semaphore and nothing tells when it is there.
		require.NoError(t, f.ctx.Err())
	}
	require.NoError(t, f.Engine.Stop())
	require.ErrorIs(t, <-answers, indexed.ErrStopped)
	require.Zero(t, f.WaitingBytes())

	require.ErrorIs(t, f.Maintain(f.ctx), indexed.ErrStopped)
	_, err := f.Register(f.ctx, "late", "k", "v")
	require.ErrorIs(t, err, indexed.ErrStopped)
	_, err = f.Streams(f.ctx)
	require.ErrorIs(t, err, indexed.ErrStopped)
	require.NoError(t, f.Engine.Stop())
}

// What is left to do is done without another command, and then nothing more is: of an
// earlier opening, after a destroy, after a seal or an allowed compaction, after the
// last snapshot was closed.
func TestIdleEngineTidiesUp(t *testing.T) {
	flushed := func(f *fixture) { f.write(0, up("a", 1), up("a", 2)); f.round(true) }
	sealed := func(f *fixture) { f.seal(0, frontier.At(3)); f.round(true) }
	destroy := func(f *fixture) {
		_, err := f.Destroy(f.ctx, "s")
		require.NoError(f, err)
	}
	for name, test := range map[string]struct {
		before, after func(f *fixture) // the restart
		batches       int              // there are when all is done
		check         func(f *fixture)
	}{
		"inherited tail":   {before: func(f *fixture) { f.write(0, up("a", 1)) }, batches: 1},
		"destroyed before": {before: func(f *fixture) { flushed(f); destroy(f) }},
		"destroy":          {before: flushed, after: destroy},
		"seal": {
			before: flushed, after: func(f *fixture) { f.seal(0, frontier.At(3)) }, batches: 1,
			check: func(f *fixture) { require.Len(f, f.Buckets(0).Trace, 1) },
		},
		"allowed compaction": {
			before: func(f *fixture) { flushed(f); sealed(f) }, after: func(f *fixture) { f.allow(0, frontier.At(3)) }, batches: 1,
			check: func(f *fixture) { require.Equal(f, []string{"k=a @3 +2"}, show(f.raw(0))) },
		},
		"snapshot": {before: flushed, batches: 1, after: func(f *fixture) {
			s, err := f.Snapshot(f.ctx, 0)
			require.NoError(f, err)
			f.seal(0, frontier.At(3))
			<-time.After(time.Minute)
			require.Len(f, f.batchKeys(), 2)
			require.NoError(f, s.Close())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, still())
				f.register("s")
				test.before(f)
				f.restart(indexed.Config{FlushInterval: time.Second})
				if test.after != nil {
					<-time.After(time.Minute)
					test.after(f)
				}
				<-time.After(time.Minute)
				synctest.Wait()
				require.Len(t, f.batchKeys(), test.batches)
				require.Equal(t, f.NamedBlobs(), f.batchKeys())
				require.Zero(t, f.Garbage())
				if test.check != nil {
					test.check(f)
				}
				calls := f.calls()
				<-time.After(24 * time.Hour)
				require.Equal(t, calls, f.calls(), "an idle engine does nothing")
				require.NoError(t, f.Engine.Stop())
			})
		})
	}
}

// calls returns how often each operation of the storage was called.
func (f *fixture) calls() map[mem.Op]int {
	calls := map[mem.Op]int{}
	for _, op := range []mem.Op{mem.OpAppend, mem.OpTruncate, mem.OpRead, mem.OpGet, mem.OpList, mem.OpSet, mem.OpSetIf, mem.OpDelete} {
		calls[op] = f.faults.Calls(op)
	}
	return calls
}

// Background work that fails is tried again.
func TestBackgroundWorkIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		registry := prometheus.NewRegistry()
		f.restart(indexed.Config{MinStepInterval: time.Second, FlushInterval: time.Second, FlushBytes: 1, Registerer: registry})
		id := f.register("s")
		f.faults.Inject(mem.Fault{Op: mem.OpSet})
		f.faults.Inject(mem.Fault{Op: mem.OpSetIf, Outcome: mem.AnswerLost})
		f.faults.Inject(mem.Fault{Op: mem.OpSet, Nth: indexed.MergeWidth + 2}) // a merge
		f.faults.Inject(mem.Fault{Op: mem.OpTruncate})
		for i := range uint64(indexed.MergeWidth) {
			_, err := f.submit(func(c *indexed.Command) {
				c.Write(id, columns(up("a", i)))
				c.Seal(id, frontier.At(i+1))
			})
			require.NoError(t, err)
			<-time.After(time.Minute)
			require.Len(t, f.Buckets(id).Trace, max(1, int(i+1)%indexed.MergeWidth))
		}
		synctest.Wait()
		got := gather(t, registry)
		require.InDelta(t, 1, got["tidemark_compaction_error_total"], 0)
		require.InDelta(t, 3, got["tidemark_step_error_total"], 0)
		require.Equal(t, f.NamedBlobs(), f.batchKeys(), "what was merged is deleted")
		require.Len(t, f.read(id), indexed.MergeWidth)
		require.NoError(t, f.Engine.Stop())
	})
}

// Maintain returns when the manifest names all that it did, and what the background
// did meanwhile: a merge that was under way as well.
func TestMaintainWaitsForAMergeUnderWay(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.traceOf(id, indexed.MergeWidth, 1)
	merging, named := f.faults.GateBefore(mem.OpSet), f.faults.GateBefore(mem.OpSetIf)
	merged, maintained := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := f.MergeOnce(f.ctx)
		merged <- err
	}()
	require.NoError(t, merging.Wait(f.ctx, 1))
	f.seal(id, frontier.At(indexed.MergeWidth+1)) // something to name
	go func() { maintained <- f.Maintain(f.ctx) }()
	require.NoError(t, named.Wait(f.ctx, 1), "with an edit that knows nothing of the merge")
	merging.Open()
	require.NoError(t, <-merged)
	named.Open()
	require.NoError(t, <-maintained)
	f.crash()
	require.Len(t, f.Buckets(id).Trace, 1)
}

// An owner whose log says that somebody else has written takes its hands off the
// place: what is garbage to it may be in the other's manifest.
func TestReplacedOwnerTouchesNothing(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.traceOf(id, indexed.MergeWidth, 1)
	f.write(id, up("tail", indexed.MergeWidth+1))
	f.faults.Inject(mem.Fault{Op: mem.OpAppend, Err: storage.ErrConflict})
	_, err := f.submit(func(c *indexed.Command) { c.Write(id, columns(up("late", indexed.MergeWidth+1))) })
	require.ErrorIs(t, err, indexed.ErrStopped)
	require.ErrorIs(t, err, storage.ErrConflict)
	require.ErrorContains(t, err, "it accepts no more writes since somebody else has its log")
	before := f.calls()
	err = f.Round(f.ctx, true)
	require.ErrorIs(t, err, indexed.ErrStopped)
	require.ErrorContains(t, err, "it flushes, merges and deletes no more since somebody else has its log")
	require.ErrorIs(t, f.Maintain(f.ctx), indexed.ErrStopped)
	_, err = f.MergeOnce(f.ctx)
	require.ErrorIs(t, err, indexed.ErrStopped)
	require.Equal(t, before, f.calls())
}

// writtenMeanwhile is a store whose owner gets more to do with the batches it writes.
type writtenMeanwhile struct {
	storage.Blob
	write func()
}

func (b writtenMeanwhile) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	b.write()
	return b.Blob.Set(ctx, key, value)
}

// Maintain does what there was to do when it was called, and does not chase writers.
func TestMaintainEndsUnderLoad(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	require.NoError(t, f.Engine.Stop())
	log, blob := f.storage()
	n, meanwhile, most := uint64(0), 0, 0
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	busy := false
	e, err := indexed.OpenStill(ctx, log, writtenMeanwhile{blob, func() {
		if busy {
			return // this is a batch of the background
		}
		busy = true
		defer func() { busy = false }()
		for range indexed.MergeWidth { // fewer would not make up for what a merge takes
			if n, meanwhile = n+1, meanwhile+1; meanwhile > 1000 {
				cancel() // it would go on for ever
				return
			}
			_, err := f.submit(func(c *indexed.Command) {
				c.Write(id, columns(up("x", n)))
				c.Seal(id, frontier.At(n+1))
			})
			require.NoError(t, err)
			require.NoError(t, f.RoundIfFree(f.ctx), "as the background does during a merge")
		}
	}}, f.cfg)
	require.NoError(t, err)
	f.Engine = e
	for range 2 * indexed.MergeWidth { // so that it merges
		f.write(id, up("a", n+1))
		meanwhile = 0
		require.NoError(t, f.Maintain(ctx))
		most = max(most, meanwhile)
	}
	require.Less(t, most, 500)
}

// Who waits for a round under way waits under a context.
func TestMaintainWaitsUnderItsContext(t *testing.T) {
	f := newFixture(t, still())
	f.write(f.register("s"), up("a", 1))
	writing := f.faults.GateBefore(mem.OpSet)
	first := make(chan error, 1)
	go func() { first <- f.Maintain(f.ctx) }()
	require.NoError(t, writing.Wait(f.ctx, 1))
	ctx, cancel := context.WithCancel(f.ctx)
	second := make(chan error, 1)
	go func() { second <- f.Maintain(ctx) }()
	cancel()
	require.ErrorIs(t, <-second, context.Canceled)
	writing.Open()
	require.NoError(t, <-first)
}

// A round flushes the oldest of the tails that are due first. A stream whose flush fails ends
// the flushes of a round, so it comes last in the next: it holds up nobody else.
func TestFlushesAreInOrder(t *testing.T) {
	f := newFixture(t, still())
	var ids []indexed.StreamID
	for i := range 20 {
		ids = append(ids, f.register(fmt.Sprint(i)))
	}
	slices.Reverse(ids)
	var flushed []string
	f.restartStill(func(op mem.Op, key string) error {
		if op != mem.OpSet {
			return nil
		}
		if stream := key[:strings.LastIndexByte(key, '/')+1]; stream != batchesOf(ids[0]) && stream != batchesOf(ids[1]) {
			flushed = append(flushed, stream)
			return nil
		}
		return storage.NoEffect(syscall.ENOSPC)
	})
	var want []string
	for i, id := range ids {
		f.write(id, up("a", 1))
		if i > 1 {
			want = append(want, batchesOf(id))
		}
	}
	for i := range 3 {
		require.Empty(t, flushed, i)
		require.ErrorIs(t, f.Round(f.ctx, true), syscall.ENOSPC)
	}
	require.Equal(t, want, flushed)
}

// A stream that cannot be flushed makes no room. So the round asks others for room, however
// large that stream is and whatever it is due for.
func TestFailingStreamIsNoRoom(t *testing.T) {
	for name, flushBytes := range map[string]int64{"due": 2 << 10, "chosen": 4 << 10} {
		t.Run(name, func(t *testing.T) {
			cfg := still()
			cfg.MaxTailBytes, cfg.FlushBytes = 8<<10, flushBytes
			f := newFixture(t, cfg)
			bad, good := f.register("bad"), f.register("good")
			var flushed []string
			f.restartStill(func(op mem.Op, key string) error {
				switch {
				case op != mem.OpSet:
					return nil
				case strings.HasPrefix(key, batchesOf(bad)):
					return storage.NoEffect(syscall.EIO)
				}
				flushed = append(flushed, key)
				return nil
			})
			f.write(bad, up(string(make([]byte, 3<<10)), 1))
			f.write(good, up(string(make([]byte, 3<<9)), 1))
			require.ErrorIs(t, f.Round(f.ctx, false), syscall.EIO)
			require.Empty(t, flushed, "the largest comes first while nothing has failed")
			require.ErrorIs(t, f.Round(f.ctx, false), syscall.EIO)
			require.Len(t, flushed, 1)
			require.True(t, strings.HasPrefix(flushed[0], batchesOf(good)), flushed[0])
		})
	}
}
