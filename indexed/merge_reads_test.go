package indexed_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
)

// A stream that is read by keys gets fewer batches, and then the reads have nothing left to pay
// for. A stream that is not read by keys keeps its batches.
func TestReadsByKeyPayForMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batches, rows = 10, 100
		f := newFixture(t, still())
		looked, other := f.register("looked into"), f.register("other")
		write := func(id indexed.StreamID, from, to uint64) {
			for b := from; b < to; b++ {
				var updates []indexed.Row
				for r := range rows {
					updates = append(updates, row(fmt.Sprintf("%04d-%d", r, b), "value", b, 1))
				}
				f.write(id, updates...)
				f.seal(id, frontier.At(b+1))
				f.round(true)
			}
		}
		write(looked, 0, batches)
		write(other, 0, batches)
		f.restartIn(func(mem.Op, string) error { return nil }, still())
		// look looks so many keys up, one by one.
		look := func(n int) {
			s, err := f.Snapshot(f.ctx, looked)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			for i := range n {
				key := fmt.Appendf(nil, "%04d-%d", i/batches%rows, i%batches)
				require.Len(t, collect(t, s.Keys(f.ctx, batches+1, func(yield func([]byte, error) bool) { yield(key, nil) })), 1)
			}
		}
		trace := func() int {
			synctest.Wait()
			return len(f.Buckets(looked).Trace)
		}
		look(50)
		require.Equal(t, batches, trace(), "few reads are not worth a merge")
		look(2000)
		require.Equal(t, 1, trace())
		write(looked, batches, batches+2)
		look(40)
		require.Equal(t, 3, trace(), "the merge has taken what was paid")
		look(9000)
		require.Equal(t, 1, trace())
		require.Len(t, f.Buckets(other).Trace, batches)
	})
}

// Three batches of a stream are not worth a merge. They are when many keys were looked up in
// all of them. Reads of everything, and of keys that no batch may have, pay for nothing.
func TestReadsPayForMerges(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	const rows = 1000
	var keys, others [][]byte
	batches := make([][]indexed.Row, 3)
	for i := range rows {
		others = append(others, fmt.Appendf(nil, "behind all keys %04d", i))
		for of := range uint64(3) {
			r := row(fmt.Sprintf("%04d-%d", i, of), "", of, 1)
			keys, batches[of] = append(keys, r.Key), append(batches[of], r)
		}
	}
	for at, updates := range batches {
		f.write(id, updates...)
		f.seal(id, frontier.At(uint64(at)+1))
		f.round(true)
	}
	lookup := func(s *indexed.Snapshot, keys ...[]byte) (found int) {
		for _, key := range keys {
			found += len(collect(t, s.Keys(f.ctx, 3, func(yield func([]byte, error) bool) { yield(key, nil) })))
		}
		return found
	}
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	for range 30 {
		require.Len(t, collect(t, s.AsOf(f.ctx, 3)), 3*rows)
		require.Zero(t, lookup(s, others...))
	}
	require.Zero(t, f.mergeAll(), "no batch was asked for these keys")
	reads := 0
	for ; f.mergeAll() == 0; reads++ {
		require.Less(t, reads, 30, "reads by key pay for nothing")
		require.Equal(t, 3*rows, lookup(s, keys...))
	}
	require.Greater(t, reads, 1, "reads by key pay for more than they take")
	require.Len(t, f.Buckets(id).Trace, 1)
	require.Len(t, f.read(id), 3*rows)
}
