package indexed_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// An edit whose outcome is unknown is written again as it is: a reader may have seen
// it. What changed since comes after it.
func TestFailedManifestWriteIsRepeated(t *testing.T) {
	for _, full := range []bool{false, true} {
		for _, outcome := range []mem.Outcome{mem.Refused, mem.Vanished, mem.AnswerLost} {
			t.Run(fmt.Sprint(full, outcome), func(t *testing.T) {
				f := newFixture(t, still())
				id := f.register("s")
				f.step(true)
				version := f.ManifestVersion()
				f.write(id, up("a", 1))
				if full {
					f.PreferBase()
				}
				f.faults.Inject(mem.Fault{Op: mem.OpSetIf, Outcome: outcome})
				require.Error(t, f.Step(f.ctx, true))
				seen := f.manifestBlobs()
				r := f.followBlobs(still())
				f.write(id, up("b", 1))
				f.step(true)
				require.Equal(t, version+2, f.ManifestVersion())
				if !full {
					require.Subset(t, f.manifestBlobs(), seen)
				}
				require.NoError(t, r.Refresh(f.ctx))
				require.NoError(t, r.Check())
				f.crash()
				require.Equal(t, []string{"k=a @1 +1", "k=b @1 +1"}, show(f.read(id)))
			})
		}
	}
}

// manifestBlobs returns the keys and contents of the manifest.
func (f *fixture) manifestBlobs() (blobs []string) {
	f.Helper()
	reader := f.place.OpenBlobReader()
	defer reader.Close()
	for _, key := range f.keys("manifest/") {
		data, _, err := reader.Get(f.ctx, key)
		require.NoError(f, err)
		blobs = append(blobs, key+string(data))
	}
	return blobs
}

// A round that only repeats an edit does not truncate what that edit does not cover.
func TestRepeatedEditDoesNotTruncateLaterFlushes(t *testing.T) {
	cfg := still()
	cfg.FlushBytes = 100
	f := newFixture(t, cfg)
	small, large := f.register("small"), f.register("large")
	f.write(small, up("small", 1)) // stays in the tail: too little for a batch
	f.write(large, up(strings.Repeat("x", 100), 1))
	f.faults.Inject(mem.Fault{Op: mem.OpSetIf})
	require.Error(t, f.Step(f.ctx, false))
	require.Equal(t, []int{1, 0}, []int{f.Buckets(small).TailChunks, f.Buckets(large).TailChunks})

	f.write(small, up(strings.Repeat("y", 100), 1)) // and now it is enough
	f.step(false)
	require.Zero(t, f.Buckets(small).TailChunks)
	f.crash()
	require.Len(t, f.read(small), 2)
	require.Len(t, f.read(large), 1)
}

// Blobs that a crash left without a name are deleted at the next opening, and those
// that are named are not, also of a stream that the log has destroyed since.
func TestOrphans(t *testing.T) {
	f := newFixture(t, still())
	id, gone := f.register("s"), f.register("gone")
	f.write(id, up("a", 1))
	f.write(gone, up("b", 1))
	f.step(true)
	named := f.batchKeys()
	_, err := f.Destroy(f.ctx, "gone")
	require.NoError(t, err)
	f.write(id, up("c", 1))
	f.faults.Inject(mem.Fault{Op: mem.OpSetIf})
	require.Error(t, f.Step(f.ctx, true))
	orphans := slices.DeleteFunc(f.batchKeys(), func(key string) bool { return slices.Contains(named, key) })
	require.Len(t, orphans, 1)
	f.crash()
	require.NoError(t, f.CollectOrphans(f.ctx))
	f.step(true)
	require.NotContains(t, f.batchKeys(), orphans[0])
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
	require.Equal(t, []string{"k=a @1 +1", "k=c @1 +1"}, show(f.read(id)))
}

