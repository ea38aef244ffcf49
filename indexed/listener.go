package indexed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/semaphore"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/storage"
)

// Event is something that happened to one stream at one SeqNo: updates, or a seal. Updates
// of at most kept.MaxBlock bytes lie in a block of memory that is no larger than that, so
// keeping them keeps little else.
type Event struct {
	SeqNo   storage.SeqNo
	Updates []Columns          // nil when the event is a seal
	Sealed  frontier.Antichain // meaningful when Updates is nil
}

// Listener delivers what happens to one stream after a snapshot: in the order of the log,
// each event once. Its methods may be called by several goroutines at once.
//
// A listener holds at most 64 KiB of events that it has not delivered, 1 MiB while it
// catches up from the log, or one event if that is larger. All other events are in a window
// that all listeners share, or in the log: see eventWindow.
type Listener struct {
	st      *state
	stream  *stream
	log     storage.LogReader
	metrics *metrics

	next   *semaphore.Weighted // held by the call of Next or NextEvents that runs
	queue  []Event             // guarded by next: events that were taken for delivery
	notify chan struct{}

	// Guarded by state.mu.
	cursor   storage.SeqNo // everything at or before it was delivered or is in queue
	waiting  bool
	err      error // why the listener ended; nil before
	finished bool  // the seal to the empty antichain was taken for delivery
}

func (st *state) newListenerLocked(s *stream, log storage.LogReader, m *metrics) *Listener {
	l := &Listener{st: st, stream: s, log: log, metrics: m, next: semaphore.NewWeighted(1), notify: make(chan struct{}, 1), cursor: st.applied}
	l.finished = s.upper.IsEmpty()
	if len(s.listeners) == 0 {
		s.windowAfter = st.applied
	}
	s.listeners[l] = struct{}{}
	return l
}

func (l *Listener) wake() {
	select {
	case l.notify <- struct{}{}:
	default:
	}
}

// advanceLocked moves the cursor, and drops events that every listener has passed.
func (l *Listener) advanceLocked(to storage.SeqNo) {
	s := l.stream
	for _, e := range s.events[s.firstAfterLocked(l.cursor):] {
		if e.seqno > to {
			break
		}
		e.unread--
	}
	l.cursor = to
	for len(s.events) > 0 && s.events[0].unread == 0 {
		l.st.window.dropOldestLocked(s)
	}
}

// lowWaterLocked returns the position up to which this listener does not need the log. If
// nothing after its cursor is for it, it needs nothing that was applied.
func (l *Listener) lowWaterLocked() storage.SeqNo {
	if l.err != nil || l.finished || l.nothingLeftLocked() {
		return l.st.applied
	}
	return l.cursor
}

// nothingLeftLocked reports whether no event after the cursor is for this listener.
func (l *Listener) nothingLeftLocked() bool {
	s := l.stream
	//museum:quiet-listener
	return l.cursor >= s.windowAfter && s.firstAfterLocked(l.cursor) == len(s.events)
}

// passOthersLocked moves the cursor past entries of other streams. It is called before the
// log is truncated: otherwise a later read of the log would begin in entries that are gone.
func (l *Listener) passOthersLocked() {
	if l.err == nil && !l.finished && l.nothingLeftLocked() {
		l.cursor = l.st.applied
	}
}

// Next returns the next event. It blocks until there is one. Calls run one at a time;
// others wait, under their contexts.
//
// Errors: io.EOF after a seal to the empty antichain, once everything before it was
// delivered. ErrDestroyed, ErrStopped and ErrLagged end the listener, and so does an entry of
// the log that is missing or cannot be decoded (storage.CorruptError). storage.ErrClosed after Close.
// The context's error does not end the listener, nor do other errors of the storage.
func (l *Listener) Next(ctx context.Context) (Event, error) {
	if err := l.takeTurn(ctx); err != nil {
		return Event{}, err
	}
	defer l.next.Release(1)
	if err := l.fill(ctx); err != nil {
		return Event{}, err
	}
	e := l.queue[0]
	l.queue[0] = Event{}
	l.queue = l.queue[1:]
	return e, nil
}

// NextEvents blocks until there is at least one event, and returns a bounded run of them,
// in order. It may reuse the memory of buf, and drops what buf holds. Errors are those of
// Next.
func (l *Listener) NextEvents(ctx context.Context, buf []Event) ([]Event, error) {
	if err := l.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer l.next.Release(1)
	if len(l.queue) == 0 && cap(buf) <= 2*takeEvents { // a larger buf comes from a read of the log
		l.queue = buf[:0]
	}
	if err := l.fill(ctx); err != nil {
		l.queue = nil
		return nil, err
	}
	events := l.queue
	l.queue = nil
	return events, nil
}

// takeTurn waits until no other call runs. Such a call may wait for the storage or for an
// event, so the wait is bounded by ctx.
func (l *Listener) takeTurn(ctx context.Context) error {
	if l.next.TryAcquire(1) {
		return nil
	}
	return l.next.Acquire(ctx, 1)
}

