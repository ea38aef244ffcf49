package part

import (
	"cmp"
	"context"
	"slices"
	"sort"
)

// Spread tells how the times of the rows of a batch are distributed. It is good enough to
// decide what background work is worth: it is exact for few rows or few times, and comes
// from a sample otherwise. The manifest has only the least and the greatest time, and one
// row far away makes these useless.
//
// A Spread is not stored. A batch of an earlier opening has none until the batch is read
// for it.
type Spread struct {
	Points []SpreadPoint // ascending
}

// SpreadPoint stands for the rows with times from First to Last.
type SpreadPoint struct {
	First, Last uint64
	// Counts of the rows of the sample with times up to Last: all of them; those that are
	// foldable (see Written), that is, equal to the row before once the since has reached
	// their time; and those with a negative diff.
	Rows, Folds, Negative uint32
}

// Total returns the number of rows in the sample.
func (s *Spread) Total() uint32 { return s.Points[len(s.Points)-1].Rows }

const (
	// A sample of a batch has at least maxSample rows, if the batch has so many, and less
	// than twice as many. So an estimated share is wrong by about a fiftieth.
	maxSample = 512
	// maxPoints is the number of equal parts into which a sample is divided. A time with
	// more rows than such a part has a point of its own.
	maxPoints = 128
)

// Sampler takes a sample of the rows of a batch, in the order in which they come: one row
// at a random place of each block of rows. The place is random because rows come in
// patterns, for example a retraction after each insertion. The seed is always the same.
type Sampler struct {
	kept  []sampledRow
	block uint64 // rows of a block, a power of two
	at    uint64 // rows of the present block so far
	pick  uint64 // index of the row of the block that is taken
	state uint64 // of the random numbers
}

type sampledRow struct {
	time            uint64
	folds, negative bool
}

// Add adds the next row. folds says that it is foldable: see Written.
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

// Spread returns the Spread of the rows so far; nil if there were none.
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

// AtMost returns how many rows of the sample have times up to t, and how many of these are
// foldable. Within a point, times count as spread evenly.
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

// ShareUpTo returns the share of the times in [lo, hi] that is at most t, if they are
// spread evenly. REQUIRES: t is in [lo, hi].
func ShareUpTo(lo, hi, t uint64) float64 {
	return (float64(t-lo) + 1) / (float64(hi-lo) + 1)
}

// Sample reads the rows of a batch and returns how their times are distributed. It holds at
// most so many bytes of them.
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
