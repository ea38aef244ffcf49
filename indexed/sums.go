package indexed

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/tidemark-go/tidemark/internal/brief"
)

// Diffs are added up exactly: a sum is an int64 and a carry, which counts how often 1<<64
// is to be added to it. The carry is 0 unless the sum is beyond an int64 at the moment.

// addDiffs returns the sum of two diffs, and what to add to the carry.
func addDiffs(a, b int64) (sum, carry int64) {
	sum = a + b
	switch {
	case a >= 0 && b >= 0 && sum < 0:
		carry = 1
	case a < 0 && b < 0 && sum >= 0:
		carry = -1
	}
	return sum, carry
}

// yieldWide yields a row whose sum no int64 holds: see consolidate. It reports whether
// there may be more rows.
func yieldWide(r row, carry int64, tooLarge func(r *row, carry int64) error, yield func(row, error) bool) bool {
	if tooLarge == nil {
		return splitSum(r, carry, yield)
	}
	yield(row{}, tooLarge(&r, carry))
	return false
}

// splitSum yields a row whose sum no int64 holds as several equal rows, as few as can be.
// Batches have these: so nothing is lost, and whatever is added later gives the exact sum,
// in any order of merging. None of them has math.MinInt64 as its diff, which has no
// negation.
func splitSum(r row, carry int64, yield func(row, error) bool) bool {
	hi, lo := carry, uint64(r.diff)
	if r.diff < 0 {
		hi-- // the diff has a sign of its own
	}
	piece := int64(math.MaxInt64)
	if hi < 0 {
		piece = -math.MaxInt64
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi = -hi - int64(borrow)
	}
	pieces, rest := bits.Div64(uint64(hi), lo, math.MaxInt64)
	for r.diff = piece; pieces > 0; pieces-- {
		if !yield(r, nil) {
			return false
		}
	}
	if r.diff = int64(rest); piece < 0 {
		r.diff = -r.diff
	}
	//museum:sums-cut
	return r.diff == 0 || yield(r, nil)
}

// tooLargeSum returns what ends the read of a stream at a sum that no int64 holds.
func tooLargeSum(stream string) func(r *row, carry int64) error {
	return func(r *row, carry int64) error {
		sum := new(big.Int).Lsh(big.NewInt(carry), 64)
		sum.Add(sum, big.NewInt(r.diff))
		return streamErrorf(stream, ErrOverflow,
			"the diffs of key %s, value %s at time %d add up to %d, which no int64 holds: write updates that retract some of it, or read the updates as they are stored",
			brief.Bytes(r.key), brief.Bytes(r.val), r.time, sum)
	}
}
