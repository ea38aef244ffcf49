package indexed

import (
	"math"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// How the rows of a batch are distributed over times, by its spread where that is known.

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
		return b.some(part.ShareUpTo(b.minTime, b.maxTime, t), 0)
	}
	rows, folds := s.AtMost(t)
	return b.some(rows/float64(s.Total()), folds/float64(s.Total()))
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
