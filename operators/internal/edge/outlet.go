package edge

import (
	"sync"

	"github.com/reugn/go-streams"
)

// Outlet is the open output of an operator. It is wired to one consumer: the first
// call of Out, Via or To decides. It sends to that consumer's channel itself, so an
// edge costs no goroutine and no second hop.
//
// One goroutine, the producer, calls Send and then Close; all else may be called by
// any.
type Outlet struct {
	done    <-chan struct{} // nil: never
	start   func()
	refusal func() any

	connected chan struct{} // closed when target is set
	finished  chan struct{} // closed by Close
	target    chan<- any    // written before connected is closed, only read after

	mu struct {
		sync.Mutex
		started bool
		closed  bool
		wired   bool
		out     chan any // what Out returns, once it was called
		err     error
	}
}

// NewOutlet returns an outlet. done ends its sends. start is called once, in a
// goroutine of its own, when the outlet is wired; it owns the producer's side.
// refusal makes the element that a second consumer gets; nil for none.
func NewOutlet(done <-chan struct{}, start func(), refusal func() any) *Outlet {
	return &Outlet{
		done: done, start: start, refusal: refusal,
		connected: make(chan struct{}), finished: make(chan struct{}),
	}
}

// Done is closed when nothing more is sent because the context ended.
func (o *Outlet) Done() <-chan struct{} { return o.done }

// Out returns the channel of the outlet, the same one every time. If another
// consumer was wired before, it is a channel with the refusal, and closed.
func (o *Outlet) Out() <-chan any {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.out != nil {
		return o.mu.out
	}
	if o.mu.wired {
		o.mu.out = make(chan any, 1)
		if e := o.refuse(); e != nil {
			o.mu.out <- e
		}
		close(o.mu.out)
		return o.mu.out
	}
	o.mu.out = make(chan any)
	o.wireLocked(o.mu.out)
	return o.mu.out
}

// Via wires the outlet to a flow and returns it.
func (o *Outlet) Via(flow streams.Flow) streams.Flow {
	o.connect(flow)
	return flow
}

// To wires the outlet to a sink and blocks until everything was sent and the sink
// has completed.
func (o *Outlet) To(sink streams.Sink) {
	<-o.connect(sink)
	sink.AwaitCompletion()
}

// connect returns a channel that is closed when the inlet was closed.
func (o *Outlet) connect(inlet streams.Inlet) <-chan struct{} {
	in := inlet.In()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.mu.wired {
		o.wireLocked(in)
		return o.finished
	}
	if o.target == in {
		return o.finished // wired to it already, and its channel has one sender
	}
	e := o.refuse()
	refused := make(chan struct{})
	// The goroutine ends when the element is taken or the context ends.
	go func() {
		defer close(refused)
		defer o.recoverSend(nil)
		if e != nil {
			select {
			case in <- e:
			case <-o.done:
			}
		}
		close(in)
	}()
	return refused
}

func (o *Outlet) refuse() any {
	if o.refusal == nil {
		return nil
	}
	return o.refusal()
}

func (o *Outlet) wireLocked(target chan<- any) {
	o.mu.wired = true
	o.target = target
	close(o.connected)
	if o.mu.closed {
		o.closeTargetLocked()
		return
	}
	if !o.mu.started {
		o.mu.started = true
		go o.start()
	}
}

// Claim is for producers that run otherwise than by start, and to give up an
// outlet: it returns true if start was not called and now never will be.
func (o *Outlet) Claim() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	claimed := !o.mu.started
	o.mu.started = true
	return claimed
}

// Occupy is Claim for a consumer that needs no channel: later ones are refused.
func (o *Outlet) Occupy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.started || o.mu.wired {
		return false
	}
	o.mu.started, o.mu.wired = true, true
	return true
}

// Send hands an element to the consumer and blocks until it is taken. It returns
// false if it was not: the context ended, or the inlet is closed (see Err).
func (o *Outlet) Send(element any) (taken bool) {
	defer o.recoverSend(&taken)
	target := o.Target()
	if target == nil {
		return false
	}
	select {
	case target <- element:
		return true
	case <-o.done:
		return false
	}
}

// Target returns the consumer's channel when there is one, or nil when the context
// ended before.
func (o *Outlet) Target() chan<- any {
	select {
	case <-o.connected:
		return o.target
	default:
	}
	select {
	case <-o.connected:
		return o.target
	case <-o.done:
		return nil
	}
}

// Guard is deferred by producers: it turns a panic into Err, that of a send on a
// channel that somebody else has closed, or that of a function of the user's.
func (o *Outlet) Guard() {
	if r := recover(); r != nil {
		o.broken(r)
	}
}

func (o *Outlet) recoverSend(taken *bool) {
	if r := recover(); r != nil {
		o.broken(r)
		if taken != nil {
			*taken = false
		}
	}
}

func (o *Outlet) broken(r any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.brokenLocked(r)
}

func (o *Outlet) brokenLocked(r any) {
	if o.mu.err == nil {
		o.mu.err = PanicError(r)
	}
}

// Err returns why a Send failed although the context had not ended.
func (o *Outlet) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.err
}

// Close closes the consumer's channel, or that of a consumer yet to come. Calls
// after the first do nothing.
func (o *Outlet) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.closed {
		return
	}
	o.mu.closed = true
	if o.target != nil {
		o.closeTargetLocked()
	}
	close(o.finished) // after that, so that whoever comes back from To can ask Err
}

func (o *Outlet) closeTargetLocked() {
	defer func() {
		if r := recover(); r != nil {
			o.brokenLocked(r)
		}
	}()
	close(o.target)
}
