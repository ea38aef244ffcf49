package source

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// The history is cut into intervals of about as many updates as were asked for, without
// reading what lies outside of it.
func TestPlan(t *testing.T) {
	ctx := t.Context()
	registry, faults := mem.NewRegistry(), mem.NewUnreliable()
	c, err := registry.RuntimeUnreliable(ctx, faults, persist.Config{MinStepInterval: 1 << 40, FlushInterval: -1, CacheSizeLimit: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()
	w, r, err := persist.CreateOrLoad(ctx, c, "s", codec.String, codec.String)
	require.NoError(t, err)
	const rounds, times, keys = 3, 100, 20 // of which each makes a batch
	for round := range rounds {
		for i := range times {
			at := uint64(round*times + i)
			var updates []persist.Update[string, string]
			for k := range keys {
				updates = append(updates, persist.Update[string, string]{Key: fmt.Sprint(k), Time: at, Diff: 1})
			}
			_, err := w.Write(ctx, updates).Wait(ctx)
			require.NoError(t, err)
		}
		_, err := w.Seal(ctx, uint64(round+1)*times).Wait(ctx)
		require.NoError(t, err)
		require.NoError(t, c.Maintain(ctx))
	}
	s, err := r.Snapshot(ctx)
	require.NoError(t, err)
	defer s.Close()
	const all = rounds * times
	plan := func(asOf, lower, upper uint64, limit int) (cuts []frontier.Antichain, gets int) {
		h := history[string, string]{stream: "s", asOf: frontier.At(asOf), decoder: r.Decoder()}
		before := faults.Calls(mem.OpGet)
		planned, _, err := h.plan(ctx, s, frontier.At(lower), frontier.At(upper), bound{limit, math.MaxInt64})
		require.NoError(t, err)
		for _, cut := range planned {
			cuts = append(cuts, cut.upper)
		}
		require.Equal(t, frontier.At(upper), cuts[len(cuts)-1])
		last := frontier.At(max(lower, asOf))
		for _, cut := range cuts {
			require.True(t, last.LessThan(cut), "%v", cuts)
			last = cut
		}
		return cuts, faults.Calls(mem.OpGet) - before
	}

	cuts, gets := plan(0, 0, all, all*keys)
	require.Len(t, cuts, 1)
	require.Zero(t, gets, "it fits")

	cuts, gets = plan(0, 0, all, 50*keys)
	require.Equal(t, rounds, gets)
	require.InDelta(t, all/50, len(cuts), 2)
	from := uint64(0)
	for _, cut := range cuts {
		to, ok := cut.Elem()
		require.True(t, ok)
		require.LessOrEqual(t, to-from, uint64(50))
		from = to
	}

	cuts, gets = plan(0, 2*times+90, all, times*keys)
	require.Len(t, cuts, 1)
	require.Zero(t, gets, "the newest batch alone is in question")
	cuts, gets = plan(0, 2*times+10, all, 10*keys)
	require.Equal(t, 1, gets, "of the newest batch")
	require.Greater(t, len(cuts), 5)

	cuts, _ = plan(all-20, 0, all, 10*keys)
	require.LessOrEqual(t, len(cuts), 4, "all times up to the as-of are one time")
}

// What is read at once is cut at the times of the plan, in as many batches as it takes, and
// none has more updates than may be but those of a single time.
func TestIntervals(t *testing.T) {
	of := func(times ...uint64) (updates []persist.Update[string, string]) {
		for i, at := range times {
			updates = append(updates, persist.Update[string, string]{Key: fmt.Sprint(i), Time: at, Diff: 1})
		}
		return updates
	}
	for name, tt := range map[string]struct {
		times []uint64
		limit int      // of updates, or of bytes if there are sizes
		want  []uint64 // of the uppers but the last
		sizes []uint32
	}{
		"nothing":                 {nil, 1, nil, nil},
		"it fits":                 {[]uint64{1, 2, 3}, 3, nil, nil},
		"one time":                {[]uint64{5, 5, 5, 5}, 2, nil, nil},
		"each time by itself":     {[]uint64{3, 1, 2}, 1, []uint64{2, 3}, nil},
		"in between":              {[]uint64{4, 1, 3, 2, 5}, 2, []uint64{3, 5}, nil},
		"not through a time":      {[]uint64{1, 2, 2, 3}, 2, []uint64{2, 3}, nil},
		"a large time first":      {[]uint64{1, 1, 1, 1, 2, 3}, 2, []uint64{2}, nil},
		"by bytes":                {[]uint64{4, 1, 3, 2, 5}, 5, []uint64{3, 4, 5}, []uint32{4, 1, 2, 3, 5}},
		"a large row":             {[]uint64{1, 2, 3, 4}, 5, []uint64{2, 3}, []uint32{1, 9, 1, 1}},
		"a large time, in bytes":  {[]uint64{1, 2, 2, 3}, 5, []uint64{2, 3}, []uint32{1, 3, 3, 1}},
		"a large time at the end": {[]uint64{1, 7, 7, 7}, 2, []uint64{7}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInterval[string, string](frontier.Empty(), 0)
			for i, u := range of(tt.times...) {
				size := uint32(1)
				if i < len(tt.sizes) {
					size = tt.sizes[i]
				}
				in.add(u, size)
			}
			limit := bound{tt.limit, math.MaxInt64}
			if tt.sizes != nil {
				limit = bound{math.MaxInt, int64(tt.limit)}
			}
			var uppers []uint64
			lower, n := frontier.At(0), 0
			for got := range in.split(limit) {
				for i, u := range got.updates {
					require.True(t, lower.Admits(u.Time) && !got.upper.Admits(u.Time))
					require.True(t, i == 0 || got.updates[i-1].Key < u.Key, "in their order")
					require.True(t, !limit.exceeded(len(got.updates), got.bytes) || u.Time == got.updates[0].Time)
				}
				n += len(got.updates)
				if upper, ok := got.upper.Elem(); ok {
					uppers = append(uppers, upper)
				}
				lower = got.upper
			}
			require.Equal(t, tt.want, uppers)
			require.Equal(t, len(tt.times), n)
			require.True(t, lower.IsEmpty())
		})
	}
}
