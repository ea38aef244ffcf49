package indexed_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
				f.round(true)
				version := f.ManifestVersion()
				f.write(id, up("a", 1))
				if full {
					f.PreferBase()
				}
				f.faults.Inject(mem.Fault{Op: mem.OpSetIf, Outcome: outcome})
				require.Error(t, f.Round(f.ctx, true))
				seen := f.manifestBlobs()
				r := f.followBlobs(still())
				f.write(id, up("b", 1))
				f.round(true)
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
	require.Error(t, f.Round(f.ctx, false))
	require.Equal(t, []int{1, 0}, []int{f.Buckets(small).TailChunks, f.Buckets(large).TailChunks})

	f.write(small, up(strings.Repeat("y", 100), 1)) // and now it is enough
	f.round(false)
	require.Zero(t, f.Buckets(small).TailChunks)
	f.crash()
	require.Len(t, f.read(small), 2)
	require.Len(t, f.read(large), 1)
}

// Edits that a base contains are deleted, also those that a crash left behind.
func TestOldEditsAreDeleted(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for i := range uint64(3) {
		f.write(id, up("a", i))
		f.round(true)
	}
	require.Len(t, f.keys("manifest/edit-"), 3)
	f.write(id, up("a", 4))
	f.PreferBase()
	f.faults.Inject(mem.Fault{Op: mem.OpDelete, Key: "manifest/", Nth: 2, Sticky: true})
	require.Error(t, f.Round(f.ctx, true))
	require.Len(t, f.keys("manifest/edit-"), 2)
	f.crash()
	f.write(id, up("a", 5))
	f.round(true)
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
		f.round(true)
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
	f.round(true)
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
