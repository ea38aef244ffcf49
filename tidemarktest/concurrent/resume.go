package concurrent

import (
	"cmp"
	"slices"
)

// Resumable checks that a snapshot at some SeqNo and the tail after it are the whole. So
// any later snapshot, of any reader, must contain what the first snapshot and the tail up
// to there amount to, with times advanced to the later since. It must also have the upper
// that the tail has told.
func Resumable(h *History) error {
	snapshots := make(map[string][]*Read)
	for r := range h.snapshots() {
		snapshots[r.Stream] = append(snapshots[r.Stream], r)
	}
	for _, of := range snapshots {
		slices.SortStableFunc(of, func(a, b *Read) int { return cmp.Compare(a.SeqNo, b.SeqNo) })
	}
	tallies := make(map[*Read]tally)
	for r := range h.snapshots() {
		tallies[r] = tallyOf(r.Updates)
	}
	for i := range h.Tails {
		t := &h.Tails[i]
		events := slices.Clone(t.Events)
		slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.SeqNo, b.SeqNo) })
		sum, upper, n := tallies[&t.Start], t.Start.Upper, 0
		through := t.through()
		for _, r := range snapshots[t.Start.Stream] {
			if r.SeqNo < t.Start.SeqNo || r.SeqNo > through {
				continue
			}
			for ; n < len(events) && events[n].SeqNo <= r.SeqNo; n++ {
				e := &events[n]
				if e.SeqNo <= t.Start.SeqNo {
					continue // see NothingBeforeSnapshot
				}
				if e.Updates == nil {
					upper = e.Sealed
				} else {
					sum = sum.plus(e.Updates)
				}
			}
			sum = sum.advance(r.Since)
			if !slices.Equal(sum, tallies[r]) {
				return t.violation("resumable", r.SeqNo, "a snapshot of reader %s is not what this reader's snapshot at SeqNo %s and its tail amount to; it differs by %v",
					r.Reader, t.Start.SeqNo, difference(t.upTo(r), r.Updates, r.Since))
			}
			// Between the updates and the seal of a command, the tail has not told the
			// upper yet.
			if upper != r.Upper && r.SeqNo < through {
				return t.violation("resumable", r.SeqNo, "a snapshot of reader %s has the upper %s, this reader's tail has told %s", r.Reader, r.Upper, upper)
			}
		}
	}
	return nil
}

// upTo returns the updates of the tail's snapshot and its events up to a later
// snapshot.
func (t *Tail) upTo(r *Read) []Update {
	updates := slices.Clone(t.Start.Updates)
	for _, e := range t.Events {
		if t.Start.SeqNo < e.SeqNo && e.SeqNo <= r.SeqNo {
			updates = append(updates, e.Updates...)
		}
	}
	return updates
}

// Stable checks that an open snapshot does not change, whatever is written, compacted or
// destroyed meanwhile: a second read gives the same.
func Stable(h *History) error {
	for r := range h.snapshots() {
		if r.Reread && !slices.Equal(tallyOf(r.Updates), tallyOf(r.Again)) {
			return &Violation{
				Property: "stable", Stream: r.Stream, Reader: r.Reader, SeqNo: r.SeqNo,
				Detail: "the snapshot has changed while it was open, by " + describe(difference(r.Updates, r.Again, r.Since)),
			}
		}
	}
	return nil
}