// fill waits until the queue has an event.
func (l *Listener) fill(ctx context.Context) error {
	for len(l.queue) == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		readLog, err := l.take()
		if err != nil {
			return err
		}
		switch {
		case len(l.queue) > 0:
		case readLog:
			if err := l.takeFromLog(ctx); err != nil {
				return err
			}
		default:
			select {
			case <-l.notify:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// takeEvents and takeBytes bound what a listener takes from the window at once. It takes
// several events: with many listeners of small events, each would otherwise take state.mu
// once for each event.
const (
	takeEvents = 64
	takeBytes  = 64 << 10
)

// take takes the next events from the window. If there are none, it puts the listener into
// stream.waiting, so that the next event wakes it. readLog is true if the window does not
// reach back to the cursor.
func (l *Listener) take() (readLog bool, err error) {
	l.stream.turn.Lock()
	defer l.stream.turn.Unlock()
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	s := l.stream
	if l.err != nil {
		return false, l.err
	}
	if l.finished {
		return false, io.EOF
	}
	if l.cursor < s.windowAfter {
		//museum:skips-when-full
		return true, nil
	}
	if i := s.firstAfterLocked(l.cursor); i < len(s.events) {
		rest := s.events[i:min(len(s.events), i+takeEvents)]
		l.queue = l.queue[:0]
		var last *event
		for bytes := int64(0); len(rest) > 0 && bytes < takeBytes && !l.finished; rest = rest[1:] {
			last = rest[0]
			l.queue = last.appendTo(l.queue)
			l.finished = last.seal && last.sealed.IsEmpty()
			bytes += last.size
		}
		l.advanceLocked(last.seqno)
		return false, nil
	}
	switch {
	case s.destroyed:
		l.endLocked(destroyedError(s.name))
		return false, l.err
	case l.st.err != nil:
		l.endLocked(l.st.err)
		return false, l.err
	}
	if !l.waiting {
		l.waiting = true
		s.waiting = append(s.waiting, l)
	}
	return false, nil
}

// A read from the log stops after about this many bytes of events of the listener's own
// stream, or of entries of any stream. So it holds little memory, and does not hold the log
// back for long.
const (
	catchUpEventBytes = 1 << 20
	catchUpLogBytes   = 16 << 20
)

// takeFromLog reads events that have left the window from the log.
func (l *Listener) takeFromLog(ctx context.Context) error {
	l.st.mu.Lock()
	from, until := l.cursor, l.stream.windowAfter
	id := l.stream.id
	l.st.mu.Unlock()
	l.metrics.listenerLogReads.Inc()

	var queue []Event
	var mine, all int
	to, finished := from, false
	for entry, err := range l.log.Read(ctx, from) {
		if err != nil {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, storage.ErrTruncated):
				return l.end(streamErrorf(l.stream.name, ErrLagged, "the log after position %s is gone: listen again: %v", from, err))
			case errors.Is(err, storage.ErrClosed):
				return l.end(stoppedError())
			}
			return fmt.Errorf("tidemark: stream %s: read the log after position %s: %w", quoteName(l.stream.name), to, err)
		}
		if entry.SeqNo > until {
			break
		}
		ops, err := decodeEntry(entry.Data)
		if err != nil {
			return l.end(unreadableEntry(entry.SeqNo, err))
		}
		e := eventOf(id, entry.SeqNo, ops)
		queue = e.appendTo(queue)
		finished = finished || e.seal && e.sealed.IsEmpty()
		to = entry.SeqNo
		if e.size > 0 || e.seal {
			mine += int(e.size) + eventOverhead
		}
		all += len(entry.Data)
		if finished || mine >= catchUpEventBytes || all >= catchUpLogBytes {
			break
		}
	}
	if to == from {
		return l.end(storage.Corruptf("log", -1, "no entry after %s, although %s was applied", from, until))
	}
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.queue, l.finished = queue, finished
	l.advanceLocked(to)
	return nil
}

// Close ends the listener. A call of Next that waits returns storage.ErrClosed. Close
// always returns nil, and may be called more than once.
func (l *Listener) Close() error {
	_ = l.end(fmt.Errorf("tidemark: listener of stream %s: %w", quoteName(l.stream.name), storage.ErrClosed))
	return nil
}

func (l *Listener) end(err error) error {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	l.endLocked(err)
	return l.err
}

// endLocked ends the listener and takes it out of its stream. The first reason stays.
func (l *Listener) endLocked(err error) {
	if l.err != nil {
		return
	}
	l.advanceLocked(l.st.applied)
	l.err = err
	delete(l.stream.listeners, l)
	l.st.buryLocked(l.stream)
	if l.waiting {
		l.waiting = false
		l.stream.waiting = slices.DeleteFunc(l.stream.waiting, func(w *Listener) bool { return w == l })
		l.wake()
	}
}

// endListeners ends all listeners of a runtime: each delivers what is left in the window
// and then returns err.
func (st *state) endListeners(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err == nil {
		st.err = err
	}
	for _, s := range st.streams {
		st.wakeLocked(s)
	}
}
