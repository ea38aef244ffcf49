package indexed_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
)

// What flushes and merges take in memory is bounded in multiples of a large value
// (docs/promises.md): a flush by all that it allocates, a merge by what is live whenever it
// writes a part, while the next one is encoded.
func TestMemoryOfLargeValues(t *testing.T) {
	const (
		size   = 2 << 20
		inputs = 16 // of the merge, of two rows each
		store  = 1  // copies of a blob that mem.Blob makes, and keeps
	)
	heap := func() (live, allocated float64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools held is gone after the second
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / size, float64(m.TotalAlloc) / size
	}
	var most, liveBefore float64
	stored := 0
	cfg := still()
	cfg.CacheSizeLimit, cfg.PartBytes = 1, size // a part for each row
	f := newFixture(t, cfg)
	require.NoError(t, f.Stop())
	log, blob := f.storage()
	e, err := indexed.OpenStill(f.ctx, log, troubled{blob, func(op mem.Op, _ string) error {
		if op == mem.OpSet {
			live, _ := heap()
			most = max(most, live-liveBefore-float64(stored))
			stored += store
		}
		return nil
	}}, cfg)
	require.NoError(t, err)
	f.Engine = e
	id := f.register("s")
	val := make([]byte, size) // that does not compress
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range val {
		val[i] = byte(rng.Uint32())
	}

	measure := func(work func()) (allocated float64) {
		var before, after float64
		liveBefore, before = heap()
		most, stored = 0, 0
		work()
		_, after = heap()
		return after - before
	}
	other := f.register("other")
	f.write(other, indexed.Row{Key: []byte("k"), Val: val, Diff: 1})
	require.Less(t, measure(func() { f.round(true) }), 9.0+store+copiesOfRace)

	for i := range uint64(inputs) {
		for _, key := range []uint64{i, i + inputs} {
			f.write(id, indexed.Row{Key: fmt.Appendf(nil, "%02d", key), Val: val, Time: i, Diff: 1})
		}
		f.round(true)
	}
	require.Len(t, f.Buckets(id).Unsealed, inputs)
	f.seal(id, frontier.At(inputs))
	measure(func() { f.mergeAll() })
	require.Equal(t, 2*inputs, stored)
	require.Less(t, most, inputs+15.0) // all rows would be 2*inputs, and what encodes them

	for i, r := range f.read(id) {
		require.Equal(t, fmt.Sprintf("%02d", i), string(r.Key))
		require.True(t, bytes.Equal(val, r.Val))
	}
}
