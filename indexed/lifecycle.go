package indexed

import (
	"context"
	"sync"
	"sync/atomic"
)

// lifecycle is the one place that knows which work a runtime still does, and why it does
// not do the rest. Every part of the engine asks it.
//
//	accepting ---refuse(scope, why)---> refusing ---stop---> stopping ---end---> stopped
//	     |                              |  ^  |                  ^
//	     |                              |  +--+ refuse another   |
//	     +------------------------------+--------- stop ---------+
//
//	phase      requests enter the queue   goroutines begin   background work runs
//	accepting  yes                        yes                yes
//	refusing   yes                        yes                unless noBackground
//	stopping   no                         yes                unless noBackground
//	stopped    no                         no                 no, end waits for it
//
// Phase and refusal are two things. The phase only moves to the right, and stop and end are
// the only calls that move it. In the field phase, accepting and refusing are one value:
// requests enter the queue in both. A refusal takes away a part of the work, its scope:
//
//	scope         what the runtime no longer does                        also refuses
//	noRoom        free room for updates, so writers must not wait for it
//	noCommands    append to the log; the commit goroutine refuses them   noRoom
//	noBackground  flush, merge, delete                                   noRoom
//	noState       write the state down: the newest entry was not         noRoom, noCommands,
//	              applied as a whole                                     noBackground
//
// Rules, each with its reason:
//
//   - A refusal is for ever: only a new opening finds out what is durable.
//   - The first cause of each scope stays. Later failures mostly follow from the first.
//   - Reads go on in every scope: what was applied before is correct.
//   - noBackground does not refuse commands. Another owner may have caused it; then the log
//     refuses the next append, and the log is the authority for that.
//   - noState refuses everything that writes. A state that lost part of an entry must not
//     reach the manifest: the log is truncated after that, and the lost part with it.
//
// The end of a runtime: Shutdown puts a request with stop set into the queue. The commit
// goroutine answers everything before it, and calls stop. stop makes sure that no request
// is still on its way into the queue, so the commit goroutine can refuse what the queue
// holds, and end. Then Shutdown calls end: no goroutine begins any more, background work is
// cancelled and waited for. Then the storage is closed (see ending).
type lifecycle struct {
	refusals [scopes]atomic.Pointer[refusal]

	// entering guards phase. A sender holds it, shared, while it sends a request to the
	// queue, and so does a caller of begin while it starts a goroutine. So a change of
	// phase waits for both, and none of them can be half done in the next phase.
	entering sync.RWMutex
	phase    phase
	// leaving is closed when stopping begins. Senders that wait for a full queue give up
	// then.
	leaving chan struct{}
	// committed is closed when the commit goroutine has ended.
	committed chan struct{}

	// work is done when background work must end. room is done when nobody frees room any
	// more.
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

// implied returns the scopes that are refused together with s.
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
	why   string // what failed; it ends the sentence "it accepts no more writes since"
	cause error
}

func newLifecycle() *lifecycle {
	l := &lifecycle{leaving: make(chan struct{}), committed: make(chan struct{})}
	l.work, l.endWork = context.WithCancel(context.Background())
	l.room, l.endRoom = context.WithCancel(l.work)
	return l
}

// refuse refuses a scope, and the scopes that it implies, from now on. first is false if
// the scope was refused before.
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

// refused returns nil, or an error that matches ErrStopped and says why the scope is
// refused.
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

// roomEnded returns the reason why nobody frees room. REQUIRES: room is done.
func (l *lifecycle) roomEnded() error {
	if err := l.refused(noRoom); err != nil && l.work.Err() == nil {
		return err
	}
	return stoppedError()
}

// enter returns nil if a request may enter the queue. Then entering is held, and the caller
// must call leave.
func (l *lifecycle) enter() error {
	l.entering.RLock()
	if l.phase == accepting {
		return nil
	}
	l.entering.RUnlock()
	return stoppedError()
}

func (l *lifecycle) leave() { l.entering.RUnlock() }

// stop begins the phase stopping. When it returns, no request is on its way into the queue.
func (l *lifecycle) stop() {
	close(l.leaving)
	l.entering.Lock()
	l.phase = stopping
	l.entering.Unlock()
}

// begin runs do in a goroutine of the runtime, and end waits for that goroutine. If the
// runtime is stopped, begin runs nothing and returns false.
func (l *lifecycle) begin(do func()) bool {
	l.entering.RLock()
	defer l.entering.RUnlock()
	if l.phase != stopped {
		l.background.Go(do)
	}
	return l.phase != stopped
}

// end begins the phase stopped, cancels background work and waits for it. REQUIRES:
// committed is closed.
func (l *lifecycle) end() {
	l.entering.Lock()
	l.phase = stopped
	l.entering.Unlock()
	l.endWork()
	l.background.Wait()
}
