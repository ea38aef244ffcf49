package indexed

import (
	"slices"
	"sort"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/kept"
	"github.com/tidemark-go/tidemark/storage"
)

// event is what one command did to one stream: updates, a seal, or both. Updates come
// first.
type event struct {
	seqno  storage.SeqNo
	cols   []Columns
	seal   bool
	sealed frontier.Antichain
	stream *stream // nil once the event has left the window
	size   int64
	unread int // listeners whose cursor is before the event
}

// appendTo appends the event as a listener delivers it: updates, then the seal.
func (e *event) appendTo(events []Event) []Event {
	//museum:progress-before-data
	if len(e.cols) > 0 {
		//museum:split-command
		events = append(events, Event{SeqNo: e.seqno, Updates: e.cols})
	}
	//museum:progress-before-data/2
	if e.seal {
		events = append(events, Event{SeqNo: e.seqno, Sealed: e.sealed})
	}
	return events
}

// eventWindow keeps the newest events of all streams that have listeners, in memory.
//
// A listener depends on three things:
//
//   - The cursor of a listener is a position of the log. Everything at or before it was
//     delivered, or is in the queue of that listener.
//   - The window holds events. stream.events are those of one stream, by position, and
//     windowAfter says how far back they reach: every event of the stream after windowAfter
//     is in the window.
//   - The log holds all entries that were not truncated.
//
// A listener reads from the window if its cursor is at or after windowAfter, and from the
// log otherwise:
//
//	positions of the log ----------------------------------------------------> applied
//	          windowAfter
//	               |   e1    e2    e3    e4           events of the stream, in the window
//	    ^                ^                 ^
//	 cursor A         cursor B          cursor C
//	 A reads the log  B takes e2, e3,   C has nothing to read:
//	 up to windowAfter e4 at once       it waits in stream.waiting
//
// An event enters the window as its command is applied, unless the stream has no listener.
// It leaves in one of two ways:
//
//   - Every listener of the stream has passed it: unread is 0 (see advanceLocked).
//   - The window is over its limit and the event is the oldest of all (see trimLocked). Then
//     windowAfter moves to it, and listeners that have not passed it read it from the log.
//
// So memory is bounded over all streams, and a slow listener never makes a writer wait. The
// window is trimmed after a whole entry, not after each operation, so that the event that
// is being built cannot leave.
//
// Writers only wake listeners. A listener that has nothing to read puts itself into
// stream.waiting, and the next event wakes it once. The commit goroutine keeps these wakes
// back until all writers of the group have their answers (holdWakes): there may be very
// many listeners.
//
// The log must stay until listeners have read it. lowWaterLocked says which position a
// listener still needs: its cursor if there is anything after the cursor for it, else
// everything that was applied. The log is truncated up to the least of
// these positions, of the first positions of tails, and of the checkpoint of the manifest
// (truncateLog). A listener that holds back more than Config.MaxListenerLag bytes ends with
// ErrLagged (cutLaggedLocked).
//
// All of it is guarded by state.mu.
type eventWindow struct {
	limit int64
	used  int64
	held  int      // events in the streams
	fifo  []*event // oldest first; may hold events that have left already
}

// eventOverhead is what an event costs in memory beside its columns, in bytes. The tail
// often holds the same columns.
const eventOverhead = 160

// addLocked returns the event of the stream at seqno. It makes one, unless the same command
// has made one before. It returns nil if the stream has no listeners.
func (w *eventWindow) addLocked(s *stream, seqno storage.SeqNo, cols Columns) *event {
	if len(s.listeners) == 0 {
		s.windowAfter = seqno
		return nil
	}
	size := int64(cols.Size())
	var e *event
	if n := len(s.events); n > 0 && s.events[n-1].seqno == seqno {
		e = s.events[n-1]
	} else {
		e = &event{seqno: seqno, stream: s, unread: len(s.listeners)}
		s.events = append(s.events, e)
		w.fifo = append(w.fifo, e)
		w.held++
		size += eventOverhead
	}
	if cols.Len() > 0 {
		e.cols = append(e.cols, cols.Apart(&s.copies))
	}
	e.size += size
	w.used += size
	return e
}

// trimLocked drops the oldest events until the window fits its limit.
func (w *eventWindow) trimLocked() {
	for w.used > w.limit {
		e := w.fifo[0]
		w.fifo[0] = nil
		w.fifo = w.fifo[1:]
		if e.stream != nil {
			w.dropOldestLocked(e.stream)
		}
	}
	// Listeners make events leave in any order over the streams, so the queue keeps
	// pointers to events that have left. When most are such, the queue is rebuilt: that
	// costs less than a search for each event.
	if len(w.fifo) > 2*w.held+64 {
		w.fifo = slices.DeleteFunc(w.fifo, func(e *event) bool { return e.stream == nil })
	}
}

// dropOldestLocked takes the oldest event of a stream out of the window.
//
// INVARIANT: within a stream events leave oldest first. So an event at the front of fifo
// that has not left is the oldest of its stream.
func (w *eventWindow) dropOldestLocked(s *stream) {
	e := s.events[0]
	s.events[0] = nil
	if s.events = s.events[1:]; len(s.events) == 0 {
		s.copies = kept.Copies{} // no listener needs these copies any more
	}
	s.windowAfter = e.seqno
	w.used -= e.size
	w.held--
	e.stream, e.cols = nil, nil
}

// wakeLocked wakes the listeners that wait for an event of the stream. While holdWakes is
// set it collects them in st.wakes instead.
func (st *state) wakeLocked(s *stream) {
	for i, l := range s.waiting {
		l.waiting = false
		s.waiting[i] = nil
		if st.holdWakes {
			st.wakes = append(st.wakes, l)
		} else {
			l.wake()
		}
	}
	s.waiting = s.waiting[:0]
}

// takeWakesLocked ends holdWakes and returns the listeners to wake.
func (st *state) takeWakesLocked() []*Listener {
	wakes := st.wakes
	st.holdWakes, st.wakes = false, nil
	return wakes
}

// firstAfterLocked returns the index of the first event after seqno in s.events.
func (s *stream) firstAfterLocked(seqno storage.SeqNo) int {
	return sort.Search(len(s.events), func(i int) bool { return s.events[i].seqno > seqno })
}

// eventOf returns what the operations of a log entry do to one stream.
func eventOf(id StreamID, seqno storage.SeqNo, ops []op) *event {
	e := &event{seqno: seqno}
	var copies kept.Copies
	for i := range ops {
		if ops[i].stream != id {
			continue
		}
		switch ops[i].kind {
		case opWrite:
			if ops[i].cols.Len() > 0 {
				e.cols = append(e.cols, ops[i].cols.Apart(&copies))
				e.size += int64(ops[i].cols.Size())
			}
		case opSeal:
			e.seal, e.sealed = true, ops[i].frontier
		}
	}
	return e
}
