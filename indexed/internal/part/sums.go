package part

import (
	"math"
	"math/big"
	"math/bits"
)

// Diffs are added up exactly. A sum is an int64 and a carry: the number of times that 1<<64
// must be added to the int64. The carry is 0 unless the sum is too large for an int64.

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

// yieldWide yields a row whose sum no int64 holds: see Consolidate. It returns false if no
// more rows may follow.
func yieldWide(r Row, carry int64, tooLarge func(r *Row, carry int64) error, yield func(Row, error) bool) bool {
	if tooLarge == nil {
		return splitSum(r, carry, yield)
	}
	yield(Row{}, tooLarge(&r, carry))
	return false
}

// splitSum yields a row whose sum no int64 holds as several equal rows, as few as possible.
// Batches store such rows. So nothing is lost, and later updates give the exact sum in any
// order of merging. None of the rows has the diff math.MinInt64, which has no negation.
func splitSum(r Row, carry int64, yield func(Row, error) bool) bool {
	hi, lo := carry, uint64(r.Diff)
	if r.Diff < 0 {
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
	for r.Diff = piece; pieces > 0; pieces-- {
		if !yield(r, nil) {
			return false
		}
	}
	if r.Diff = int64(rest); piece < 0 {
		r.Diff = -r.Diff
	}
	//museum:sums-cut
	return r.Diff == 0 || yield(r, nil)
}

// WideSum returns the exact sum of a row and its carry.
func WideSum(r *Row, carry int64) *big.Int {
	sum := new(big.Int).Lsh(big.NewInt(carry), 64)
	return sum.Add(sum, big.NewInt(r.Diff))
}
