package indexed_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
)

// A snapshot of many parts is read ahead: through the cache if it fits, and else past it
// into memory that is used again.
func TestSnapshotOfManyParts(t *testing.T) {
	for name, limit := range map[string]int64{"that fit the cache": 0, "that do not": 1000, "without a cache": 1} {
		t.Run(name, func(t *testing.T) {
			cfg := still()
			cfg.PartBytes, cfg.CacheSizeLimit = 100, limit // of rows that take 30 bytes
			f := newFixture(t, cfg)
			id := f.register("s")
			const rows = 200
			var updates []indexed.Row
			var want []string
			for i := range rows {
				updates = append(updates, up(fmt.Sprintf("%05d", i), 0))
				want = append(want, fmt.Sprintf("k=%05d @0 +1", i))
			}
			f.write(id, updates...)
			f.seal(id, frontier.At(1))
			f.round(true)
			require.Equal(t, rows/4, f.Buckets(id).Trace[0].Parts)
			f.write(id, up("tail", 1))
			want = append(want, "k=tail @1 +1")

			s, err := f.Snapshot(f.ctx, id)
			require.NoError(t, err)
			defer s.Close()
			for range 2 {
				gets := f.faults.Calls(mem.OpGet)
				require.Equal(t, want, show(rawRows(t, s)))
				if limit != 0 {
					require.Equal(t, rows/4, f.faults.Calls(mem.OpGet)-gets)
				}
			}

			// Who stops early, at the first part or later, leaves nothing behind: goleak
			// looks for goroutines.
			for stop := range 4 {
				n := 0
				for _, err := range s.Chunks(f.ctx) {
					require.NoError(t, err)
					if n++; n > stop {
						break
					}
				}
			}

			// An error comes in its place, whatever was read before it.
			if limit != 0 {
				f.faults.Inject(mem.Fault{Op: mem.OpGet, Nth: 1})
				for _, err = range s.Chunks(f.ctx) {
					break
				}
				require.ErrorIs(t, err, mem.ErrUnavailable)
				chunks, remove := 0, func() {}
				for _, err = range s.Chunks(f.ctx) {
					if chunks++; chunks == 1 {
						remove = f.faults.Inject(mem.Fault{Op: mem.OpGet, Sticky: true})
					}
				}
				remove()
				require.ErrorIs(t, err, mem.ErrUnavailable)
				require.Equal(t, 2, chunks)
			}

			ctx, cancel := context.WithCancel(f.ctx)
			defer cancel()
			chunks := 0
			for _, err = range s.Chunks(ctx) {
				if chunks++; chunks == 10 {
					cancel()
				}
			}
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 11, chunks)
		})
	}
}

// Keys that begin with ones are in a part of their own: see TestPartEndsBeforeValuesWithoutBounds.
func TestPartOfOnes(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	var updates []indexed.Row
	for i := range 3000 {
		updates = append(updates, up(fmt.Sprintf("%05d", i), 0))
	}
	ones := strings.Repeat("\xff", 16)
	updates = append(updates, row(ones, "", 0, 1), row(ones+"1", "", 0, 1))
	f.write(id, updates...)
	f.seal(id, frontier.At(1))
	f.round(true)
	require.Equal(t, 2, f.Buckets(id).Trace[0].Parts)
	require.Equal(t, show(updates), show(f.read(id)))
}

// ChunksBetween yields the rows that Between consolidates: those of all times up to the
// since if it is asked for the since, and none if it is asked for no time.
func TestChunksBetween(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for i := range uint64(6) {
		f.write(id, up(fmt.Sprint(i), i))
		if i%2 == 0 {
			f.seal(id, frontier.At(i))
			f.round(true)
		}
	}
	f.allow(id, frontier.At(3))
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	for lower := uint64(3); lower < 7; lower++ {
		for upper := range uint64(7) {
			var rows []indexed.Row
			for chunk, err := range s.ChunksBetween(f.ctx, frontier.At(lower), frontier.At(upper)) {
				require.NoError(t, err)
				for i := range chunk.Len() {
					if key, val, time, diff, ok := chunk.Row(i); ok {
						rows = append(rows, indexed.Row{Key: bytes.Clone(key), Val: bytes.Clone(val), Time: time, Diff: diff})
					}
				}
			}
			want := []string{}
			for i := range uint64(6) {
				if at := max(i, 3); lower <= at && at < upper {
					want = append(want, fmt.Sprintf("k=%d @%d +1", i, at))
				}
			}
			require.ElementsMatch(t, want, show(rows), "[%d, %d)", lower, upper)
			require.Equal(t, want, show(collect(t, s.Between(f.ctx, frontier.At(lower), frontier.At(upper)))))
			require.GreaterOrEqual(t, s.RowsBetween(frontier.At(lower), frontier.At(upper)), len(rows))
		}
	}
}
