package indexed_test

import (
	"fmt"
	"testing"

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
