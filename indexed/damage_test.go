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
	"github.com/tidemark-go/tidemark/storage"
)

// damage flips a bit in every blob of a stream. The engine loses the place and opens
// it again.
func (f *fixture) damage(id indexed.StreamID) {
	f.Helper()
	f.place.CrashWriter(nil)
	_ = f.Stop()
	blob, err := f.place.OpenBlob(storage.LockInfo{Owner: "damage"})
	require.NoError(f, err)
	keys := f.keys(fmt.Sprintf("batch/%d/", uint64(id)))
	require.NotEmpty(f, keys)
	for _, key := range keys {
		data, _, err := blob.Get(f.ctx, key)
		require.NoError(f, err)
		data[len(data)/2] ^= 1
		_, err = blob.Set(f.ctx, key, data)
		require.NoError(f, err)
	}
	require.NoError(f, blob.Close())
	f.open()
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
		f.step(true)
	}
	f.damage(bad)

	// The drain of the damaged stream fails; the rounds do not.
	f.seal(bad, frontier.At(3))
	f.seal(good, frontier.At(3))
	f.write(bad, up("tail", 9))
	f.step(true)
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
	for i := range uint64(2) {
		f.write(bad, up(fmt.Sprint(i), i))
		f.write(good, up(fmt.Sprint(i), i), up("too", i)) // its merge is larger, so bad's comes first
		f.seal(bad, frontier.At(i+1))
		f.seal(good, frontier.At(i+1))
		f.step(true)
	}
	require.Len(t, f.Buckets(bad).Trace, 2)
	f.damage(bad)
	require.Equal(t, 2, f.mergeAll(), "one that met the damage, and one")
	require.Len(t, f.Buckets(good).Trace, 1)
	require.Len(t, f.Buckets(bad).Trace, 2)
	require.ErrorIs(t, f.Maintain(f.ctx), storage.ErrCorrupt)
}

// badSector is a store of which some blobs cannot be read while it is bad.
type badSector struct {
	storage.Blob
	prefix string
	bad    *atomic.Bool
}

func (b badSector) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	if b.bad.Load() && strings.HasPrefix(key, b.prefix) {
		return nil, storage.NoVersion, fmt.Errorf("read %s: %w", key, syscall.EIO)
	}
	return b.Blob.Get(ctx, key)
}

// Nor does a file that the disk cannot read; and that is tried again.
func TestUnreadableBatchHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := still()
		cfg.MinStepInterval = time.Second
		f := newFixture(t, cfg)
		bad, good := f.register("bad"), f.register("good")
		for i := range uint64(2) {
			f.write(bad, up(fmt.Sprint(i), i))
			f.write(good, up(fmt.Sprint(i), i), up("too", i))
			f.seal(bad, frontier.At(i+1))
			f.seal(good, frontier.At(i+1))
			f.step(true)
		}
		f.write(bad, up("unsealed", 5))
		f.step(true)
		require.NoError(t, f.Stop())
		var broken atomic.Bool
		broken.Store(true)
		log, blob := f.storage()
		e, err := indexed.Open(f.ctx, log, badSector{blob, fmt.Sprintf("batch/%d/", uint64(bad)), &broken}, cfg)
		require.NoError(t, err)
		f.Engine = e
		f.write(bad, up("tail", 7))
		f.seal(bad, frontier.At(6))
		err = f.Maintain(f.ctx)
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
