package source

import (
	"context"
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
	stream  string
	asOf    frontier.Antichain
	decoder *persist.Decoder[K, V]
}

// rowOverhead is what a row counts for beside its key and value, for its time and diff.
const rowOverhead = 16

// rows yields [lower, upper), each update once, none twice at one time.
func (h history[K, V]) rows(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain) iter.Seq2[persist.Row, error] {
	asOf, _ := h.asOf.Elem()
	switch {
	case upper.Admits(asOf):
		// Everything there is is at the as-of or later.
		return func(func(persist.Row, error) bool) {}
	case !lower.LessEqual(h.asOf):
		return s.RawSorted(ctx, lower, upper)
	}
	return func(yield func(persist.Row, error) bool) {
		for u, err := range s.RawAsOf(ctx, asOf) {
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
		for u, err := range s.RawSorted(ctx, after, upper) {
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// plannedTimes is how many times plan looks at, about.
const plannedTimes = 1 << 16

// plan returns where to cut [lower, upper) so that about limit updates, and probably not
// more, lie between two cuts; the last is upper. It also returns how many lie there, about,
// or 0 if it has not looked.
func (h history[K, V]) plan(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit int) (cuts []frontier.Antichain, each int, err error) {
	from := lower
	if lower.LessEqual(h.asOf) {
		from = frontier.Antichain{} // all times up to the as-of are wanted
	}
	rows := s.RowsBetween(from, upper)
	if rows <= limit || !lower.LessThan(upper) {
		return []frontier.Antichain{upper}, 0, nil
	}
	// One row of each step, not always the same one: keys may have as many rows.
	step := rows/plannedTimes + 1
	random := rand.New(rand.NewPCG(1, 2))
	var times []uint64
	n, next := 0, 0
	for row, err := range s.RawBetween(ctx, from, upper) {
		if err != nil {
			return nil, 0, err
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
	for i := every; i < len(times); i += every {
		if cut := frontier.At(times[i]); lower.LessThan(cut) && h.asOf.LessThan(cut) && (len(cuts) == 0 || cuts[len(cuts)-1].LessThan(cut)) {
			cuts = append(cuts, cut)
		}
	}
	return append(cuts, upper), min(every*step, n), nil
}

// interval is all updates of the times from the upper of the one before to its own.
type interval[K, V any] struct {
	updates []persist.Update[K, V]
	upper   frontier.Antichain
}

// read returns the intervals that end at the cuts, the first of which begins at lower. If
// there would be more updates than limit for each cut they end earlier, but a single time
// is never split. Room is made for each updates in an interval.
func (h history[K, V]) read(ctx context.Context, s *persist.Snapshot[K, V], lower frontier.Antichain, cuts []frontier.Antichain, limit, each int) ([]interval[K, V], error) {
	limit = min(limit, math.MaxInt/len(cuts)) * len(cuts)
	for {
		intervals, n, err := h.readUpTo(ctx, s, lower, cuts, limit, each)
		if err != nil || n <= limit {
			return intervals, err
		}
		// Too many. What was read so far is a sample, by key, of the times there are: go
		// back to half of it. What is read gets shorter every time, so this ends.
		split, last := splitTime(intervals), len(cuts)-1
		if !split.LessThan(cuts[last]) {
			limit = math.MaxInt // one time, as far as one can see
			continue
		}
		for last > 0 && !cuts[last-1].LessThan(split) {
			last--
		}
		cuts = append(cuts[:last:last], split)
	}
}

// readUpTo stops when it has more than limit updates. It returns how many it has.
func (h history[K, V]) readUpTo(ctx context.Context, s *persist.Snapshot[K, V], lower frontier.Antichain, cuts []frontier.Antichain, limit, each int) ([]interval[K, V], int, error) {
	intervals := make([]interval[K, V], len(cuts))
	for i := range intervals {
		intervals[i] = interval[K, V]{make([]persist.Update[K, V], 0, each), cuts[i]}
	}
	n := 0
	for row, err := range h.rows(ctx, s, lower, cuts[len(cuts)-1]) {
		if err != nil {
			return nil, 0, err
		}
		u, err := h.decoder.Decode(row)
		if err != nil {
			return nil, 0, err
		}
		i := 0
		for intervals[i].upper.Admits(u.Time) {
			i++
		}
		intervals[i].updates = append(intervals[i].updates, u)
		if n++; n > limit {
			break
		}
	}
	return intervals, n, nil
}

// split yields an interval in several of at most limit updates, each of which has a slice
// of its own, or as it is if it has no more. A single time is never split.
func (in interval[K, V]) split(limit int) iter.Seq[interval[K, V]] {
	return func(yield func(interval[K, V]) bool) {
		var times []uint64
		if len(in.updates) > limit {
			times = timesOf([]interval[K, V]{in})
		}
		for len(times) > limit {
			// The first so many, without those that have the time of the next one, unless
			// there is no other time.
			n, _ := slices.BinarySearch(times, times[limit])
			if n == 0 {
				n = limit + 1
				for n < len(times) && times[n] == times[0] {
					n++
				}
			}
			if n == len(times) {
				break
			}
			first, rest := interval[K, V]{make([]persist.Update[K, V], 0, n), frontier.At(times[n])}, interval[K, V]{upper: in.upper}
			for _, u := range in.updates {
				if first.upper.Admits(u.Time) {
					rest.updates = append(rest.updates, u)
				} else {
					first.updates = append(first.updates, u)
				}
			}
			if !yield(first) {
				return
			}
			in, times = rest, times[n:]
		}
		yield(in)
	}
}

// timesOf returns the times of all updates, sorted.
func timesOf[K, V any](intervals []interval[K, V]) []uint64 {
	var times []uint64
	for _, in := range intervals {
		for i := range in.updates {
			times = append(times, in.updates[i].Time)
		}
	}
	slices.Sort(times)
	return times
}

// splitTime returns the median of the times, or the time after the least, if there is one,
// if all of the lower half are the same. It is in advance of the least.
func splitTime[K, V any](intervals []interval[K, V]) frontier.Antichain {
	times := timesOf(intervals)
	median := times[len(times)/2]
	if median == times[0] {
		if median == math.MaxUint64 {
			return frontier.Empty()
		}
		return frontier.At(median + 1)
	}
	return frontier.At(median)
}
