package part

import (
	"cmp"
	"context"
	"slices"
	"sort"
)

// Spread tells how the times of a batch's rows are distributed, well enough to decide what
// background work is worth: exactly if there are few rows or few times, from a sample
// otherwise. Without it one row far away would hide all others between the least and the
// greatest time, which is all that the manifest says. It is not stored: a batch of an
// earlier opening has none until it was read for it.
type Spread struct {
	Points []SpreadPoint // ascending
}

// SpreadPoint stands for the rows with times from first to last.
type SpreadPoint struct {
	First, Last uint64
	// How many rows of the sample there are up to last, how many of those are foldable (see
	// Written), that is, equal to the row before by a since from their time on, and how many
	// have a negative diff.
	Rows, Folds, Negative uint32
}

// Total returns the rows of the sample.
func (s *Spread) Total() uint32 { return s.Points[len(s.Points)-1].Rows }

const (
	// At least maxSample rows are kept of a batch that has so many, and less than twice as
	// many: an estimated share is off by about a fiftieth.
	maxSample = 512
	// maxPoints is how many parts of equal size a sample is divided into. A time that has
	// more rows than such a part is a point of its own.
	maxPoints = 128
)

// Sampler takes a sample of the rows of a batch as they come: one at a random place of
// each block of so many rows. The places are random since rows come in patterns: a
// retraction after each insertion, for example. The seed is always the same.
type Sampler struct {
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

// Add takes a row. folds says whether its key and value are those of the row before.
func (s *Sampler) Add(r *Row, folds bool) {
	if s.at == s.pick {
		s.kept = append(s.kept, sampledRow{r.Time, folds, r.Diff < 0})
	}
	if s.at++; s.at >= s.block {
		s.nextBlock()
	}
}

func (s *Sampler) nextBlock() {
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
func (s *Sampler) random() uint64 {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Spread returns what was learnt of the rows; nil if there were none.
func (s *Sampler) Spread() *Spread {
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
	out := &Spread{}
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
		if n := len(out.Points); n > 0 && inPoint+to-from <= most {
			out.Points[n-1] = SpreadPoint{out.Points[n-1].First, rows[from].time, total, folds, negative}
			inPoint += to - from
		} else {
			out.Points = append(out.Points, SpreadPoint{rows[from].time, rows[from].time, total, folds, negative})
			inPoint = to - from
		}
		from = to
	}
	out.Points = slices.Clip(out.Points)
	return out
}

// AtMost returns how many rows of a sample have times up to t, and how many of them are
// foldable. Times within a point count as spread evenly.
func (s *Spread) AtMost(t uint64) (rows, folds float64) {
	i := sort.Search(len(s.Points), func(i int) bool { return s.Points[i].Last > t })
	var before SpreadPoint
	if i > 0 {
		before = s.Points[i-1]
	}
	rows, folds = float64(before.Rows), float64(before.Folds)
	if i < len(s.Points) && s.Points[i].First <= t {
		p := &s.Points[i]
		share := ShareUpTo(p.First, p.Last, t)
		rows += share * float64(p.Rows-before.Rows)
		folds += share * float64(p.Folds-before.Folds)
	}
	return rows, folds
}

// ShareUpTo returns which share of times spread evenly over [lo, hi] is at most t, which
// is one of them.
func ShareUpTo(lo, hi, t uint64) float64 {
	return (float64(t-lo) + 1) / (float64(hi-lo) + 1)
}

// Sample reads the rows of a batch for how its times are distributed. It holds so many
// bytes of them at most.
func Sample(ctx context.Context, rows *Rows, held int) (*Spread, error) {
	share([]Source{rows}, held)
	var sample Sampler
	var prev Row
	for n := 0; ; n++ {
		r, ok, err := rows.next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			return sample.Spread(), nil
		}
		sample.Add(&r, n > 0 && sameKeyVal(&r, &prev))
		prev = r
	}
}
