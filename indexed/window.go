package indexed

import (
	"slices"
	"sort"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/kept"
	"github.com/tidemark-go/tidemark/storage"
)

// event is what one command did to one stream: updates, a seal, or both, and then
// the updates come first.
type event struct {
	seqno  storage.SeqNo
	cols   []Columns
	seal   bool
	sealed frontier.Antichain
	stream *stream // nil once it has left the window
	size   int64
	unread int // listeners that have not passed it
}

// appendTo appends what it is to a listener.
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

// eventWindow keeps the newest events of streams that have listeners, up to a
// limit over all streams; a listener that falls out of it reads from the log. An
// event leaves when every listener has passed it, or as the oldest when the limit
// is reached. All of it is guarded by state.mu.
type eventWindow struct {
	limit int64
	used  int64
	held  int      // events in the streams
	fifo  []*event // oldest first; may hold events that have left already
}

// eventOverhead is what an event costs beside its columns, which the tail often
// holds as well, in bytes.
const eventOverhead = 160

// addLocked returns the stream's event at seqno, a new one unless the command has
// done something to the stream before; nil if there are no listeners.
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

// trimLocked makes the window fit its limit.
func (w *eventWindow) trimLocked() {
	for w.used > w.limit {
		e := w.fifo[0]
		w.fifo[0] = nil
		w.fifo = w.fifo[1:]
		if e.stream != nil {
			w.dropOldestLocked(e.stream)
		}
	}
	// Events leave their streams in any order, so the queue is rebuilt when most of it
	// is gone. That costs less than one step an event.
	if len(w.fifo) > 2*w.held+64 {
		w.fifo = slices.DeleteFunc(w.fifo, func(e *event) bool { return e.stream == nil })
	}
}

// dropOldestLocked takes the oldest event of a stream out of the window.
//
// INVARIANT: within a stream events leave oldest first, so an event that the queue
// yields and that is still held is the oldest of its stream.
func (w *eventWindow) dropOldestLocked(s *stream) {
	e := s.events[0]
	s.events[0] = nil
	if s.events = s.events[1:]; len(s.events) == 0 {
		s.copies = kept.Copies{} // nothing is held for a stream of which all is heard
	}
	s.windowAfter = e.seqno
	w.used -= e.size
	w.held--
	e.stream, e.cols = nil, nil
}

// wakeLocked wakes the listeners that wait for an event of the stream, or makes them wait
// for whoever holds wakes back.
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

// takeWakesLocked ends holdWakes and returns who is to be woken.
func (st *state) takeWakesLocked() []*Listener {
	wakes := st.wakes
	st.holdWakes, st.wakes = false, nil
	return wakes
}

// firstAfterLocked returns the index of the first event in advance of seqno.
func (s *stream) firstAfterLocked(seqno storage.SeqNo) int {
	return sort.Search(len(s.events), func(i int) bool { return s.events[i].seqno > seqno })
}

// eventOf returns what the operations of an entry do to one stream.
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
