package indexed_test

import (
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// Blobs that a crash left without a name are deleted at the next opening, and those
// that are named are not, also of a stream that the log has destroyed since.
func TestOrphans(t *testing.T) {
	f := newFixture(t, still())
	id, gone := f.register("s"), f.register("gone")
	f.write(id, up("a", 1))
	f.write(gone, up("b", 1))
	f.round(true)
	named := f.batchKeys()
	_, err := f.Destroy(f.ctx, "gone")
	require.NoError(t, err)
	f.write(id, up("c", 1))
	f.faults.Inject(mem.Fault{Op: mem.OpSetIf})
	require.Error(t, f.Round(f.ctx, true))
	orphans := slices.DeleteFunc(f.batchKeys(), func(key string) bool { return slices.Contains(named, key) })
	require.Len(t, orphans, 1)
	f.crash()
	require.NoError(t, f.CollectOrphans(f.ctx))
	f.round(true)
	require.NotContains(t, f.batchKeys(), orphans[0])
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
	require.Equal(t, []string{"k=a @1 +1", "k=c @1 +1"}, show(f.read(id)))
}

// Where blobs cannot be listed at the opening, orphans are looked for again, further and
// further apart, until they can; and then no more.
func TestOrphansAreLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id := f.register("s")
		f.write(id, up("a", 1))
		f.faults.Inject(mem.Fault{Op: mem.OpSetIf})
		require.Error(t, f.Round(f.ctx, true))
		require.Len(t, f.batchKeys(), 1, "the orphan")

		require.NoError(t, f.Stop())
		log := new(lines)
		cfg := busy()
		cfg.Logger = slog.New(log)
		f.faults = mem.NewUnreliable()
		remove := f.faults.Inject(mem.Fault{Op: mem.OpList, Key: "batch/", Sticky: true, Parts: 1, Err: syscall.EMFILE})
		engineLog, blob := f.storage()
		e, err := indexed.Open(f.ctx, engineLog, blob, cfg)
		require.NoError(t, err)
		f.Engine = e
		synctest.Wait()
		opening := f.faults.Calls(mem.OpList) - 1
		<-time.After(time.Hour)
		synctest.Wait()
		searches := f.faults.Calls(mem.OpList) - opening
		require.Greater(t, searches, 50)
		require.Less(t, searches, 70, "one a minute, as MinStepInterval is a second")
		f.round(true)
		require.Len(t, f.batchKeys(), 2)

		remove()
		<-time.After(time.Hour)
		synctest.Wait()
		require.Equal(t, searches+1, f.faults.Calls(mem.OpList)-opening)
		require.Equal(t, f.NamedBlobs(), f.batchKeys())
		require.Equal(t, []string{
			"could not list blobs to find those that no manifest names; it is tried again and again",
			"found blobs that no manifest names; deleting them",
			"blobs could be listed again",
		}, log.texts())
		require.Equal(t, []string{"k=a @1 +1"}, show(f.read(id)))
	})
}

// Blobs stay as long as a snapshot refers to them, and not longer, and a runtime that
// is otherwise idle deletes them.
func TestGarbageWaitsForSnapshots(t *testing.T) {
	cfg := still()
	cfg.MinStepInterval = time.Millisecond
	f := newFixture(t, cfg)
	id := f.register("s")
	f.write(id, up("a", 1))
	f.round(true)
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	other, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	old := f.batchKeys()
	f.seal(id, frontier.At(2))
	f.round(true)
	f.round(true)
	require.Subset(t, f.batchKeys(), old)
	require.Len(t, f.batchKeys(), 2)
	require.NoError(t, other.Close())
	require.NoError(t, other.Close())
	f.round(true)
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
	require.Error(t, f.Round(f.ctx, true))
	require.Equal(t, 1, f.Garbage(), "to be tried again")
	f.round(true)
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
}

// Batches that were merged away before any manifest named them stay for a snapshot too.
func TestUnnamedGarbageWaitsForSnapshots(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.traceOf(id, indexed.MergeWidth*indexed.MergeWidth, 1)
	for range indexed.MergeWidth {
		did, err := f.MergeOnce(f.ctx)
		require.NoError(t, err)
		require.True(t, did)
	}
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	require.Equal(t, 1, f.mergeAll())
	require.NoError(t, f.CheckIdle())
	f.round(true)
	require.Len(t, f.batchKeys(), indexed.MergeWidth+1)
	require.Len(t, collect(t, s.Consolidated(f.ctx)), indexed.MergeWidth*indexed.MergeWidth)
	require.NoError(t, s.Close())
	f.round(true)
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
}

