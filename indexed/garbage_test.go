package indexed_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
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