// Blobs stay as long as a snapshot refers to them, and not longer, and a runtime that
// is otherwise idle deletes them.
func TestGarbageWaitsForSnapshots(t *testing.T) {
	cfg := still()
	cfg.MinStepInterval = time.Millisecond
	f := newFixture(t, cfg)
	id := f.register("s")
	f.write(id, up("a", 1))
	f.step(true)
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	other, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	old := f.batchKeys()
	f.seal(id, frontier.At(2))
	f.step(true)
	f.step(true)
	require.Subset(t, f.batchKeys(), old)
	require.Len(t, f.batchKeys(), 2)
	require.NoError(t, other.Close())
	require.NoError(t, other.Close())
	f.step(true)
	require.Len(t, f.batchKeys(), 2)
	require.Equal(t, []string{"k=a @1 +1"}, show(collect(t, s.Consolidated(f.ctx))))
	require.Zero(t, f.Garbage())
	require.NoError(t, s.Close())
	require.Equal(t, 1, f.Garbage())
	for _, err := range s.Consolidated(f.ctx) {
		require.ErrorIs(t, err, storage.ErrClosed)
	}
	for _, err := range s.Chunks(f.ctx) {
		require.ErrorIs(t, err, storage.ErrClosed)
	}
	f.faults.Inject(mem.Fault{Op: mem.OpDelete})
	require.Error(t, f.Step(f.ctx, true))
	require.Equal(t, 1, f.Garbage(), "to be tried again")
	f.step(true)
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
}

// Batches that were merged away before any manifest named them stay for a snapshot too.
func TestUnnamedGarbageWaitsForSnapshots(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for i := range uint64(4) {
		f.write(id, up("a", i))
		f.seal(id, frontier.At(i+1))
		f.step(true)
	}
	for range 2 {
		did, err := f.MergeOnce(f.ctx)
		require.NoError(t, err)
		require.True(t, did)
	}
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	require.Equal(t, 1, f.mergeAll())
	require.NoError(t, f.CheckIdle())
	f.step(true)
	require.Len(t, f.batchKeys(), 3)
	require.Len(t, collect(t, s.Consolidated(f.ctx)), 4)
	require.NoError(t, s.Close())
	f.step(true)
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
}

// Edits that a base contains are deleted, also those that a crash left behind.
func TestOldEditsAreDeleted(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for i := range uint64(3) {
		f.write(id, up("a", i))
		f.step(true)
	}
	require.Len(t, f.keys("manifest/edit-"), 3)
	f.write(id, up("a", 4))
	f.PreferBase()
	f.faults.Inject(mem.Fault{Op: mem.OpDelete, Key: "manifest/", Nth: 2, Sticky: true})
	require.Error(t, f.Step(f.ctx, true))
	require.Len(t, f.keys("manifest/edit-"), 2)
	f.crash()
	f.write(id, up("a", 5))
	f.step(true)
	require.Len(t, f.keys("manifest/edit-"), 1, "those before the base are gone")
	require.Equal(t, uint64(5), f.ManifestVersion())
	f.crash()
	require.Len(t, f.read(id), 5)
}

// A hole in the manifest is damage, never an older state.
func TestMissingEditIsDamage(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for i := range uint64(3) {
		f.write(id, up("a", i))
		f.step(true)
	}
	require.NoError(t, f.Engine.Stop())
	log, blob := f.storage()
	require.NoError(t, blob.Delete(f.ctx, f.keys("manifest/edit-")[1]))
	_, err := indexed.OpenStill(f.ctx, log, blob, f.cfg)
	require.ErrorIs(t, err, storage.ErrCorrupt)
	require.ErrorContains(t, err, "edit-00000000000000000002")

	log, blob = f.storage()
	_, err = blob.Set(f.ctx, "manifest/edit-x", nil)
	require.NoError(t, err)
	_, err = indexed.OpenStill(f.ctx, log, blob, f.cfg)
	require.ErrorIs(t, err, storage.ErrCorrupt)
}

// A log that does not fit the manifest is damage.
func TestLogThatDoesNotFitIsDamage(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	f.step(true)
	require.NoError(t, f.Engine.Stop())
	reader := f.place.OpenLogReader()
	real, err := reader.Bounds(f.ctx)
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	for text, bounds := range map[string]storage.Bounds{
		"it begins after position 100": {After: 100, Last: 100},
		"it ends at position 1,":       {After: 1, Last: 1},
		"but ends at 100":              {After: real.After, Last: 100},
	} {
		log, blob := f.storage()
		_, err := indexed.OpenStill(f.ctx, boundedLog{log, bounds}, blob, f.cfg)
		require.ErrorIs(t, err, storage.ErrCorrupt)
		require.ErrorContains(t, err, text)
	}
	log, blob := f.storage()
	f.faults.Inject(mem.Fault{Op: mem.OpRead})
	_, err = indexed.OpenStill(f.ctx, log, blob, f.cfg)
	require.ErrorIs(t, err, mem.ErrUnavailable)
	for _, op := range []mem.Op{mem.OpBounds, mem.OpGet, mem.OpGetRange, mem.OpList} {
		log, blob := f.storage()
		f.faults.Inject(mem.Fault{Op: op})
		_, err := indexed.OpenStill(f.ctx, log, blob, f.cfg)
		if op != mem.OpGetRange || err != nil { // without a base there is nothing to look into
			require.ErrorIs(t, err, mem.ErrUnavailable, op)
		}
	}
	f.faults.SetUp()
	f.faults = mem.NewUnreliable()
	log, blob = f.storage()
	cfg := f.cfg
	cfg.MaxGroupBytes = -1
	_, err = indexed.OpenStill(f.ctx, log, blob, cfg)
	require.ErrorIs(t, err, indexed.ErrInvalid)
	require.ErrorContains(t, err, "MaxGroupBytes")
	f.open()
}

