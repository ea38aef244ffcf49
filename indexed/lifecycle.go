package indexed

import (
	"context"
	"sync"
	"sync/atomic"
)

// lifecycle is the one place that knows what a runtime still does, and why not the rest.
//
//	accepting ---refuse(scope, why)---> refusing ---stop---> stopping ---end---> stopped
//	     |                              |  ^  |                  ^
//	     |                              |  +--+ refuse another   |
//	     +------------------------------+--------- stop ---------+
//
// In accepting and refusing, requests enter the queue. Refusing means that some of what
// they ask for is refused, by scope:
//
//	noRoom        nobody makes room for more updates, so that writers do not wait for it
//	noCommands    no more is appended to the log: the commit goroutine refuses commands
//	noBackground  nothing is flushed, merged or deleted any more
//	noState       what was applied last is not whole: it is not written down
//
// Each scope has those above it, but for noBackground, which leaves noCommands to the log:
// that refuses an owner who was replaced. Reads go on in all of them. The first cause of
// each scope stays.
//
// In stopping no request enters the queue any more: the commit goroutine refuses what is in
// it, and ends. In stopped no goroutine begins any more, and background work ends; then the
// storage is closed (see ending).
type lifecycle struct {
	refusals [scopes]atomic.Pointer[refusal]

	// entering guards phase. It is held, shared, while a request is sent to the queue, and
	// while a goroutine begins: so both are over when the next phase begins.
	entering sync.RWMutex
	phase    phase
	// leaving is closed when stopping begins: those that wait for a full queue give up.
	leaving chan struct{}
	// committed is closed when the commit goroutine has ended.
	committed chan struct{}

	// work is done when background work is to end, room when nobody makes room any more.
	work, room context.Context
	endWork    context.CancelFunc
	endRoom    context.CancelFunc
	background sync.WaitGroup
}

type phase int

const (
	accepting phase = iota // or refusing: see refusals
	stopping
	stopped
)

// scope is what a runtime refuses.
type scope int

const (
	noRoom scope = iota
	noCommands
	noBackground
	noState
	scopes // how many there are
)

// implied returns what else is refused with a scope.
func (s scope) implied() []scope {
	switch s {
	case noCommands, noBackground:
		return []scope{noRoom}
	case noState:
		return []scope{noBackground, noCommands, noRoom}
	}
	return nil
}

// refusal is why something is refused.
type refusal struct {
	why   string // what has failed, to end "it accepts no more writes since" with
	cause error
}

func newLifecycle() *lifecycle {
	l := &lifecycle{leaving: make(chan struct{}), committed: make(chan struct{})}
	l.work, l.endWork = context.WithCancel(context.Background())
	l.room, l.endRoom = context.WithCancel(l.work)
	return l
}

// refuse refuses a scope, and what it implies, from now on. It reports whether that was
// not refused before.
func (l *lifecycle) refuse(s scope, why string, cause error) (first bool) {
	r := &refusal{why, cause}
	for _, implied := range s.implied() {
		l.refusals[implied].CompareAndSwap(nil, r)
	}
	first = l.refusals[s].CompareAndSwap(nil, r)
	//museum:waits-for-nobody
	l.endRoom() // every scope has noRoom
	return first
}

// refuses reports whether a scope is refused.
func (l *lifecycle) refuses(s scope) bool { return l.refusals[s].Load() != nil }

// refused returns why a scope is refused, as ErrStopped, or nil.
func (l *lifecycle) refused(s scope) error {
	r := l.refusals[s].Load()
	if r == nil {
		return nil
	}
	return refusedError(s, r)
}

// cause returns the cause of a refusal, or nil.
func (l *lifecycle) cause(s scope) error {
	if r := l.refusals[s].Load(); r != nil {
		return r.cause
	}
	return nil
}

// roomEnded returns why nobody makes room. REQUIRES: room is done.
func (l *lifecycle) roomEnded() error {
	if err := l.refused(noRoom); err != nil && l.work.Err() == nil {
		return err
	}
	return stoppedError()
}

// enter reports, with entering held, whether a request may enter the queue. If so the
// caller must leave.
func (l *lifecycle) enter() error {
	l.entering.RLock()
	if l.phase == accepting {
		return nil
	}
	l.entering.RUnlock()
	return stoppedError()
}

func (l *lifecycle) leave() { l.entering.RUnlock() }

// stop begins stopping: when it returns no request is on its way into the queue.
func (l *lifecycle) stop() {
	close(l.leaving)
	l.entering.Lock()
	l.phase = stopping
	l.entering.Unlock()
}

// begin does something in a goroutine of the runtime, which its end waits for, unless it is
// stopped.
func (l *lifecycle) begin(do func()) bool {
	l.entering.RLock()
	defer l.entering.RUnlock()
	if l.phase != stopped {
		l.background.Go(do)
	}
	return l.phase != stopped
}

// end ends background work and waits for it. REQUIRES: committed is closed.
func (l *lifecycle) end() {
	l.entering.Lock()
	l.phase = stopped
	l.entering.Unlock()
	l.endWork()
	l.background.Wait()
}
