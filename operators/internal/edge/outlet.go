package edge

import (
	"sync"

	"github.com/reugn/go-streams"
)

// Outlet is the open output of an operator. It is wired to one consumer: the first call of
// Out, Via or To decides which. The outlet sends to that consumer's channel itself, so an
// edge costs no goroutine and no second hop.
//
// One goroutine, the producer, calls Send and then Close. Any goroutine may call the other
// methods.
type Outlet struct {
	done    <-chan struct{} // nil never closes
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

// NewOutlet returns an outlet. When done is closed, sends end. start is called once, in a
// goroutine of its own, when the outlet is wired. start is the producer. refusal makes the
// element that a second consumer gets: a nil element, or a nil refusal, is none.
func NewOutlet(done <-chan struct{}, start func(), refusal func() any) *Outlet {
	return &Outlet{
		done: done, start: start, refusal: refusal,
		connected: make(chan struct{}), finished: make(chan struct{}),
	}
}

// Done is closed when the context has ended. Then nothing more is sent.
func (o *Outlet) Done() <-chan struct{} { return o.done }

// Out returns the channel of the outlet, the same one every time. If another consumer was
// wired before, the channel has the refusal alone and is closed.
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
		return o.finished // wired to this inlet already: one consumer, one sender
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

// Claim makes sure that start is not called any more. It returns false if start was called
// before. It serves producers that run otherwise than by start, and gives up an outlet.
func (o *Outlet) Claim() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	claimed := !o.mu.started
	o.mu.started = true
	return claimed
}

// Occupy is Claim for a consumer that needs no channel: later consumers are refused.
func (o *Outlet) Occupy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.started || o.mu.wired {
		return false
	}
	o.mu.started, o.mu.wired = true, true
	return true
}

// Send hands an element to the consumer, and blocks until the consumer takes it. It returns
// false if the consumer did not take it: the context has ended, or the inlet is closed (see
// Err).
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

// Target blocks until there is a consumer, and returns the consumer's channel. It returns
// nil if the context ended before.
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

// Guard is for producers to defer. It turns a panic into Err. The panic is a send on a
// channel that another upstream has closed, or comes from a function of the user.
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

// Close closes the consumer's channel. If there is no consumer yet, it closes the channel
// of the consumer that comes later. Calls after the first do nothing.
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
	close(o.finished) // last, so that Err is set when To returns
}

func (o *Outlet) closeTargetLocked() {
	defer func() {
		if r := recover(); r != nil {
			o.brokenLocked(r)
		}
	}()
	close(o.target)
}
