package indexed

import (
	"math"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// This file tells how the rows of a batch are distributed over times: from its spread, if
// that is known, and otherwise from its least and greatest time.

// count is a number of rows, and how many of them are foldable.
type count struct{ rows, folds int64 }

func (c count) minus(d count) count { return count{max(0, c.rows-d.rows), max(0, c.folds-d.folds)} }

// atMost returns how many rows have times up to t. It is exact if the answer is all or
// none, or if the spread has every row; otherwise it is an estimate.
func (b *batch) atMost(t uint64) count {
	switch {
	case b.rows == 0 || t < b.minTime:
		return count{}
	case t >= b.maxTime:
		return count{b.rows, b.foldable}
	}
	s := b.times.Load()
	//museum:far-row-hides-others
	if s == nil { // a guess, and no row counts as foldable
		return b.some(part.ShareUpTo(b.minTime, b.maxTime, t), 0)
	}
	rows, folds := s.AtMost(t)
	return b.some(rows/float64(s.Total()), folds/float64(s.Total()))
}

// some turns shares of the rows into a count. REQUIRES: the answer is neither all nor none.
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

// unknown reports whether it is not known how the times of a batch are distributed.
func (b *batch) unknown() bool {
	return b.rows > 0 && b.minTime < b.maxTime && b.times.Load() == nil
}

// guessed reports whether the answer of atMost for t is a guess: some rows may have times
// up to t, others have not, and the spread is not known.
func (b *batch) guessed(t uint64) bool {
	return b.unknown() && b.minTime <= t && t < b.maxTime
}

// splitBy reports whether the number of rows before a frontier is a guess.
func (b *batch) splitBy(f frontier.Antichain) bool {
	t, ok := f.Elem()
	return ok && t > 0 && b.guessed(t-1)
}

// bytesOf returns how many bytes of memory so many rows of the batch take, on average.
func (b *batch) bytesOf(rows int64) int64 {
	if b.rows == 0 {
		return 0
	}
	return int64(float64(b.memBytes()) * float64(rows) / float64(b.rows))
}

// mayFold returns how many rows of a batch may fold without another batch, once the since
// has passed all of them. Rows of one time cannot: equal ones are a sum that no int64 holds.
func (b *batch) mayFold() int64 {
	if b.minTime == b.maxTime {
		return 0
	}
	return b.foldable
}
