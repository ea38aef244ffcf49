package indexed_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// busy is a config for background work that has much to do.
func busy() indexed.Config {
	return indexed.Config{MinStepInterval: time.Second, FlushInterval: -1, FlushBytes: 2 << 10, MaxTailBytes: 8 << 10}
}

// fill writes many times what tails may hold to a stream, at one time.
func (f *fixture) fill(id indexed.StreamID, time uint64) {
	f.Helper()
	for i := range 100 {
		f.write(id, up(fmt.Sprint(i, strings.Repeat("x", 1000)), time))
	}
}

// makeNewer makes the directories of a stream's parts those of a newer version, and the
// manifest agree with them. The engine loses the place. Package file has a test of a part
// without a directory, whose footer has the version.
func (f *fixture) makeNewer(id indexed.StreamID) {
	f.Helper()
	parts, sums := f.PartsOf(id), map[uint64]uint64{}
	f.change(batchesOf(id), func(data []byte) {
		before := xxhash.Sum64(data)
		at := parts[before].Directory
		require.Positive(f, at.Len)
		directory := data[at.At:][:at.Len]
		directory[0]++ // its version
		sums[before], sums[at.Sum] = xxhash.Sum64(data), xxhash.Sum64(directory)
	})
	f.change("manifest/", func(data []byte) {
		for before, after := range sums {
			if i := bytes.Index(data, binary.LittleEndian.AppendUint64(nil, before)); i >= 0 {
				binary.LittleEndian.PutUint64(data[i:], after)
				delete(sums, before)
			}
		}
		content := data[:len(data)-8]
		binary.LittleEndian.PutUint64(data[len(content):], xxhash.Sum64(content))
	})
	require.Empty(f, sums, "the manifest names all of them")
}

// What is in a format that this program does not know holds up nobody else, as damage
// does not; and it is not looked at again and again.
func TestNewerPartHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		newer, good := f.register("newer"), f.register("good")
		for i := range uint64(2) {
			f.write(newer, up(fmt.Sprint(i), i))
			f.round(true)
		}
		f.makeNewer(newer)
		var reads atomic.Int64
		f.restartIn(func(op mem.Op, key string) error {
			if op == mem.OpGet && strings.HasPrefix(key, batchesOf(newer)) {
				reads.Add(1)
			}
			return nil
		}, busy())
		f.seal(newer, frontier.At(2))
		start := time.Now()
		f.fill(newer, 3)
		f.fill(good, 3)
		require.Less(t, time.Since(start), time.Minute, "of the bubble: nobody waited for a round that fails")
		err := f.Maintain(f.ctx)
		require.ErrorIs(t, err, storage.ErrNewerFormat)
		require.ErrorContains(t, err, `"newer"`)
		bounds, err := f.LogBounds(f.ctx)
		require.NoError(t, err)
		require.Equal(t, bounds.Last, bounds.After, "the log was truncated")
		require.LessOrEqual(t, reads.Load(), int64(2))
	})
}

// Blobs that cannot be deleted take room and nothing else: rounds keep their pace, and
// the blobs go when they can.
func TestUndeletableBlobHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id := f.register("s")
		var broken atomic.Bool
		broken.Store(true)
		var tries atomic.Int64
		f.restartIn(func(op mem.Op, _ string) error {
			if op == mem.OpDelete && broken.Load() {
				tries.Add(1)
				return syscall.EPERM
			}
			return nil
		}, busy())
		start := time.Now()
		for i := range uint64(20) {
			f.fill(id, i)
			f.seal(id, frontier.At(i+1))
		}
		require.Less(t, time.Since(start), 10*time.Second, "of the bubble: rounds were no further apart")
		require.ErrorIs(t, f.Maintain(f.ctx), syscall.EPERM)
		require.Positive(t, f.Garbage())
		tries.Store(0)
		<-time.After(time.Hour)
		synctest.Wait()
		require.LessOrEqual(t, tries.Load(), int64(f.Garbage()*60), "once in 64 rounds")
		require.Positive(t, tries.Load())
		broken.Store(false)
		<-time.After(2 * time.Minute)
		synctest.Wait()
		require.Zero(t, f.Garbage())
		named := f.NamedBlobs()
		for _, key := range f.batchKeys() {
			require.True(t, slices.Contains(named, key), key)
		}
	})
}