type boundedLog struct {
	storage.Log
	bounds storage.Bounds
}

func (l boundedLog) Bounds(context.Context) (storage.Bounds, error) { return l.bounds, nil }

// busyLog is the log of an owner that goes on between any two looks of a reader.
type busyLog struct {
	storage.LogReader
	between func()
}

func (l busyLog) Bounds(ctx context.Context) (storage.Bounds, error) {
	l.between()
	b, err := l.LogReader.Bounds(ctx)
	l.between()
	return b, err
}

func (l busyLog) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	l.between()
	return l.LogReader.Read(ctx, after)
}

// A reader opens a location whose owner writes, flushes and truncates meanwhile.
func TestReaderOpensBesideABusyOwner(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	n := 0
	r, err := indexed.OpenRead(f.ctx, busyLog{hidden{f.place.OpenLogReader()}, func() {
		if n++; n <= 5 {
			f.write(id, up(fmt.Sprint(n), 1))
			if n%2 == 0 {
				f.step(true)
			}
		}
	}}, f.place.OpenBlobReader(), f.cfg)
	require.NoError(t, err)
	defer r.Stop()
	s, err := r.Snapshot(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, show(f.read(id)), show(collect(t, s.Consolidated(f.ctx))))
}

// One whose owner is always faster gives up with an error that says so.
func TestReaderGivesUpOnAnOwnerThatIsFaster(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	_, err := indexed.OpenRead(f.ctx, busyLog{hidden{f.place.OpenLogReader()}, func() {
		f.write(id, up("b", 1))
		f.step(true)
	}}, f.place.OpenBlobReader(), f.cfg)
	require.ErrorIs(t, err, storage.ErrTruncated)
}

// A reader of blobs alone sees all that was flushed, also when a base took the place
// of the edits it has read and others follow.
func TestRefreshGoesBeyondABase(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	f.step(true)
	r := f.followBlobs(still())
	for i := range uint64(3) {
		f.write(id, up(fmt.Sprint(i), 1))
		f.PreferBase()
		f.step(true)
		f.write(id, up(fmt.Sprint("after", i), 1))
		f.seal(id, frontier.At(i))
		f.step(true)
		s, err := r.Snapshot(f.ctx, id)
		require.NoError(t, err)
		require.Equal(t, show(f.read(id)), show(collect(t, s.Consolidated(f.ctx))))
		require.Equal(t, frontier.At(i), s.Upper())
		require.NoError(t, s.Close())
	}
	d, err := r.Describe(f.ctx, "s")
	require.NoError(t, err)
	require.Equal(t, frontier.At(2), d.Upper)
	f.seal(id, frontier.At(9))
	infos, err := r.Streams(f.ctx)
	require.NoError(t, err)
	require.Len(t, infos, 1)
	require.Equal(t, frontier.At(2), infos[0].Upper, "as far as it can vouch for")
	_, _, err = r.Listen(f.ctx, id)
	require.ErrorIs(t, err, indexed.ErrReadOnly)
}

// A reader holds the log from its opening on: what the owner does next is not lost to
// it, nor to a listener that it opens.
func TestFollowerHoldsTheLogFromTheStart(t *testing.T) {
	cfg := still()
	cfg.ListenerWindowBytes = 1
	f := newFixture(t, cfg)
	id := f.register("s")
	r := f.follow(cfg)
	f.write(id, up("a", 1))
	f.step(true) // the reader has not looked since it was opened
	s, l, err := r.Listen(f.ctx, id)
	require.NoError(t, err)
	require.Equal(t, []string{"k=a @1 +1"}, show(collect(t, s.Consolidated(f.ctx))))
	require.NoError(t, s.Close())
	f.write(id, up("b", 1))
	f.write(id, up("c", 1))
	f.step(true)
	f.seal(id, frontier.Empty())
	require.NoError(t, r.Refresh(f.ctx))
	f.step(true)
	events, err := drain(t, l)
	require.NoError(t, err)
	require.Len(t, events, 3)
}

