package frontier

import (
	"fmt"
	"math"
	"strconv"
)

// Antichain is a frontier of totally ordered times: one time, or none.
//
// It is comparable with == and usable as a map key. The zero value is {0}, the
// minimum: nothing is known to be complete.
type Antichain struct {
	// INVARIANT: elem is 0 when empty is true, so that == is equality of frontiers.
	elem  uint64
	empty bool
}

// At returns the antichain {t}.
func At(t uint64) Antichain { return Antichain{elem: t} }

// Empty returns the antichain without a time: no more times.
func Empty() Antichain { return Antichain{empty: true} }

// Elem returns the time of the antichain, and false if it is empty.
func (a Antichain) Elem() (t uint64, ok bool) { return a.elem, !a.empty }

// Before returns the last time before the antichain, and false if there is none. Of an upper
// it is the last complete time: t-1 for {t}, the last of all times, math.MaxUint64, for {},
// and none for {0}.
func (a Antichain) Before() (t uint64, ok bool) {
	switch {
	case a.empty:
		return math.MaxUint64, true
	case a.elem == 0:
		return 0, false
	}
	return a.elem - 1, true
}

// IsEmpty reports whether the antichain is {}: no more times.
func (a Antichain) IsEmpty() bool { return a.empty }

// LessEqual reports whether b is at or in advance of a. Everything is at or
// before {}, and only {} is at or in advance of {}.
func (a Antichain) LessEqual(b Antichain) bool {
	if b.empty {
		return true
	}
	return !a.empty && a.elem <= b.elem
}

// LessThan reports whether b is strictly in advance of a.
func (a Antichain) LessThan(b Antichain) bool { return a != b && a.LessEqual(b) }

// Compare returns -1 if a is before b, 0 if they are equal and +1 if a is in
// advance of b: the order of [slices.SortFunc].
func (a Antichain) Compare(b Antichain) int {
	switch {
	case a == b:
		return 0
	case a.LessEqual(b):
		return -1
	default:
		return 1
	}
}

// Admits reports whether t is at or in advance of the antichain. {} admits nothing.
func (a Antichain) Admits(t uint64) bool { return !a.empty && a.elem <= t }

// Advance moves t up to the antichain: the larger of t and its time. {} leaves
// t as it is, since no reader is left for whom it would have to move.
func (a Antichain) Advance(t uint64) uint64 {
	if a.empty || a.elem <= t {
		return t
	}
	return a.elem
}

// Join returns the later of the two antichains.
func (a Antichain) Join(b Antichain) Antichain {
	if a.LessEqual(b) {
		return b
	}
	return a
}

// Meet returns the earlier of the two antichains.
func (a Antichain) Meet(b Antichain) Antichain {
	if a.LessEqual(b) {
		return a
	}
	return b
}

// String returns "{2}" for the antichain at 2 and "{}" for the empty one.
func (a Antichain) String() string {
	if a.empty {
		return "{}"
	}
	return "{" + strconv.FormatUint(a.elem, 10) + "}"
}

// MarshalText returns the same text as String.
func (a Antichain) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText accepts what MarshalText returns.
func (a *Antichain) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "{}" {
		*a = Empty()
		return nil
	}
	if len(s) < 3 || s[0] != '{' || s[len(s)-1] != '}' {
		return fmt.Errorf("frontier: %q is not an antichain: want {} or {TIME}", s)
	}
	t, err := strconv.ParseUint(s[1:len(s)-1], 10, 64)
	if err != nil {
		return fmt.Errorf("frontier: %q is not an antichain: %w", s, err)
	}
	*a = At(t)
	return nil
}