// After a read that failed once, background work becomes quiet again, whatever there
// is left to do.
func TestQuietAfterAReadThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id := f.register("s")
		f.write(id, up("a", 1), up("b", 2), up("c", 9), up("d", 9), up("e", 9))
		f.round(true)
		var failed atomic.Bool
		cfg, registry := busy(), prometheus.NewRegistry()
		cfg.FlushBytes, cfg.Registerer = 1, registry
		f.restartIn(func(op mem.Op, key string) error {
			if op == mem.OpGet && strings.HasPrefix(key, batchesOf(id)) && failed.CompareAndSwap(false, true) {
				return syscall.EIO
			}
			return nil
		}, cfg)
		// The tail and what is sealed of the batch are worth a round that reads it. That
		// fails; with the tail in a batch of its own it is no longer worth it.
		_, err := f.submit(func(c *indexed.Command) {
			c.Write(id, columns(up("f", 3), up("g", 3), up("h", 3), up("i", 9), up("j", 9), up("k", 9), up("l", 9)))
			c.Seal(id, frontier.At(4))
		})
		require.NoError(t, err)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		require.True(t, failed.Load(), "nothing was read")
		require.Zero(t, f.Buckets(id).TailChunks)
		require.NotEmpty(t, f.Buckets(id).Unsealed)
		before := gather(t, registry)["tidemark_step_total"]
		require.Positive(t, before)
		<-time.After(time.Hour)
		synctest.Wait()
		require.InDelta(t, before, gather(t, registry)["tidemark_step_total"], 0, "rounds of an idle engine")
		require.NoError(t, f.Maintain(f.ctx))
	})
}

// Maintain ends although reads of several streams fail slowly: each is tried once.
func TestMaintainEndsWhileReadsFailSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		for _, name := range []string{"a", "b", "c"} {
			id := f.register(name)
			f.traceOf(id, indexed.MergeWidth, 1)
			require.Len(t, f.Buckets(id).Trace, indexed.MergeWidth)
		}
		f.restartIn(func(op mem.Op, key string) error {
			if op == mem.OpGet && strings.HasPrefix(key, "batch/") {
				<-time.After(40 * time.Second) // more than until one is tried again
				return syscall.EIO
			}
			return nil
		}, busy())
		start := time.Now()
		err := f.Maintain(f.ctx)
		require.Less(t, time.Since(start), time.Hour)
		require.ErrorIs(t, err, syscall.EIO)
		for _, name := range []string{`"a"`, `"b"`, `"c"`} {
			require.ErrorContains(t, err, name)
		}
	})
}

// When blobs take no changes any more, writers that wait for room are told so instead
// of waiting for good. Those that find room go on.
func TestWriterOfFailedBlobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id := f.register("s")
		f.restartIn(func(op mem.Op, _ string) error {
			if op == mem.OpSet {
				return storage.ErrFailed
			}
			return nil
		}, busy())
		written := 0
		var err error
		for err == nil {
			require.Less(t, written, 100)
			written++
			_, err = f.submit(func(c *indexed.Command) { c.Write(id, columns(up(strings.Repeat("x", 1000), 1))) })
		}
		require.ErrorIs(t, err, indexed.ErrStopped)
		require.ErrorIs(t, err, storage.ErrFailed)
		require.ErrorContains(t, err, "it makes no more room for writes since its storage failed")
		require.Greater(t, written, 4)
		require.Len(t, f.read(id), 1, "what was acknowledged is readable")
	})
}

// A log that cannot be truncated takes room and nothing else, and is truncated when it
// can be.
func TestTruncationThatFailsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id := f.register("s")
		require.NoError(t, f.Engine.Stop())
		log, blob := f.storage()
		stuck := &untruncatable{Log: log}
		stuck.broken.Store(true)
		e, err := indexed.Open(f.ctx, stuck, blob, busy())
		require.NoError(t, err)
		f.Engine = e
		start := time.Now()
		for i := range uint64(20) {
			f.fill(id, i)
			f.seal(id, frontier.At(i+1))
		}
		require.Less(t, time.Since(start), time.Minute, "of the bubble: rounds were no further apart")
		require.ErrorIs(t, f.Maintain(f.ctx), syscall.EPERM)
		require.Zero(t, f.Buckets(id).TailChunks)
		require.Equal(t, f.NamedBlobs(), f.batchKeys(), "the rest was done")
		stuck.tries.Store(0)
		<-time.After(time.Hour)
		synctest.Wait()
		require.LessOrEqual(t, stuck.tries.Load(), int64(60), "once in 64 rounds")
		stuck.broken.Store(false)
		<-time.After(2 * time.Minute)
		synctest.Wait()
		bounds, err := f.LogBounds(f.ctx)
		require.NoError(t, err)
		require.Equal(t, bounds.Last, bounds.After)
	})
}

// untruncatable is a log whose segments cannot be removed.
type untruncatable struct {
	storage.Log
	broken atomic.Bool
	tries  atomic.Int64
}

