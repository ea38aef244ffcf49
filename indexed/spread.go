package indexed

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/tidemark-go/tidemark/frontier"
)

// spread tells how the times of a batch's rows are distributed, well enough to decide what
// background work is worth: exactly if there are few rows or few times, from a sample
// otherwise. Without it one row far away would hide all others between the least and the
// greatest time, which is all that the manifest says. It is not stored: a batch of an
// earlier opening has none until it was read for it.
type spread struct {
	points []spreadPoint // ascending
}

// spreadPoint stands for the rows with times from first to last.
type spreadPoint struct {
	first, last uint64
	// How many rows of the sample there are up to last, how many of those are foldable (see
	// batch), that is, equal to the row before by a since from their time on, and how many
	// have a negative diff.
	rows, folds, negative uint32
}

// total returns the rows of the sample.
func (s *spread) total() uint32 { return s.points[len(s.points)-1].rows }

const (
	// At least maxSample rows are kept of a batch that has so many, and less than twice as
	// many: an estimated share is off by about a fiftieth.
	maxSample = 512
	// maxPoints is how many parts of equal size a sample is divided into. A time that has
	// more rows than such a part is a point of its own.
	maxPoints = 128
)

// sampler takes a sample of the rows of a batch as they come: one at a random place of
// each block of so many rows. The places are random since rows come in patterns: a
// retraction after each insertion, for example. The seed is always the same.
type sampler struct {
	kept  []sampledRow
	block uint64 // rows of a block, a power of two
	at    uint64 // rows of the present block that have come
	pick  uint64 // which of them is taken
	state uint64 // of the random numbers
}

type sampledRow struct {
	time            uint64
	folds, negative bool
}

func (s *sampler) add(r *row, folds bool) {
	if s.at == s.pick {
		s.kept = append(s.kept, sampledRow{r.time, folds, r.diff < 0})
	}
	if s.at++; s.at >= s.block {
		s.nextBlock()
	}
}

func (s *sampler) nextBlock() {
	s.block = max(s.block, 1)
	if len(s.kept) == 2*maxSample {
		for i := range maxSample {
			s.kept[i] = s.kept[2*i+int(s.random()>>63)]
		}
		s.kept = s.kept[:maxSample]
		s.block *= 2
	}
	s.at, s.pick = 0, s.random()&(s.block-1)
}

// random is splitmix64.
func (s *sampler) random() uint64 {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// spread returns what was learnt of the rows; nil if there were none.
func (s *sampler) spread() *spread {
	rows := s.kept
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b sampledRow) int { return cmp.Compare(a.time, b.time) })
	times := 1
	for i := range rows[1:] {
		if rows[i].time != rows[i+1].time {
			times++
		}
	}
	most := 0 // rows of a point with several times
	if times > maxPoints {
		most = len(rows) / maxPoints
	}
	out := &spread{}
	var total, folds, negative uint32
	inPoint := 0
	for from := 0; from < len(rows); {
		to := from
		for to < len(rows) && rows[to].time == rows[from].time {
			if rows[to].folds {
				folds++
			}
			if rows[to].negative {
				negative++
			}
			to++
		}
		total += uint32(to - from)
		if n := len(out.points); n > 0 && inPoint+to-from <= most {
			out.points[n-1] = spreadPoint{out.points[n-1].first, rows[from].time, total, folds, negative}
			inPoint += to - from
		} else {
			out.points = append(out.points, spreadPoint{rows[from].time, rows[from].time, total, folds, negative})
			inPoint = to - from
		}
		from = to
	}
	out.points = slices.Clip(out.points)
	return out
}

// atMost returns how many rows of a sample have times up to t, and how many of them are
// foldable. Times within a point count as spread evenly.
func (s *spread) atMost(t uint64) (rows, folds float64) {
	i := sort.Search(len(s.points), func(i int) bool { return s.points[i].last > t })
	var before spreadPoint
	if i > 0 {
		before = s.points[i-1]
	}
	rows, folds = float64(before.rows), float64(before.folds)
	if i < len(s.points) && s.points[i].first <= t {
		p := &s.points[i]
		share := shareUpTo(p.first, p.last, t)
		rows += share * float64(p.rows-before.rows)
		folds += share * float64(p.folds-before.folds)
	}
	return rows, folds
}

// shareUpTo returns which share of times spread evenly over [lo, hi] is at most t, which
// is one of them.
func shareUpTo(lo, hi, t uint64) float64 {
	return (float64(t-lo) + 1) / (float64(hi-lo) + 1)
}

// count is a number of rows, and how many of them are foldable.
type count struct{ rows, folds int64 }

func (c count) minus(d count) count { return count{max(0, c.rows-d.rows), max(0, c.folds-d.folds)} }

// atMost returns how many rows have times up to t: exactly if all or none do.
func (b *batch) atMost(t uint64) count {
	switch {
	case b.rows == 0 || t < b.minTime:
		return count{}
	case t >= b.maxTime:
		return count{b.rows, b.foldable}
	}
	s := b.times.Load()
	//museum:far-row-hides-others
	if s == nil { // nothing is known of what could fold
		return b.some(shareUpTo(b.minTime, b.maxTime, t), 0)
	}
	rows, folds := s.atMost(t)
	return b.some(rows/float64(s.total()), folds/float64(s.total()))
}

// some returns the count for shares of the rows. They are neither all nor none.
func (b *batch) some(rows, folds float64) count {
	return count{
		rows:  min(max(1, int64(math.Round(rows*float64(b.rows)))), b.rows-1),
		folds: min(int64(math.Round(folds*float64(b.rows))), b.foldable),
	}
}

// before returns how many rows have times before a frontier.
func (b *batch) before(f frontier.Antichain) count {
	t, ok := f.Elem()
	switch {
	case !ok:
		return count{b.rows, b.foldable}
	case t == 0:
		return count{}
	}
	return b.atMost(t - 1)
}

// unknown reports whether nothing is known of how the times of a batch are distributed.
func (b *batch) unknown() bool {
	return b.rows > 0 && b.minTime < b.maxTime && b.times.Load() == nil
}

// guessed reports whether some rows may have times up to t, and others do not, and how many
// is a guess: see atMost.
func (b *batch) guessed(t uint64) bool {
	return b.unknown() && b.minTime <= t && t < b.maxTime
}

// splitBy is guessed for the times before a frontier.
func (b *batch) splitBy(f frontier.Antichain) bool {
	t, ok := f.Elem()
	return ok && t > 0 && b.guessed(t-1)
}

// bytesOf returns what so many rows take of the batch in memory, on average.
func (b *batch) bytesOf(rows int64) int64 {
	if b.rows == 0 {
		return 0
	}
	return int64(float64(b.memBytes()) * float64(rows) / float64(b.rows))
}
