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

// Event is something that happened to one stream at one SeqNo: updates, or a seal.
// Updates of at most kept.MaxBlock bytes are in no larger block of memory.
type Event struct {
	SeqNo   storage.SeqNo
	Updates []Columns          // nil when the event is a seal
	Sealed  frontier.Antichain // meaningful when Updates is nil
}

// Listener delivers what happens to a stream after a snapshot, in log order and
// each event once. It holds at most 64 KiB of what it has not delivered, or 1 MiB while
// it catches up from the log, or one event if that is larger. The rest is in a window
// shared by all listeners, or in the log.
type Listener struct {
	st      *state
	stream  *stream
	log     storage.LogReader
	metrics *metrics

	next   *semaphore.Weighted // held by the one Next that runs
	queue  []Event             // guarded by next: events already taken for delivery
	notify chan struct{}

	// Guarded by state.mu.
	cursor   storage.SeqNo // everything up to here was delivered or taken for delivery
	waiting  bool
	err      error // why it ended, once it has
	finished bool  // the empty antichain was taken for delivery
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

// advanceLocked moves the cursor and lets the window forget what no listener needs.
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

// lowWaterLocked returns the position up to which the log is of no more use to
// the listener: everything, if what it has not read is in no log entry.
func (l *Listener) lowWaterLocked() storage.SeqNo {
	if l.err != nil || l.finished || l.nothingLeftLocked() {
		return l.st.applied
	}
	return l.cursor
}

// nothingLeftLocked reports whether nothing behind the cursor is for this listener.
func (l *Listener) nothingLeftLocked() bool {
	s := l.stream
	//museum:quiet-listener
	return l.cursor >= s.windowAfter && s.firstAfterLocked(l.cursor) == len(s.events)
}

// passOthersLocked moves the cursor past what was done to other streams, before the log
// is truncated there: a later read of the log must not begin in what is gone.
func (l *Listener) passOthersLocked() {
	if l.err == nil && !l.finished && l.nothingLeftLocked() {
		l.cursor = l.st.applied
	}
}

// Next returns the next event. It blocks until there is one, and may be called by
// one goroutine at a time; others wait.
//
// Errors: io.EOF after the stream was sealed to the empty antichain and everything
// before was delivered; ErrDestroyed, ErrStopped, ErrLagged, which end the
// listener; storage.ErrClosed after Close; storage.CorruptError; the context's
// error, which does not end it.
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

// NextEvents is Next of the events that are there, some of them if they are many. It
// returns them in place of what is in buf, for whose memory it has use.
func (l *Listener) NextEvents(ctx context.Context, buf []Event) ([]Event, error) {
	if err := l.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer l.next.Release(1)
	if len(l.queue) == 0 && cap(buf) <= 2*takeEvents { // more was for what came from the log
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

// takeTurn waits until no other Next runs: that may wait for the storage, or for an event.
func (l *Listener) takeTurn(ctx context.Context) error {
	if l.next.TryAcquire(1) {
		return nil
	}
	return l.next.Acquire(ctx, 1)
}

// fill waits until there is something in the queue.
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

// takeEvents and takeBytes are how much a listener takes from the window at a time: enough
// that many listeners of small events do not meet at the lock for each.
const (
	takeEvents = 64
	takeBytes  = 64 << 10
)

// take takes the next events from the window. If there is none, the listener is
// registered to be woken; if the window does not reach back far enough, readLog
// is true.
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

// A read from the log stops after about this many bytes of the listener's own
// events, or of anybody's, so that it holds little and lets go of the log soon.
const (
	catchUpEventBytes = 1 << 20
	catchUpLogBytes   = 16 << 20
)

// takeFromLog reads the events that have left the window.
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

// Close ends the listener; a Next that waits returns storage.ErrClosed. It always
// returns nil, and may be called more than once.
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

// endLocked takes the listener out of its stream; the first reason stays.
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

// endListeners ends the runtime for its listeners: each delivers what is left in
// the window and then returns err.
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