func (l *untruncatable) Truncate(ctx context.Context, through storage.SeqNo) error {
	if l.tries.Add(1); l.broken.Load() {
		return syscall.EPERM
	}
	return l.Log.Truncate(ctx, through)
}

// What one call of Maintain could not read is no reason for another one to fail that
// begins when it can be read, however long the first one goes on.
func TestMaintainBesideOneThatCouldNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		bad, slow := f.register("bad"), f.register("slow")
		f.traceOf(bad, indexed.MergeWidth, 1)
		f.traceOf(slow, indexed.MergeWidth, 10)
		var broken, blocked atomic.Bool
		broken.Store(true)
		release := make(chan struct{})
		f.restartIn(func(op mem.Op, key string) error {
			switch {
			case op != mem.OpGet:
			case strings.HasPrefix(key, batchesOf(bad)) && broken.Load():
				return syscall.EIO
			case strings.HasPrefix(key, batchesOf(slow)):
				blocked.Store(true)
				<-release
			}
			return nil
		}, busy())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- f.Maintain(f.ctx) }()
		synctest.Wait()
		require.True(t, blocked.Load())
		broken.Store(false)
		<-time.After(10 * time.Hour)
		go func() { second <- f.Maintain(f.ctx) }()
		synctest.Wait()
		close(release)
		<-first
		require.NoError(t, <-second)
		require.Len(t, f.Buckets(bad).Trace, 1)
	})
}

// A blob that cannot be deleted keeps Maintain neither from merging nor from telling of
// damage.
func TestMaintainWithAnUndeletableBlob(t *testing.T) {
	f := newFixture(t, still())
	bad, x, y := f.register("bad"), f.register("x"), f.register("y")
	f.traceOf(bad, indexed.MergeWidth, 1)
	f.traceOf(x, indexed.MergeWidth, 2)
	f.traceOf(y, indexed.MergeWidth, 10)
	f.damage(bad)
	for range 2 {
		_, err := f.MergeOnce(f.ctx) // one that meets the damage, and one that leaves garbage
		require.NoError(t, err)
	}
	require.Len(t, f.Buckets(y).Trace, indexed.MergeWidth)
	f.faults.Inject(mem.Fault{Op: mem.OpDelete, Sticky: true, Err: syscall.EPERM})
	err := f.Maintain(f.ctx)
	require.ErrorIs(t, err, syscall.EPERM)
	require.ErrorIs(t, err, storage.ErrCorrupt)
	require.Len(t, f.Buckets(y).Trace, 1)
}

// A stream that is destroyed between the manifest and the truncation of a round still
// has a tail by that manifest, so the log is kept until the next one.
func TestStreamThatEndsBeforeTheTruncation(t *testing.T) {
	cfg := still()
	cfg.FlushBytes = 2000
	f := newFixture(t, cfg)
	gone, other := f.register("gone"), f.register("other")
	f.round(true)
	tail := f.write(gone, up("tail", 1))
	f.write(other, up(strings.Repeat("x", 3000), 1))
	written, done := f.faults.GateAfter(mem.OpSetIf), make(chan error, 1)
	go func() { done <- f.Round(f.ctx, false) }()
	require.NoError(t, written.Wait(f.ctx, 1))
	_, err := f.Destroy(f.ctx, "gone")
	require.NoError(t, err)
	written.Open()
	require.NoError(t, <-done)
	bounds, err := f.LogBounds(f.ctx)
	require.NoError(t, err)
	require.Less(t, bounds.After, tail)
	f.round(false)
	bounds, err = f.LogBounds(f.ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, bounds.After, tail)
}

// Streams that are destroyed in the middle of every round keep the log from being
// truncated as far as they have tails, and no further.
func TestDestroysDoNotKeepTheLog(t *testing.T) {
	f := newFixture(t, still())
	other := f.register("other")
	for i := range 5 {
		name := fmt.Sprint("empty", i)
		f.register(name)
		f.round(true)
		before, err := f.LogBounds(f.ctx)
		require.NoError(t, err)
		f.write(other, up("x", 1))
		written, done := f.faults.GateAfter(mem.OpSetIf), make(chan error, 1)
		go func() { done <- f.Round(f.ctx, true) }()
		require.NoError(t, written.Wait(f.ctx, 1))
		_, err = f.Destroy(f.ctx, name)
		require.NoError(t, err)
		written.Open()
		require.NoError(t, <-done)
		after, err := f.LogBounds(f.ctx)
		require.NoError(t, err)
		require.Greater(t, after.After, before.After)
	}
}

