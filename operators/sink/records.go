package sink

import (
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/persist"
)

// A command of several elements has no more updates than maxGroup, or bytes, beside its
// last element.
const (
	maxGroup      = 4096
	maxGroupBytes = 1 << 20
)

// records is a run of elements that are written by one command.
type records[K, V any] struct {
	updates []persist.Update[K, V]
	ends    []int // of each element, in updates
	bytes   int64 // about, in memory
}

// add copies an element: a branch of a FanOut may have the same slice.
func (r *records[K, V]) add(updates ...persist.Update[K, V]) {
	r.updates = append(r.updates, updates...)
	r.ends = append(r.ends, len(r.updates))
}

func (r *records[K, V]) empty() bool { return len(r.ends) == 0 }
func (r *records[K, V]) full() bool {
	return len(r.updates) >= maxGroup || r.bytes >= maxGroupBytes
}

// halves splits between two elements.
func (r *records[K, V]) halves() (left, right records[K, V]) {
	half := len(r.ends) / 2
	at := r.ends[half-1]
	left = records[K, V]{r.updates[:at:at], r.ends[:half:half], r.bytes / 2}
	right = records[K, V]{r.updates[at:], slices.Clone(r.ends[half:]), r.bytes / 2}
	for i := range right.ends {
		right.ends[i] -= at
	}
	return left, right
}

// submitRecords writes what is due: what has to be written again first; the records
// received when nothing else is on its way, so that one never waits for company,
// and otherwise when they are as many as a command should have.
func (w *writer[K, V]) submitRecords() {
	for len(w.again) > 0 && !w.full() {
		w.flyRecords(w.again[0])
		w.again = slices.Delete(w.again, 0, 1)
	}
	if w.records.empty() || w.full() {
		return
	}
	if len(w.flight) == 0 || (w.records.full() && w.flyingRecords()) {
		w.flyRecords(w.records)
		w.records = records[K, V]{}
	}
}

func (w *writer[K, V]) flyRecords(r records[K, V]) {
	w.fly(flying[K, V]{future: w.write.Write(w.ctx, r.updates), records: r, bytes: r.bytes})
}

func (w *writer[K, V]) addRecord(updates ...persist.Update[K, V]) {
	w.records.add(updates...)
	w.records.bytes += w.weigh.Of(updates)
}

// settleRecords finds the culprit when a command of several elements was refused:
// the others are innocent.
func (w *writer[K, V]) settleRecords(r records[K, V], err error) error {
	switch {
	case err == nil:
	case w.fatal(err):
		return err
	case w.transient(err):
		w.again = append(w.again, r)
		return w.backOff(err)
	case len(r.ends) > 1:
		left, right := r.halves()
		w.again = append(w.again, left, right)
	default:
		w.fault(fmt.Errorf("element of %d updates: %w", len(r.updates), err))
	}
	return nil
}
