package sink

import (
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/operators/internal/order"
	"github.com/tidemark-go/tidemark/persist"
)

// A command of several elements has at most maxGroup updates and maxGroupBytes bytes, not
// counting its last element.
const (
	maxGroup      = 4096
	maxGroupBytes = 1 << 20
)

// records is a run of elements that one command writes.
type records[K, V any] struct {
	updates []persist.Update[K, V]
	ends    []int  // of each element, in updates
	bytes   int64  // about, in memory
	acks    []*ack // of each element; nil if there is no Acknowledge
}

// answer says that all elements are durable, or why they are refused.
func (r *records[K, V]) answer(err error) {
	for _, a := range r.acks {
		a.answer(err)
	}
}

// add copies an element: another branch of a FanOut may have the same slice.
func (r *records[K, V]) add(updates ...persist.Update[K, V]) {
	r.updates = append(r.updates, updates...)
	r.ends = append(r.ends, len(r.updates))
}

func (r *records[K, V]) empty() bool { return len(r.ends) == 0 }
func (r *records[K, V]) full() bool {
	return len(r.updates) >= maxGroup || r.bytes >= maxGroupBytes
}

// halves splits the run between two elements.
func (r *records[K, V]) halves() (left, right records[K, V]) {
	half := len(r.ends) / 2
	at := r.ends[half-1]
	left = records[K, V]{updates: r.updates[:at:at], ends: r.ends[:half:half], bytes: r.bytes / 2}
	right = records[K, V]{updates: r.updates[at:], ends: slices.Clone(r.ends[half:]), bytes: r.bytes / 2}
	if r.acks != nil {
		left.acks, right.acks = r.acks[:half:half], r.acks[half:]
	}
	for i := range right.ends {
		right.ends[i] -= at
	}
	return left, right
}

// submitRecords writes the records that are due. Records that have to be written again come
// first. New records are due when nothing else is on its way, so that a record never waits
// for company. While other records are on their way, new ones are due when they fill a
// command.
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

func (w *writer[K, V]) addRecord(a *ack, updates ...persist.Update[K, V]) {
	size := order.Size{Updates: len(updates), Bytes: w.weigh.Of(updates)}
	w.records.add(updates...)
	w.records.bytes += size.Bytes
	w.pace.Weighed(size.Bytes)
	if a != nil {
		w.records.acks = append(w.records.acks, a)
		w.acks.grow(a, size)
	}
}

// settleRecords takes in the answer to a command of records. If a command of several
// elements was refused, it halves the command to find the element at fault: the others must
// be written.
func (w *writer[K, V]) settleRecords(r records[K, V], err error) error {
	switch {
	case err == nil:
		r.answer(nil)
	case w.fatal(err):
		return err
	case w.transient(err):
		w.again = append(w.again, r)
		return w.backOff(err)
	case len(r.ends) > 1:
		left, right := r.halves()
		w.again = append(w.again, left, right)
	default:
		var a *ack
		if r.acks != nil {
			a = r.acks[0]
		}
		w.fault(a, fmt.Errorf("element of %d updates: %w", len(r.updates), err))
	}
	return nil
}
