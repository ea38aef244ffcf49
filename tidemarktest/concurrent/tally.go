package concurrent

import (
	"cmp"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/frontier"
)

// tally stands for the contents of a stream. For each time it has one sum: the diffs at
// that time, each multiplied by a hash of its key and value. Contents that consolidate to
// the same have the same tally, in any order. To advance times is to add sums. A tally is
// sorted by time, has no sums of zero, and is never changed in place.
type tally []cell

type cell struct{ time, sum uint64 }

func tallyOf(updates []Update) tally { return tally(nil).plus(updates) }

// plus returns the tally with updates added.
func (t tally) plus(updates []Update) tally {
	if len(updates) == 0 {
		return t
	}
	sum := make(tally, len(t), len(t)+len(updates))
	copy(sum, t)
	for i := range updates {
		sum = append(sum, cell{updates[i].Time, uint64(updates[i].Diff) * hashOf(&updates[i])})
	}
	return sum.settle()
}

// advance returns the tally with times advanced to since.
func (t tally) advance(since frontier.Antichain) tally {
	if n := sort.Search(len(t), func(i int) bool { return since.Advance(t[i].time) == t[i].time }); n == 0 {
		return t
	}
	moved := slices.Clone(t)
	for i := range moved {
		moved[i].time = since.Advance(moved[i].time)
	}
	return moved.settle()
}

// settle sorts the cells, adds up cells of one time, and drops zeros, in place.
func (t tally) settle() tally {
	slices.SortFunc(t, func(a, b cell) int { return cmp.Compare(a.time, b.time) })
	kept := t[:0]
	for _, c := range t {
		if n := len(kept); n > 0 && kept[n-1].time == c.time {
			kept[n-1].sum += c.sum
		} else {
			kept = append(kept, c)
		}
	}
	return slices.DeleteFunc(kept, func(c cell) bool { return c.sum == 0 })
}

// digest returns a number that differs for different contents, as far as 64 bits can.
func (t tally) digest() uint64 {
	d := uint64(14695981039346656037)
	for _, c := range t {
		d = (d ^ c.time) * 1099511628211
		d = (d ^ c.sum ^ c.sum>>31) * 1099511628211
	}
	return d
}

func hashOf(u *Update) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(uint64(len(u.Key)))
	_, _ = d.WriteString(u.Key) // never fails
	_, _ = d.WriteString(u.Val)
	return d.Sum64() | 1
}

// counts returns how often each update occurs.
func counts(updates []Update) map[Update]int {
	n := make(map[Update]int, len(updates))
	for _, u := range updates {
		n[u]++
	}
	return n
}

// consolidated returns the contents that updates amount to as of a since, as sums of
// diffs.
func consolidated(updates []Update, since frontier.Antichain) map[Update]int64 {
	sums := make(map[Update]int64)
	for _, u := range updates {
		diff := u.Diff
		u.Time, u.Diff = since.Advance(u.Time), 0
		if sums[u] += diff; sums[u] == 0 {
			delete(sums, u)
		}
	}
	return sums
}

// difference returns what must be added to one set of updates to get another, for messages:
// a few updates at most, sorted.
func difference(from, to []Update, since frontier.Antichain) []Update {
	sums := consolidated(to, since)
	for u, diff := range consolidated(from, since) {
		if sums[u] -= diff; sums[u] == 0 {
			delete(sums, u)
		}
	}
	var result []Update
	for u, diff := range sums {
		u.Diff = diff
		result = append(result, u)
	}
	slices.SortFunc(result, func(a, b Update) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Val, b.Val))
	})
	return result[:min(len(result), 8)]
}
