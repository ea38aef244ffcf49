package concurrent

import (
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/storage"
)

// InOrder checks that the events of a tail come in the order of commits: SeqNos never
// decrease.
func InOrder(h *History) error {
	for i := range h.Tails {
		t := &h.Tails[i]
		var last storage.SeqNo
		for _, e := range t.Events {
			if e.SeqNo < last {
				return t.violation("in order", e.SeqNo, "it came after an event at SeqNo %s", last)
			}
			last = e.SeqNo
		}
	}
	return nil
}

// Unique checks that no tail delivers an update more often than it was written after the
// snapshot, and that no tail delivers the seal of one SeqNo twice.
func Unique(h *History) error {
	writes := h.writes()
	for i := range h.Tails {
		t := &h.Tails[i]
		w := writes[t.Start.Stream]
		heard := make(map[Update]int)
		seals := make(map[storage.SeqNo]bool)
		for _, e := range t.Events {
			if e.SeqNo <= t.Start.SeqNo {
				continue // see NothingBeforeSnapshot
			}
			if e.Updates == nil {
				if seals[e.SeqNo] {
					return t.violation("unique", e.SeqNo, "the seal to %s came a second time", e.Sealed)
				}
				seals[e.SeqNo] = true
			}
			for _, u := range e.Updates {
				heard[u]++
				if n := w.timesWritten(t.Start.Stream, u, t.Start.SeqNo); n > 0 && heard[u] > n {
					return t.violation("unique", e.SeqNo, "%v came %d times and was written %d times", u, heard[u], n)
				}
			}
		}
	}
	return nil
}

// timesWritten counts how often an update was written, at most, after a position.
func (w *written) timesWritten(stream string, u Update, after storage.SeqNo) int {
	n := 0
	for _, c := range w.holding[u] {
		if c.Outcome == Unknown || c.SeqNo > after {
			n += counts(c.on(stream).Updates)[u]
		}
	}
	return n
}

// Atomic checks that a command is seen as a whole or not at all. All that it wrote to a
// stream comes in one event. All parts of a command over several streams have the SeqNo
// that the writer was told. If the writer was told nothing, all parts have one SeqNo, and
// no stream with a listener lacks its part.
func Atomic(h *History) error {
	writes := h.writes()
	heard := make(map[*Command]heardBy) // unknown commands
	for i := range h.Tails {
		t := &h.Tails[i]
		for k := range t.Events {
			e := &t.Events[k]
			if len(e.Updates) == 0 {
				continue
			}
			v, c := writes[t.Start.Stream].judge(t.Start.Stream, e)
			switch {
			case v == half:
				return t.violation("atomic", e.SeqNo, "it brought %v of a command that wrote %v to the stream", e.Updates, c.on(t.Start.Stream).Updates)
			case v == elsewhere:
				return t.violation("atomic", e.SeqNo, "%v was written at SeqNo %s, as its writer was told", e.Updates, c.SeqNo)
			case v == whole && c.Outcome == Unknown:
				first, ok := heard[c]
				if ok && first.tail != t && first.at != e.SeqNo { // in one tail: see Unique
					return t.violation("atomic", e.SeqNo, "%v belongs to a command that reader %s heard at SeqNo %s", e.Updates, first.tail.Start.Reader, first.at)
				}
				if !ok {
					heard[c] = heardBy{t, e.SeqNo}
				}
			}
		}
	}
	return h.checkNoPartMissing(heard)
}

// heardBy is the first tail that has delivered a command, and where.
type heardBy struct {
	tail *Tail
	at   storage.SeqNo
}

// checkNoPartMissing looks for commands of unknown outcome that one stream has and another
// lacks.
func (h *History) checkNoPartMissing(heard map[*Command]heardBy) error {
	for i := range h.Tails {
		t := &h.Tails[i]
		through := t.through()
		has := make(map[storage.SeqNo]bool, len(t.Events))
		for _, e := range t.Events {
			has[e.SeqNo] = true
		}
		for c, by := range heard {
			effect, at := c.on(t.Start.Stream), by.at
			if effect != nil && len(effect.Updates) > 0 && t.Start.SeqNo < at && at < through && !has[at] {
				return t.violation("atomic", at, "%v is missing, although another stream has its part of the same command", effect.Updates)
			}
		}
	}
	return nil
}

// ProgressAfterData checks that when a tail says that a stream is sealed up to a time,
// every update before that time has come. Later events have later SeqNos, and times that
// the seal admits. A later seal is not before it.
func ProgressAfterData(h *History) error {
	for i := range h.Tails {
		t := &h.Tails[i]
		upper, at := t.Start.Upper, t.Start.SeqNo
		sealed := false
		for _, e := range t.Events {
			if e.SeqNo <= t.Start.SeqNo {
				continue // see NothingBeforeSnapshot
			}
			if e.Updates == nil {
				if e.Sealed.LessThan(upper) {
					return t.violation("progress after data", e.SeqNo, "a seal to %s after one to %s at SeqNo %s", e.Sealed, upper, at)
				}
				upper, at, sealed = e.Sealed, e.SeqNo, true
				continue
			}
			if sealed && e.SeqNo == at {
				return t.violation("progress after data", e.SeqNo, "updates %v after the seal to %s of the same command", e.Updates, upper)
			}
			if u, ok := before(e.Updates, upper); ok {
				return t.violation("progress after data", e.SeqNo, "%v after the seal to %s at SeqNo %s", u, upper, at)
			}
		}
	}
	return nil
}

// before returns an update before the upper, if there is one.
func before(updates []Update, upper frontier.Antichain) (Update, bool) {
	for _, u := range updates {
		if !upper.Admits(u.Time) {
			return u, true
		}
	}
	return Update{}, false
}

// NothingBeforeSnapshot checks that a tail delivers nothing that its snapshot reflects:
// every SeqNo is in advance of the snapshot's.
func NothingBeforeSnapshot(h *History) error {
	for i := range h.Tails {
		t := &h.Tails[i]
		for _, e := range t.Events {
			if e.SeqNo <= t.Start.SeqNo {
				return t.violation("nothing before the snapshot", e.SeqNo, "the snapshot reflects everything up to SeqNo %s", t.Start.SeqNo)
			}
		}
	}
	return nil
}
