package indexed_test

import (
	"context"
	"fmt"
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

// damage flips a bit in every blob of a stream. The engine loses the place and opens
// it again.
func (f *fixture) damage(id indexed.StreamID) {
	f.Helper()
	f.change(batchesOf(id), func(data []byte) { data[len(data)/2] ^= 1 })
	f.open()
}

// change changes every blob whose key begins with a prefix. The engine loses the place.
func (f *fixture) change(prefix string, change func(data []byte)) {
	f.Helper()
	f.place.CrashWriter(nil)
	_ = f.Stop()
	blob, err := f.place.OpenBlob(storage.LockInfo{Owner: "damage"})
	require.NoError(f, err)
	keys := f.keys(prefix)
	require.NotEmpty(f, keys)
	for _, key := range keys {
		data, _, err := blob.Get(f.ctx, key)
		require.NoError(f, err)
		change(data)
		_, err = blob.Set(f.ctx, key, data)
		require.NoError(f, err)
	}
	require.NoError(f, blob.Close())
}

// Damage in one stream's batches holds up nobody else: neither flushes nor merges of
// other streams, nor the log. What is written to the damaged stream still reaches
// files. Maintain names it.
func TestDamageHoldsUpNobodyElse(t *testing.T) {
	f := newFixture(t, still())
	bad, good := f.register("bad"), f.register("good")
	for i := range uint64(3) {
		f.write(bad, up(fmt.Sprint(i), i+1))
		f.write(good, up(fmt.Sprint(i), i+1), up("too", i+1))
		f.round(true)
	}
	f.damage(bad)

	// The drain of the damaged stream fails; the rounds do not.
	f.seal(bad, frontier.At(3))
	f.seal(good, frontier.At(3))
	f.write(bad, up("tail", 9))
	f.round(true)
	require.Zero(t, f.Buckets(bad).TailChunks)
	require.Zero(t, f.Buckets(good).TailChunks)
	require.Len(t, f.Buckets(good).Trace, 1, "good was drained to its trace")
	require.Empty(t, f.Buckets(bad).Trace)
	bounds, err := f.LogBounds(f.ctx)
	require.NoError(t, err)
	require.Equal(t, bounds.Last, bounds.After, "the log was truncated")
	require.Len(t, f.read(good), 6)

	err = f.Maintain(f.ctx)
	require.ErrorIs(t, err, storage.ErrCorrupt)
	require.ErrorContains(t, err, `"bad"`)
	_, err = f.Destroy(f.ctx, "bad")
	require.NoError(t, err)
	require.NoError(t, f.Maintain(f.ctx), "gone with its stream")
}

// Merges go round a damaged stream.
func TestMergesGoRoundDamage(t *testing.T) {
	f := newFixture(t, still())
	bad, good := f.register("bad"), f.register("good")
	f.traceOf(bad, indexed.MergeWidth, 1)
	f.traceOf(good, indexed.MergeWidth, 2) // its merge is larger, so bad's comes first
	require.Len(t, f.Buckets(bad).Trace, indexed.MergeWidth)
	f.damage(bad)
	require.Equal(t, 2, f.mergeAll(), "one that met the damage, and one")
	require.Len(t, f.Buckets(good).Trace, 1)
	require.Len(t, f.Buckets(bad).Trace, indexed.MergeWidth)
	require.ErrorIs(t, f.Maintain(f.ctx), storage.ErrCorrupt)
}

// troubled is a store whose operations on some blobs fail.
type troubled struct {
	storage.Blob
	fails func(op mem.Op, key string) error
}

func (b troubled) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	if err := b.fails(mem.OpGet, key); err != nil {
		return nil, storage.NoVersion, fmt.Errorf("read %s: %w", key, err)
	}
	return b.Blob.Get(ctx, key)
}

func (b troubled) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	if err := b.fails(mem.OpSet, key); err != nil {
		return storage.NoVersion, fmt.Errorf("write %s: %w", key, err)
	}
	return b.Blob.Set(ctx, key, value)
}

func (b troubled) SetIf(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
	if err := b.fails(mem.OpSetIf, key); err != nil {
		return storage.NoVersion, fmt.Errorf("write %s: %w", key, err)
	}
	return b.Blob.SetIf(ctx, key, value, expected)
}

func (b troubled) Delete(ctx context.Context, key string) error {
	if err := b.fails(mem.OpDelete, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return b.Blob.Delete(ctx, key)
}

// restartIn opens the place with background work, in trouble.
func (f *fixture) restartIn(fails func(op mem.Op, key string) error, cfg indexed.Config) {
	f.Helper()
	_ = f.Engine.Stop()
	log, blob := f.storage()
	e, err := indexed.Open(f.ctx, log, troubled{blob, fails}, cfg)
	require.NoError(f, err)
	f.Engine = e
}

// restartStill is restartIn without background work.
func (f *fixture) restartStill(fails func(op mem.Op, key string) error) {
	f.Helper()
	require.NoError(f, f.Engine.Stop())
	log, blob := f.storage()
	var err error
	f.Engine, err = indexed.OpenStill(f.ctx, log, troubled{blob, fails}, f.cfg)
	require.NoError(f, err)
}

// batchesOf is what the keys of a stream's batches begin with.
func batchesOf(id indexed.StreamID) string { return fmt.Sprintf("batch/%d/", uint64(id)) }

// Nor does a file that the disk cannot read; and that is tried again.
func TestUnreadableBatchHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := still()
		cfg.MinStepInterval = time.Second
		f := newFixture(t, cfg)
		bad, good := f.register("bad"), f.register("good")
		f.traceOf(bad, indexed.MergeWidth, 1)
		f.traceOf(good, indexed.MergeWidth, 2)
		f.write(bad, up("unsealed", indexed.MergeWidth+3))
		f.round(true)
		var broken atomic.Bool
		broken.Store(true)
		f.restartIn(func(op mem.Op, key string) error {
			if broken.Load() && op == mem.OpGet && strings.HasPrefix(key, batchesOf(bad)) {
				return syscall.EIO
			}
			return nil
		}, cfg)
		f.write(bad, up("tail", indexed.MergeWidth+5))
		f.seal(bad, frontier.At(indexed.MergeWidth+4))
		err := f.Maintain(f.ctx)
		require.ErrorIs(t, err, syscall.EIO)
		require.ErrorContains(t, err, `"bad"`)
		require.Len(t, f.Buckets(good).Trace, 1, "good was merged")
		require.Zero(t, f.Buckets(bad).TailChunks)
		bounds, err := f.LogBounds(f.ctx)
		require.NoError(t, err)
		require.Equal(t, bounds.Last, bounds.After, "the log was truncated")

		broken.Store(false)
		<-time.After(5 * time.Minute)
		synctest.Wait()
		require.Len(t, f.Buckets(bad).Unsealed, 1, "what was sealed went to the trace by itself")
		require.NoError(t, f.Maintain(f.ctx))
	})
}
