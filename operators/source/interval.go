package source

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// history reads intervals of times from snapshots of one stream. It advances times to an
// as-of. An interval [lower, upper) is of the advanced times.
type history[K, V any] struct {
	stream  string
	asOf    frontier.Antichain
	decoder *persist.Decoder[K, V]
}

// rowOverhead is the bytes of a row's time and diff, beside its key and value.
const rowOverhead = 16

// rowBytes is the bytes of a row.
func rowBytes(row persist.Row) int64 { return rowOverhead + int64(len(row.Key)) + int64(len(row.Val)) }

// leastFirst and leastSecond are the diffs of the two updates that stand for one whose diff is
// math.MinInt64. A sum may be that, but no write takes it, because it has no negation. The two
// are decoded one after the other, so that they share no memory.
const leastFirst, leastSecond = -math.MaxInt64, -1

func least(row persist.Row) bool {
	//museum:least-sum
	return row.Diff == math.MinInt64
}

// bound is the most that a batch may have. A batch of a single time may have more.
type bound struct {
	updates int
	bytes   int64 // by rowBytes
}

// unbounded is the bound of a single time.
var unbounded = bound{math.MaxInt, math.MaxInt64}

//museum:batches-by-rows
func (b bound) exceeded(updates int, bytes int64) bool { return updates > b.updates || bytes > b.bytes }

// times is the bound of n batches that are read at once. Together they have no more bytes
// than two batches.
func (b bound) times(n int) bound {
	return bound{min(b.updates, math.MaxInt/n) * n, min(b.bytes, math.MaxInt64/2) * int64(min(n, 2))}
}

