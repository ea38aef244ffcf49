package indexed_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
)

// Reads by key of many snapshots run at once, beside writes, flushes and merges. Each gives what
// a read of everything gives of the same snapshot.
func TestReadsByKeyAtOnce(t *testing.T) {
	cfg := still()
	cfg.CacheSizeLimit = 16 << 10 // things are evicted while they are read
	f := newFixture(t, cfg)
	id := f.register("s")
	const rounds, readers, keys = 40, 4, 10
	snapshots := make(chan *indexed.Snapshot, readers)
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for s := range snapshots {
				if err := checkKeys(f.ctx, s, keys); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var taken []*indexed.Snapshot
	for i := range uint64(rounds) {
		for k := range keys {
			f.write(id, row(fmt.Sprint("key ", k), fmt.Sprint(i), i+uint64(k%2), 1))
		}
		f.write(id, row("key 0", strings.Repeat("x", 5000), i, 1)) // what came before it is packed
		s, err := f.Snapshot(f.ctx, id)
		require.NoError(t, err)
		taken = append(taken, s)
		for range readers {
			snapshots <- s
		}
		switch i % 4 {
		case 1:
			f.round(true) // to an unsealed batch
		case 3:
			f.seal(id, frontier.At(i+1))
			f.round(true)
		}
		if i%10 == 0 {
			f.mergeAll()
		}
	}
	close(snapshots)
	all.Wait()
	for _, s := range taken {
		require.NoError(t, s.Close())
	}
}

// checkKeys returns an error if the rows of all keys are not all rows.
func checkKeys(ctx context.Context, s *indexed.Snapshot, keys int) error {
	upper, _ := s.Upper().Elem()
	missing := map[string]int{}
	for r, err := range s.AsOf(ctx, upper) {
		if err != nil {
			return err
		}
		missing[fmt.Sprintf("%s=%s %+d", r.Key, r.Val, r.Diff)]++
	}
	for r, err := range s.Keys(ctx, upper, func(yield func([]byte, error) bool) {
		for i := range keys {
			if !yield(fmt.Appendf(nil, "key %d", i), nil) {
				return
			}
		}
	}) {
		if err != nil {
			return err
		}
		missing[fmt.Sprintf("%s=%s %+d", r.Key, r.Val, r.Diff)]--
	}
	for row, n := range missing {
		if n != 0 {
			return fmt.Errorf("at %s: %d rows %s more by AsOf than by Keys", s.SeqNo(), n, row)
		}
	}
	return nil
}
