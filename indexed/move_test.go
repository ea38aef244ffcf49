package indexed_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// heldReads is a store that lets nobody read the batches of a stream until it is told to.
type heldReads struct {
	storage.Blob
	prefix  string
	holds   *atomic.Bool
	waiting *atomic.Int64
	release chan struct{}
}

func (b heldReads) wait(ctx context.Context, key string) error {
	if !b.holds.Load() || !strings.HasPrefix(key, b.prefix) {
		return nil
	}
	b.waiting.Add(1)
	select {
	case <-b.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b heldReads) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	if err := b.wait(ctx, key); err != nil {
		return nil, storage.NoVersion, err
	}
	return b.Blob.Get(ctx, key)
}

func (b heldReads) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if err := b.wait(ctx, key); err != nil {
		return nil, err
	}
	return b.Blob.GetRange(ctx, key, offset, length)
}

// restartHeld opens the place with background work that never gets to read the batches of
// a stream, once holds is set.
func (f *fixture) restartHeld(id indexed.StreamID) heldReads {
	f.Helper()
	require.NoError(f, f.Engine.Stop())
	log, blob := f.storage()
	held := heldReads{blob, batchesOf(id), &atomic.Bool{}, &atomic.Int64{}, make(chan struct{})}
	e, err := indexed.Open(f.ctx, log, held, busy())
	require.NoError(f, err)
	f.Engine = e
	f.MoveInRounds(1000)
	return held
}

// Whatever is done with one stream, writers of others, and of the same one, go on: here it
// is never done. They write many times what tails may hold.
func TestLargeStreamHoldsUpNobody(t *testing.T) {
	const rows = 100 // that are more than a round moves
	unsealed := func(f *fixture, id indexed.StreamID) {
		for i := range uint64(3) {
			var updates []indexed.Row
			for k := range uint64(rows) {
				updates = append(updates, up(fmt.Sprint(i, "-", k), k))
			}
			f.write(id, append(updates, up("far", 1<<60))...)
			f.round(true)
		}
	}
	maintain := func(f *fixture, done chan error) { go func() { done <- f.Maintain(f.ctx) }() }
	for name, test := range map[string]struct {
		before func(f *fixture, large indexed.StreamID)
		work   func(f *fixture, large indexed.StreamID) // makes what is held due
	}{
		"a move": {unsealed, func(f *fixture, large indexed.StreamID) { f.seal(large, frontier.At(rows+1)) }},
		"a move that is not worth it, for Maintain": {unsealed, func(f *fixture, large indexed.StreamID) {
			f.seal(large, frontier.At(2))
			f.fill(large, rows+50) // so that the seal is in front of what is in batches
		}},
		"a merge by level": {
			func(f *fixture, large indexed.StreamID) { f.traceOf(large, indexed.MergeWidth, 20) },
			func(f *fixture, large indexed.StreamID) { f.seal(large, frontier.At(90)) },
		},
		"a merge that folds": {unsealed, func(f *fixture, large indexed.StreamID) { f.allow(large, frontier.At(rows)) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which ends a writer that waits for ever
				f := newFixture(t, still())
				large, other := f.register("large"), f.register("other")
				test.before(f, large)
				contents := len(f.read(large))
				held := f.restartHeld(large)
				held.holds.Store(true)
				test.work(f, large)
				f.fill(large, rows+100)
				maintained := make(chan error, 1)
				maintain(f, maintained)
				<-time.After(time.Hour)
				synctest.Wait()
				require.Positive(t, held.waiting.Load(), "nothing was held")
				start := time.Now()
				for i := range uint64(5) {
					f.fill(other, i)
					f.seal(other, frontier.At(i+1))
					f.fill(large, rows+100)
				}
				require.Less(t, time.Since(start), 5*time.Minute, "of the bubble: rounds kept their distance, and no more")
				require.Empty(t, maintained)
				held.holds.Store(false)
				close(held.release)
				require.NoError(t, <-maintained)
				require.NoError(t, f.Maintain(f.ctx))
				require.GreaterOrEqual(t, len(f.read(large)), contents)
				require.Len(t, f.read(other), 500)
				require.NoError(t, f.Engine.Stop())
			})
		})
	}
}