// rows yields the updates in [lower, upper), consolidated.
func (h history[K, V]) rows(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain) iter.Seq2[persist.Row, error] {
	asOf, _ := h.asOf.Elem()
	switch {
	case upper.Admits(asOf):
		// All advanced times are at the as-of or later.
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

// plannedTimes is about how many samples look takes.
const plannedTimes = 1 << 16

// cut is where an interval ends, and about how much it has. Both counts are 0 if look was not
// called.
type cut struct {
	upper   frontier.Antichain
	updates int
	bytes   int64
}

// plan returns where to cut [lower, upper). The last cut is at upper. If there are few rows,
// plan does not look at them, and returns one cut: too few cuts, if the rows are large.
func (h history[K, V]) plan(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit bound) (cuts []cut, looked bool, err error) {
	if s.RowsBetween(h.wanted(lower), upper) <= limit.updates || !lower.LessThan(upper) {
		return []cut{{upper: upper}}, false, nil
	}
	cuts, err = h.look(ctx, s, lower, upper, limit)
	return cuts, true, err
}

// wanted returns where [lower, ...) begins in times that are not advanced to the as-of.
func (h history[K, V]) wanted(lower frontier.Antichain) frontier.Antichain {
	if lower.LessEqual(h.asOf) {
		return frontier.Antichain{}
	}
	return lower
}

// sample is one time. It stands for a row of that time and for the rows stored beside it.
type sample struct {
	time    uint64
	updates int
	bytes   int64
}

// look reads [lower, upper) and chooses cuts. Between two cuts lies about limit, and probably
// not more, unless that is a single time.
func (h history[K, V]) look(ctx context.Context, s *persist.Snapshot[K, V], lower, upper frontier.Antichain, limit bound) ([]cut, error) {
	from := h.wanted(lower)
	// Sample one row of each step, at random: if each key had step rows, the first rows of
	// all steps might have equal times.
	step := s.RowsBetween(from, upper)/plannedTimes + 1
	random := rand.New(rand.NewPCG(1, 2))
	var samples []sample
	n, chosen := 0, 0
	for row, err := range s.RawBetween(ctx, from, upper) {
		if err != nil {
			return nil, err
		}
		if n%step == 0 {
			samples = append(samples, sample{})
			chosen = n + random.IntN(step)
		}
		last := &samples[len(samples)-1]
		if n%step == 0 || n == chosen {
			last.time = h.asOf.Advance(row.Time)
		}
		last.updates++
		last.bytes += rowBytes(row)
		n++
	}
	slices.SortFunc(samples, func(a, b sample) int { return cmp.Compare(a.time, b.time) })
	// Samples are off by a few percent.
	about := bound{max(1, limit.updates-limit.updates/8), max(1, limit.bytes-limit.bytes/8)}
	var cuts []cut
	var since cut // the last cut
	for len(samples) > 0 {
		group, rest := firstTime(samples)
		at := frontier.At(group.time)
		if since.updates > 0 && about.exceeded(since.updates+group.updates, since.bytes+group.bytes) && lower.LessThan(at) && h.asOf.LessThan(at) {
			since.upper = at
			cuts, since = append(cuts, since), cut{}
		}
		since.updates += group.updates
		since.bytes += group.bytes
		samples = rest
	}
	since.upper = upper
	return append(cuts, since), nil
}

// firstTime adds up the samples of the first time.
func firstTime(sorted []sample) (first sample, rest []sample) {
	first.time = sorted[0].time
	for len(sorted) > 0 && sorted[0].time == first.time {
		first.updates += sorted[0].updates
		first.bytes += sorted[0].bytes
		sorted = sorted[1:]
	}
	return first, sorted
}

// interval has all updates from the upper of the interval before to its own upper.
type interval[K, V any] struct {
	updates []persist.Update[K, V]
	sizes   []uint32 // of the updates, by rowBytes
	bytes   int64    // their sum
	upper   frontier.Antichain
}

func newInterval[K, V any](upper frontier.Antichain, updates int) interval[K, V] {
	return interval[K, V]{updates: make([]persist.Update[K, V], 0, updates), sizes: make([]uint32, 0, updates), upper: upper}
}

func (in *interval[K, V]) add(u persist.Update[K, V], size uint32) {
	in.updates, in.sizes = append(in.updates, u), append(in.sizes, size)
	in.bytes += int64(size)
}

// atOnce returns how many of the cuts are read at once: as many as have the bytes of two
// batches together, and at least one.
func atOnce(cuts []cut, limit bound) int {
	n, bytes := 1, cuts[0].bytes
	for n < min(batchesAtOnce, len(cuts)) && bytes+cuts[n].bytes <= limit.times(2).bytes {
		bytes += cuts[n].bytes
		n++
	}
	return n
}

// errMore: there is more than was planned, and look was not called.
var errMore = errors.New("more than may be")

// read returns the intervals that end at the cuts. The first begins at lower. If there is
// more than limit for each cut, they end earlier; if look was not called, read returns errMore
// instead. A single time is never split. An error comes with the intervals before it.
func (h history[K, V]) read(ctx context.Context, s *persist.Snapshot[K, V], lower frontier.Antichain, cuts []cut, limit bound, looked bool) ([]interval[K, V], error) {
	for {
		most := limit.times(len(cuts))
		last := len(cuts) - 1
		if h.single(lower, cuts[last].upper) {
			most = unbounded
		}
		intervals, ok, err := h.readUpTo(ctx, s, lower, cuts, limit, most)
		switch {
		case errors.Is(err, persist.ErrOverflow) && last > 0:
			cuts = cuts[:1] // the sum may be of a later interval
			continue
		case err != nil || ok:
			return intervals, err
		case !looked:
			return nil, errMore
		}
		// The rows read so far have the least keys: they are a sample of all times. Go back to
		// half of them. Each turn reads a shorter interval, so this ends.
		split := h.splitTime(intervals, cuts[last].upper)
		for last > 0 && !cuts[last-1].upper.LessThan(split) {
			last--
		}
		cuts = append(cuts[:last:last], cut{upper: split})
	}
}

// single reports whether [lower, upper) is a single time.
func (h history[K, V]) single(lower, upper frontier.Antichain) bool {
	first, _ := lower.Elem()
	first = h.asOf.Advance(first)
	return !upper.Admits(first) && (first == math.MaxUint64 || upper == frontier.At(first+1))
}

// ended returns the error of ctx. It looks at ctx for every 256th row only, since a look costs
// as much as decoding a small row.
func ended(ctx context.Context, row int) error {
	if row%256 != 0 {
		return nil
	}
	return ctx.Err()
}

// readUpTo reads the intervals. It stops when it has more than most; then ok is false. If an
// update cannot be decoded, it returns the error with the intervals up to its time. It reads
// on for that, because rows come in the order of their keys.
func (h history[K, V]) readUpTo(ctx context.Context, s *persist.Snapshot[K, V], lower frontier.Antichain, cuts []cut, limit, most bound) (intervals []interval[K, V], ok bool, err error) {
	intervals = make([]interval[K, V], len(cuts))
	for i, c := range cuts {
		intervals[i] = newInterval[K, V](c.upper, min(c.updates+c.updates/8, limit.updates)) // a plan is off by a few percent
	}
	var undecodable error
	n, bytes := 0, int64(0)
	add := func(row persist.Row) {
		i := 0
		for i < len(intervals) && intervals[i].upper.Admits(row.Time) {
			i++
		}
		if i == len(intervals) {
			return // at or after an update that cannot be decoded
		}
		u, err := h.decoder.Decode(row)
		if err != nil {
			from := lower
			if i > 0 {
				from = intervals[i-1].upper
			}
			end := frontier.At(row.Time)
			if h.mayEnd(from, end) {
				intervals[i].upper = end
				i++
			}
			clear(intervals[i:])
			//museum:lost-with-a-row
			intervals, undecodable = intervals[:i], err
			n, bytes = 0, 0
			for _, in := range intervals {
				n, bytes = n+len(in.updates), bytes+in.bytes
			}
			return
		}
		size := rowBytes(row)
		intervals[i].add(u, uint32(min(size, math.MaxUint32)))
		n, bytes = n+1, bytes+size
	}
	read := 0
	for row, err := range h.rows(ctx, s, lower, cuts[len(cuts)-1].upper) {
		if err != nil {
			return nil, false, err
		}
		if err := ended(ctx, read); err != nil {
			return nil, false, err
		}
		read++
		if least(row) {
			row.Diff = leastFirst
			add(row)
			row.Diff = leastSecond
		}
		add(row)
		if len(intervals) == 0 {
			break
		}
		if most.exceeded(n, bytes) {
			return intervals, false, nil
		}
	}
	if last := len(intervals) - 1; undecodable != nil && last >= 0 {
		if intervals[last].cut(); len(intervals[last].updates) == 0 {
			intervals = intervals[:last]
		}
	}
	return intervals, true, undecodable
}

// mayEnd reports whether a batch that begins at lower may end at upper. None ends at or before
// the as-of: contents as of the as-of are complete when the upper has passed it, and a sink
// that is sealed to the as-of or before could not be resumed (see check).
func (h history[K, V]) mayEnd(lower, upper frontier.Antichain) bool {
	return lower.LessThan(upper) && h.asOf.LessThan(upper)
}

// cut drops the updates at or after upper, which was moved back.
func (in *interval[K, V]) cut() {
	all := *in
	in.updates, in.sizes, in.bytes = in.updates[:0], in.sizes[:0], 0
	for i, u := range all.updates {
		if !in.upper.Admits(u.Time) {
			in.add(u, all.sizes[i])
		}
	}
	clear(all.updates[len(in.updates):])
}

// split yields the interval as it is, if it has no more than limit. Otherwise it yields
// several intervals of at most limit, each with a slice of its own. A single time is never
// split.
func (in interval[K, V]) split(limit bound) iter.Seq[interval[K, V]] {
	return func(yield func(interval[K, V]) bool) {
		if !limit.exceeded(len(in.updates), in.bytes) {
			yield(in)
			return
		}
		pieces := in.pieces(limit)
		for i, u := range in.updates {
			at, _ := slices.BinarySearchFunc(pieces, u.Time, func(p interval[K, V], time uint64) int {
				if p.upper.Admits(time) {
					return -1
				}
				return 1
			})
			pieces[at].add(u, in.sizes[i])
		}
		in = interval[K, V]{}
		for i := range pieces {
			piece := pieces[i]
			pieces[i] = interval[K, V]{} // the consumer's alone
			if !yield(piece) {
				return
			}
		}
	}
}

// pieces returns empty intervals of at most limit each, with room for all updates of in.
func (in interval[K, V]) pieces(limit bound) (pieces []interval[K, V]) {
	var piece sample
	for times := samplesOf([]interval[K, V]{in}); len(times) > 0; {
		group, rest := firstTime(times)
		if piece.updates > 0 && limit.exceeded(piece.updates+group.updates, piece.bytes+group.bytes) {
			pieces = append(pieces, newInterval[K, V](frontier.At(group.time), piece.updates))
			piece = sample{}
		}
		piece.updates += group.updates
		piece.bytes += group.bytes
		times = rest
	}
	return append(pieces, newInterval[K, V](in.upper, piece.updates))
}

// samplesOf returns the times of all updates, sorted.
func samplesOf[K, V any](intervals []interval[K, V]) (samples []sample) {
	for _, in := range intervals {
		for i := range in.updates {
			samples = append(samples, sample{in.updates[i].Time, 1, int64(in.sizes[i])})
		}
	}
	slices.SortFunc(samples, func(a, b sample) int { return cmp.Compare(a.time, b.time) })
	return samples
}

// splitTime returns a time with about half of the bytes before it, as far as samples tell.
// What it cuts off is never empty. REQUIRES: the intervals have more than a single time.
func (h history[K, V]) splitTime(intervals []interval[K, V], upper frontier.Antichain) frontier.Antichain {
	samples := samplesOf(intervals)
	var half int64
	for _, s := range samples {
		half += s.bytes
	}
	half /= 2
	first := samples[0].time
	i := 0
	for ; half > samples[i].bytes; i++ {
		half -= samples[i].bytes
	}
	if at := samples[i].time; at > first {
		return frontier.At(at)
	}
	// Half of the bytes are of the first time.
	if first < math.MaxUint64 && frontier.At(first+1).LessThan(upper) {
		return frontier.At(first + 1)
	}
	return frontier.At(first) // all of it, and it is the last: what is before it was not seen yet
}