// An edit whose outcome is not known is repeated, and that it cannot be compared for once
// is no sign of another owner.
func TestUnknownEditThatCannotBeRead(t *testing.T) {
	f := newFixture(t, still())
	f.write(f.register("s"), up("a", 1))
	f.faults.Inject(mem.Fault{Op: mem.OpSetIf, Outcome: mem.AnswerLost})
	require.Error(t, f.Round(f.ctx, true))
	f.faults.Inject(mem.Fault{Op: mem.OpGet})
	require.Error(t, f.Round(f.ctx, true))
	f.round(true)
}

// Whatever background work is told that somebody else owns the location, all of it stops.
func TestReplacedOwnerIsToldByAnything(t *testing.T) {
	for _, op := range []mem.Op{mem.OpTruncate, mem.OpSet, mem.OpSetIf, mem.OpDelete} {
		f := newFixture(t, still())
		id, other := f.register("s"), f.register("other")
		f.traceOf(id, indexed.MergeWidth, 1)
		f.traceOf(other, indexed.MergeWidth, 2)
		did, err := f.MergeOnce(f.ctx) // which leaves garbage, and other to merge
		require.NoError(t, err)
		require.True(t, did)
		require.Len(t, f.Buckets(other).Trace, indexed.MergeWidth)
		f.write(id, up("tail", indexed.MergeWidth+1))
		f.faults.Inject(mem.Fault{Op: op, Err: storage.NoEffect(storage.ErrConflict)})
		require.ErrorIs(t, f.Round(f.ctx, true), storage.ErrConflict, "%v", op)
		before := f.calls()
		err = f.Maintain(f.ctx)
		require.ErrorIs(t, err, indexed.ErrStopped)
		require.ErrorContains(t, err, "it flushes, merges and deletes no more since somebody else writes to its location")
		_, err = f.MergeOnce(f.ctx) // as Maintain does, if it is told in the middle
		require.ErrorIs(t, err, indexed.ErrStopped)
		require.Equal(t, before, f.calls(), "%v", op)
	}
}

// A call of Maintain whose context ends says nothing about the log.
func TestCancelledTruncationIsNoFailure(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	truncating := f.faults.GateBefore(mem.OpTruncate)
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	go func() { done <- f.Maintain(ctx) }()
	require.NoError(t, truncating.Wait(f.ctx, 1))
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	truncating.Open()
	require.NoError(t, f.Round(f.ctx, false))
	bounds, err := f.LogBounds(f.ctx)
	require.NoError(t, err)
	require.Equal(t, bounds.Last, bounds.After)
}

// Maintain reports a stream that it left out because somebody else could not read it,
// although it is to be tried again by the time that the call ends.
func TestMaintainReportsWhatItLeftOut(t *testing.T) {
	f := newFixture(t, still())
	bad, good := f.register("bad"), f.register("good")
	f.traceOf(bad, indexed.MergeWidth, 1)
	f.traceOf(good, indexed.MergeWidth, 1)
	f.write(good, up("tail", indexed.MergeWidth+1))
	require.NoError(t, f.Engine.Stop())
	log, blob := f.storage()
	edits := 0
	e, err := indexed.OpenStill(f.ctx, log, troubled{blob, func(op mem.Op, _ string) error {
		switch op {
		case mem.OpSet:
			f.MeetUnread(bad, syscall.EIO)
		case mem.OpSetIf:
			if edits++; edits == 2 { // which names the merge
				f.ReadAgain()
			}
		}
		return nil
	}}, still())
	require.NoError(t, err)
	f.Engine = e
	require.ErrorIs(t, f.Maintain(f.ctx), syscall.EIO)
	require.Equal(t, 2, edits)
	require.NoError(t, f.Maintain(f.ctx))
	require.Len(t, f.Buckets(bad).Trace, 1)
}

// eager reads metrics as soon as it has them.
type eager struct {
	prometheus.Registerer
	reading sync.WaitGroup
}

func (r *eager) Register(c prometheus.Collector) error {
	started := make(chan struct{})
	r.reading.Go(func() {
		all := make(chan prometheus.Metric, 100_000)
		close(started)
		for range 500 {
			c.Collect(all)
		}
	})
	<-started
	return nil
}

func (r *eager) Unregister(prometheus.Collector) bool { return true }

// Metrics may be read before the opening has ended, also when an earlier owner left
// something to delete. It takes the race detector to fail.
func TestMetricsWhileOpening(t *testing.T) {
	f := newFixture(t, still())
	for range 20 {
		f.write(f.register("s"), up("a", 1))
		f.round(true)
	}
	f.PreferBase()
	f.register("t")
	f.faults.Inject(mem.Fault{Op: mem.OpDelete, Sticky: true})
	require.Error(t, f.Round(f.ctx, true))
	registry := &eager{}
	f.cfg.Registerer = registry
	f.crash()
	registry.reading.Wait()
	require.GreaterOrEqual(t, f.Garbage(), 20)
}