// A round moves no more than it may, however many streams have little to move, and goes
// on in the next one.
func TestRoundsMoveLittle(t *testing.T) {
	f := newFixture(t, still())
	const streams = 10
	var ids []indexed.StreamID
	for i := range streams {
		id := f.register(fmt.Sprint("s", i))
		ids = append(ids, id)
		f.write(id, up(strings.Repeat("x", 376), 1)) // of 400 bytes and the key
	}
	f.round(true)
	f.MoveInRounds(1000)
	moved := func() (n int) {
		for _, id := range ids {
			n += len(f.Buckets(id).Trace)
		}
		return n
	}
	for _, id := range ids {
		f.seal(id, frontier.At(2))
	}
	for want := 2; want <= streams; want += 2 {
		f.round(want%4 == 0)
		require.Equal(t, want, moved())
	}
	// Maintain does not stop at that.
	for _, id := range ids {
		f.write(id, up(strings.Repeat("y", 376), 3))
	}
	f.round(true)
	for _, id := range ids {
		f.seal(id, frontier.At(4))
	}
	require.NoError(t, f.Maintain(f.ctx))
	require.Equal(t, 2*streams, moved())

	// Nor does the background, which needs no command for it.
	for _, id := range ids {
		f.write(id, up(strings.Repeat("z", 376), 5))
	}
	f.round(true)
	for _, id := range ids {
		f.seal(id, frontier.At(6))
	}
	require.NoError(t, f.Engine.Stop())
	synctest.Test(t, func(t *testing.T) {
		log, blob := f.storage()
		e, err := indexed.Open(t.Context(), log, blob, still())
		require.NoError(t, err)
		e.MoveInRounds(1000)
		f.Engine = e
		<-time.After(time.Hour * streams)
		synctest.Wait()
		require.Equal(t, 3*streams, moved())
		require.NoError(t, e.Stop())
	})
}