// What a merge that fails again and again has written goes each time, also when there is
// nothing else to do.
func TestGarbageOfAFailedMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		f.traceOf(f.register("s"), indexed.MergeWidth, 20)
		before := f.batchKeys()
		cfg := busy()
		cfg.PartBytes = 100
		var failures atomic.Int64
		f.restartIn(func(op mem.Op, key string) error {
			if op == mem.OpSet && strings.HasSuffix(key, "-5.parquet") {
				failures.Add(1)
				return syscall.EIO
			}
			return nil
		}, cfg)
		<-time.After(time.Hour)
		synctest.Wait()
		require.Greater(t, failures.Load(), int64(10))
		require.Equal(t, before, f.batchKeys())
		require.Zero(t, f.Garbage())
	})
}

// On a full disk garbage is what makes room, so it does not wait for a manifest that
// cannot be written.
func TestGarbageGoesWhileTheManifestCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id := f.register("s")
		var full atomic.Bool
		f.restartIn(func(op mem.Op, _ string) error {
			if op == mem.OpSetIf && full.Load() {
				return syscall.ENOSPC
			}
			return nil
		}, busy())
		f.write(id, up("a", 1))
		require.NoError(t, f.Maintain(f.ctx))
		s, err := f.Snapshot(f.ctx, id)
		require.NoError(t, err)
		f.seal(id, frontier.At(2))
		require.NoError(t, f.Maintain(f.ctx))
		require.Len(t, f.batchKeys(), 2, "one is for the snapshot")
		full.Store(true)
		f.write(id, up("b", 5))
		require.ErrorIs(t, f.Maintain(f.ctx), syscall.ENOSPC)
		require.NoError(t, s.Close())
		synctest.Wait()
		require.Zero(t, f.Garbage())
		require.Equal(t, f.NamedBlobs(), f.batchKeys())
	})
}

// Deleting much takes its time, and nobody else's.
func TestDeletionsHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := still()
		cfg.PartBytes = 1 // a part for each update
		f := newFixture(t, cfg)
		gone, id := f.register("gone"), f.register("s")
		f.traceOf(gone, 1, 500)
		f.restartIn(func(op mem.Op, _ string) error {
			if op == mem.OpDelete {
				<-time.After(time.Second)
			}
			return nil
		}, busy())
		_, err := f.Destroy(f.ctx, "gone")
		require.NoError(t, err)
		start := time.Now()
		f.fill(id, 1)
		require.Less(t, time.Since(start), time.Minute, "of the bubble")
		<-time.After(time.Hour)
		synctest.Wait()
		require.Equal(t, f.NamedBlobs(), f.batchKeys())
	})
}

// An edit of the manifest that cannot be deleted keeps no other from it.
func TestUndeletableEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, still())
		id := f.register("s")
		f.round(true)
		stuck := f.keys("manifest/edit-")
		require.Len(t, stuck, 1)
		f.restartIn(func(op mem.Op, key string) error {
			if op == mem.OpDelete && key == stuck[0] {
				return syscall.EPERM
			}
			return nil
		}, busy())
		for i := range uint64(20) {
			f.write(id, up("a", i))
			_ = f.Maintain(f.ctx)
			f.PreferBase()
			f.seal(id, frontier.At(i+1))
			require.ErrorIs(t, f.Maintain(f.ctx), syscall.EPERM)
		}
		edits := f.keys("manifest/edit-")
		require.Contains(t, edits, stuck[0])
		require.Less(t, len(edits), 5)
	})
}

// On a full disk Maintain deletes what is needed no more before it merges, and after work
// that has failed. So one call or the next has the room.
func TestMaintainMakesRoom(t *testing.T) {
	t.Run("for merges", func(t *testing.T) {
		f := newFixture(t, still())
		id, gone := f.register("s"), f.register("gone")
		f.traceOf(id, indexed.MergeWidth, 10)
		f.traceOf(gone, 1, 10)
		f.restartStill(func(op mem.Op, _ string) error {
			if op == mem.OpSet && len(f.keys(batchesOf(gone))) > 0 {
				return storage.NoEffect(syscall.ENOSPC)
			}
			return nil
		})
		_, err := f.Destroy(f.ctx, "gone")
		require.NoError(t, err)
		require.NoError(t, f.Maintain(f.ctx))
		require.Len(t, f.Buckets(id).Trace, 1)
		require.Equal(t, f.NamedBlobs(), f.batchKeys())
	})
	t.Run("after a flush that failed", func(t *testing.T) {
		cfg := still()
		cfg.PartBytes = 4 << 10
		f := newFixture(t, cfg)
		id := f.register("s")
		f.fill(id, 1)
		room := 10
		f.restartStill(func(op mem.Op, _ string) error {
			if op == mem.OpSet && room == 0 {
				return storage.NoEffect(syscall.ENOSPC)
			} else if op == mem.OpSet {
				room--
			}
			return nil
		})
		require.ErrorIs(t, f.Maintain(f.ctx), syscall.ENOSPC)
		require.Zero(t, room, "some parts were written")
		require.Empty(t, f.batchKeys())
		require.Len(t, f.read(id), 100)
	})
}