// A reader survives that a stream it has an unapplied edit of is destroyed in the log.
func TestFollowerOfADestroyedStream(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	r := f.follow(still())
	s, l, err := r.Listen(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	f.write(id, up("b", 1))
	f.step(true)
	_, err = f.Destroy(f.ctx, "s")
	require.NoError(t, err)
	require.NoError(t, r.Refresh(f.ctx))
	require.NoError(t, r.Check())
	_, err = r.Describe(f.ctx, "s")
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	_, err = r.Lookup(f.ctx, "s", "k", "v")
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	events, err := drain(t, l)
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	require.Len(t, events, 1)
	f.step(true)
	require.NoError(t, r.Refresh(f.ctx))
	require.Equal(t, []string{"k=a @1 +1"}, show(collect(t, s.Consolidated(f.ctx))), "the snapshot stays")
}

// A writer whose command needs more room than the tails leave is not left waiting for
// a limit or a timer that never comes: they are flushed for it.
func TestWriterThatWaitsIsMadeRoomFor(t *testing.T) {
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
	flushed := func(f *fixture) { f.write(0, up("a", 1), up("a", 2)); f.step(true) }
	sealed := func(f *fixture) { f.seal(0, frontier.At(3)); f.step(true) }
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
	f := newFixture(t, still())
	f.restart(indexed.Config{MinStepInterval: time.Millisecond, FlushInterval: time.Millisecond, FlushBytes: 1})
	id := f.register("s")
	f.faults.Inject(mem.Fault{Op: mem.OpSet})
	f.faults.Inject(mem.Fault{Op: mem.OpSetIf, Outcome: mem.AnswerLost})
	f.faults.Inject(mem.Fault{Op: mem.OpSet, Nth: 4}) // a merge, or another flush
	f.faults.Inject(mem.Fault{Op: mem.OpTruncate})
	deleted := f.faults.GateAfter(mem.OpDelete)
	for i := range uint64(4) {
		named := f.faults.GateAfter(mem.OpSetIf)
		_, err := f.submit(func(c *indexed.Command) {
			c.Write(id, columns(up("a", i)))
			c.Seal(id, frontier.At(i+1))
		})
		require.NoError(t, err)
		require.NoError(t, named.Wait(f.ctx, 1))
		named.Open()
	}
	require.NoError(t, deleted.Wait(f.ctx, 1), "what was merged")
	deleted.Open()
	require.Len(t, f.read(id), 4)
}

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
		f.step(true)
	}
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
	f.step(true)
	f.write(other, up("x", 1))
	f.step(true)
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
	f.step(true)
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
		f.step(true)
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
	require.Equal(t, []string{"k=a @1 +1"}, show(f.read(id)), "reads go on")
	require.NoError(t, f.CheckIdle())
	require.NoError(t, f.Engine.Stop())
	_, err = lagging.Next(f.ctx)
	require.ErrorIs(t, err, indexed.ErrStopped)
}

// A group that the log does not take has no effect, and what rested on it is decided
// again.
func TestFailedGroup(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	gate := f.faults.GateBefore(mem.OpAppend)
	var futures []*indexed.Future[storage.SeqNo]
	submit := func(build func(c *indexed.Command)) {
		var c indexed.Command
		build(&c)
		futures = append(futures, f.Submit(f.ctx, &c))
	}
	submit(func(c *indexed.Command) { c.Write(id, columns(up("first", 0))) })
	require.NoError(t, gate.Wait(f.ctx, 1)) // it holds up the log
	f.faults.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2})
	submit(func(c *indexed.Command) { c.Seal(id, frontier.At(5)) })
	submit(func(c *indexed.Command) { c.Write(id, columns(up("second", 1))) }) // refused, if that is sealed
	submit(func(c *indexed.Command) { c.ExpectUpper(id, frontier.At(5)) })     // right, if it is
	gate.Open()
	var errs []error
	for _, future := range futures {
		_, err := future.Wait(f.ctx)
		errs = append(errs, err)
	}
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], storage.ErrNoEffect)
	require.NoError(t, errs[2], "nothing was sealed")
	var mismatch *indexed.UpperMismatchError
	require.ErrorAs(t, errs[3], &mismatch)
	require.Equal(t, frontier.At(0), mismatch.Upper)
	require.Equal(t, []string{"k=first @0 +1", "k=second @1 +1"}, show(f.read(id)))
	require.NoError(t, f.CheckIdle())
}