// Flushes, moves and merges that fold, all at once, lose nothing and double nothing.
func TestMovesBesideFlushesAndFolds(t *testing.T) {
	for seed := range 4 {
		f := newFixture(t, still())
		id := f.register("s")
		f.MoveInRounds(int64(seed%2) * 300)
		ctx, cancel := context.WithCancel(f.ctx)
		var background sync.WaitGroup
		for _, work := range []func() error{
			func() error { return f.Round(ctx, false) },
			func() error { return f.Round(ctx, true) },
			func() error { _, err := f.MergeOnce(ctx); return err },
		} {
			background.Go(func() {
				for ctx.Err() == nil {
					if err := work(); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var all []indexed.Row
		since := frontier.Antichain{}
		for i := range uint64(150) {
			rows := []indexed.Row{up(fmt.Sprint(i%5), i), up("later", i+i%60), up("far", 1<<60)}
			all = append(all, rows...)
			if i%30 == 10 {
				since = frontier.At(i + 40*uint64(seed/2)) // also in advance of the upper
			}
			_, err := f.submit(func(c *indexed.Command) {
				c.Write(id, columns(rows...))
				if i%7 == 6 {
					c.Seal(id, frontier.At(i-3))
				}
				c.AllowCompaction(id, since)
			})
			require.NoError(t, err)
			if i%10 == 0 {
				require.Equal(t, show(consolidate(all, since)), show(f.read(id)))
			}
		}
		cancel()
		background.Wait()
		require.NoError(t, f.Maintain(f.ctx))
		require.Equal(t, show(consolidate(all, since)), show(f.read(id)))
		f.crash()
		require.Equal(t, show(consolidate(all, since)), show(f.read(id)))
		require.NoError(t, f.CheckIdle())
	}
}

// While a merge advances unsealed rows to the since, no flush moves them to the trace: they
// would be there twice.
func TestFoldBesideAMove(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	require.NoError(t, f.Engine.Stop())
	log, blob := f.storage()
	held := heldReads{blob, batchesOf(id), &atomic.Bool{}, &atomic.Int64{}, make(chan struct{})}
	e, err := indexed.OpenStill(f.ctx, log, held, still())
	require.NoError(t, err)
	f.Engine = e
	for i := range uint64(3) {
		f.write(id, up(fmt.Sprint(i), 1), up("both", 2), up("far", 1<<40)) // which keeps the batch
		f.round(true)
	}
	f.allow(id, frontier.At(10))
	held.holds.Store(true)
	merged := make(chan error, 1)
	go func() {
		_, err := f.MergeOnce(f.ctx)
		merged <- err
	}()
	for held.waiting.Load() == 0 {
		require.Empty(t, merged, "nothing to merge")
		require.NoError(t, f.ctx.Err())
	}
	held.holds.Store(false)
	want := []string{"k=0 @10 +1", "k=1 @10 +1", "k=2 @10 +1", "k=both @10 +3", "k=far @1099511627776 +3", "k=more @10 +1"}
	f.write(id, up("more", 3))
	f.seal(id, frontier.At(5))
	f.round(true)
	require.Equal(t, want, show(f.read(id)))
	require.Zero(t, f.Buckets(id).TailChunks, "the tail is flushed")
	close(held.release)
	require.NoError(t, <-merged)
	require.Equal(t, want, show(f.read(id)))
	f.round(true)
	require.Equal(t, want, show(f.read(id)))
	f.crash()
	require.Equal(t, want, show(f.read(id)))
	f.seal(id, frontier.At(11))
	require.NoError(t, f.Maintain(f.ctx))
	require.Equal(t, want, show(f.read(id)))
	require.Len(t, f.Buckets(id).Unsealed, 1, "with what is far")
}

// A batch that cannot be read holds up neither moves of other streams nor, for its own,
// anything but the move.
func TestMoveGoesRoundDamage(t *testing.T) {
	f := newFixture(t, still())
	bad, good := f.register("bad"), f.register("good")
	f.write(bad, up("a", 1))
	f.write(good, up("a", 1), up("b", 1))
	f.round(true)
	f.damage(bad)
	f.MoveInRounds(0)
	f.seal(bad, frontier.At(2))
	f.seal(good, frontier.At(2))
	f.round(false)
	require.Equal(t, 2, f.mergeAll(), "one that met the damage, and one")
	require.Len(t, f.Buckets(good).Trace, 1)
	require.ErrorIs(t, f.Maintain(f.ctx), storage.ErrCorrupt)
	f.write(bad, up("c", 3))
	f.round(false)
	require.Zero(t, f.Buckets(bad).TailChunks)
	require.NoError(t, f.CheckIdle())
}

// How the times of a batch of an earlier opening are distributed is found out once, and
// only if something depends on it.
func TestTimesAreLearntOnce(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	var rows []indexed.Row
	for i := range uint64(20) {
		rows = append(rows, up(fmt.Sprint(i), 10+i*i))
	}
	f.write(id, append(rows, up("far", 1<<60))...)
	f.round(true)
	f.crash()
	reads := func() int { return f.faults.Calls(mem.OpGet) + f.faults.Calls(mem.OpGetRange) }
	before := reads()
	require.Zero(t, f.mergeAll())
	require.Equal(t, before, reads(), "nothing depends on it")
	f.seal(id, frontier.At(12))
	f.round(false)
	require.Equal(t, 1, f.mergeAll())
	once := reads()
	require.Greater(t, once, before)
	for upper := uint64(13); upper < 60; upper++ { // of which eight are before it, of 21
		f.seal(id, frontier.At(upper))
		f.round(false)
		require.Zero(t, f.mergeAll())
	}
	require.Equal(t, once, reads())
	f.seal(id, frontier.At(10+11*11))
	f.round(false)
	require.Len(t, f.Buckets(id).Trace, 1, "eleven of 21 are worth it")
}
