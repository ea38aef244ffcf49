package source

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// history reads intervals of times from snapshots of one stream, with times
// advanced to an as-of: [lower, upper) means the times after that.
type history[K, V any] struct {
	stream string
	asOf   frontier.Antichain
}

// check returns whether a snapshot with this since can still tell what lies at
// lower or after it from what lies before.
func (h history[K, V]) check(since, lower frontier.Antichain) error {
	if lower.LessEqual(h.asOf) {
		// Everything up to the as-of is wanted, so it need not be told apart.
		return checkAsOf(h.stream, h.asOf, since)
	}
	if since.LessThan(lower) {
		return nil
	}
	return &persist.StreamError{
		Stream: h.stream, Kind: persist.ErrAsOfBeforeSince,
		Detail: fmt.Sprintf("updates from time %s on are wanted, and the since is %s: what was there before can no longer be told apart; begin again with source.AsOf and an empty sink, and allow compaction up to the time before the sink's upper at most",
			lower, since),
	}
}

// rows yields [lower, upper), each update once, none twice at one time.
func (h history[K, V]) rows(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain) iter.Seq2[persist.Update[K, V], error] {
	asOf, _ := h.asOf.Elem()
	switch {
	case upper.Admits(asOf):
		// Everything there is is at the as-of or later.
		return func(func(persist.Update[K, V], error) bool) {}
	case !lower.LessEqual(h.asOf):
		return s.Between(ctx, lower, upper)
	}
	return func(yield func(persist.Update[K, V], error) bool) {
		for u, err := range s.AsOf(ctx, asOf) {
			if !yield(u, err) || err != nil {
				return
			}
		}
		after := frontier.Empty()
		if asOf < math.MaxUint64 {
			after = frontier.At(asOf + 1)
		}
		if !after.LessThan(upper) {
			return
		}
		for u, err := range s.Between(ctx, after, upper) {
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// plannedTimes is how many times plan looks at, about.
const plannedTimes = 1 << 16

// plan returns where to cut [lower, upper) so that about limit updates, and probably not
// more, lie between two cuts; the last is upper. Each interval between them takes a read
// of the snapshot, since rows are stored in the order of their keys: one that turns out
// to hold too many takes several.
func (h history[K, V]) plan(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit int) ([]frontier.Antichain, error) {
	from := lower
	if lower.LessEqual(h.asOf) {
		from = frontier.Antichain{} // all times up to the as-of are wanted
	}
	rows := s.RowsBetween(from, upper)
	if rows <= limit || !lower.LessThan(upper) {
		return []frontier.Antichain{upper}, nil
	}
	// One row of each step, not always the same one: keys may have as many rows.
	step := rows/plannedTimes + 1
	random := rand.New(rand.NewPCG(1, 2))
	var times []uint64
	n, next := 0, 0
	for row, err := range s.RawBetween(ctx, from, upper) {
		if err != nil {
			return nil, err
		}
		if n == next {
			times = append(times, h.asOf.Advance(row.Time))
			next = (n/step+1)*step + random.IntN(step)
		}
		n++
	}
	slices.Sort(times)
	// A sample is off by a few percent.
	every := max(1, limit/step*7/8)
	var cuts []frontier.Antichain
	for i := every; i < len(times); i += every {
		if cut := frontier.At(times[i]); lower.LessThan(cut) && h.asOf.LessThan(cut) && (len(cuts) == 0 || cuts[len(cuts)-1].LessThan(cut)) {
			cuts = append(cuts, cut)
		}
	}
	return append(cuts, upper), nil
}

// read returns all updates of [lower, end), where end is upper, or less if there
// would be more than limit. A single time is never split.
func (h history[K, V]) read(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit int) (updates []persist.Update[K, V], end frontier.Antichain, err error) {
	for end = upper; ; {
		updates, err = h.readUpTo(ctx, s, lower, end, limit)
		if err != nil || len(updates) <= limit {
			return updates, end, err
		}
		// Too many. What was read so far is a sample, by key, of the times there are: go
		// back to half of it. The interval gets shorter every time, so this ends.
		if split := splitTime(updates); frontier.At(split).LessThan(end) {
			end = frontier.At(split)
		} else {
			limit = math.MaxInt // one time, as far as one can see
		}
	}
}

// readUpTo stops when it has more than limit updates.
func (h history[K, V]) readUpTo(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit int) ([]persist.Update[K, V], error) {
	var updates []persist.Update[K, V]
	for u, err := range h.rows(ctx, s, lower, upper) {
		if err != nil {
			return nil, err
		}
		if updates = append(updates, u); len(updates) > limit {
			break
		}
	}
	return updates, nil
}

// splitTime returns the median of the times, or the time after the least if all of
// the lower half are the same. It is in advance of the least.
func splitTime[K, V any](updates []persist.Update[K, V]) uint64 {
	times := make([]uint64, len(updates))
	for i := range updates {
		times[i] = updates[i].Time
	}
	slices.Sort(times)
	median := times[len(times)/2]
	if median == times[0] {
		if median == math.MaxUint64 {
			return median
		}
		return median + 1
	}
	return median
}
