package operators

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reugn/go-streams"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/persist"
)

// BatchFlow is a flow from batches to batches. Work starts when it is wired.
//
// It ends when its upstream closes its inlet, at its first error, or with its context. It
// passes on neither a batch that failed nor any batch after that one, and discards what its
// upstream still sends. So a sink downstream seals nothing from there on, and the pipeline
// can be run again from the sink's upper.
type BatchFlow struct {
	ctx    context.Context // of the work alone; set when the work starts
	cancel context.CancelFunc
	in     *edge.Inlet
	out    *edge.Outlet
	errs   *edge.Errors[Error]

	mu     sync.Mutex
	err    error // guarded by mu
	failed bool  // guarded by mu: an error has ended the work
}

var _ streams.Flow = (*BatchFlow)(nil)

// newBatchFlow makes a flow. Its work reads f.in.C, ends no later than f.ctx, and sends
// nothing after it has returned.
func newBatchFlow(ctx context.Context, name string, work func(f *BatchFlow)) *BatchFlow {
	f := &BatchFlow{errs: edge.NewErrors[Error](ctx.Done(), name)}
	run := func() {
		f.ctx, f.cancel = context.WithCancel(ctx)
		work(f)
		// A caller that waits for the end of the pipeline asks Err next. So the error is
		// set before the outlet closes.
		err := f.out.Err()
		if err != nil {
			f.fail(err, frontier.Antichain{})
		} else if err := context.Cause(ctx); err != nil {
			f.ended(err)
		}
		f.out.Close()
		if closed := f.out.Err(); err == nil && closed != nil {
			f.fail(closed, frontier.Antichain{}) // the inlet downstream was closed already
		}
		f.errs.Finish()
		f.cancel()
		f.in.Drain()
	}
	f.in = edge.NewInlet(run)
	f.out = edge.NewOutlet(ctx.Done(), f.in.Start, func() any {
		f.report(edge.ConnectedTwice(name), frontier.Antichain{})
		return nil
	})
	return f
}

// receive returns the next element, or false when the input is closed or the flow has
// ended.
func (f *BatchFlow) receive() (element any, ok bool) {
	element, ok, _ = f.receiveOr(nil)
	return element, ok
}

// receiveOr is receive, but returns with woken when wake fires.
func (f *BatchFlow) receiveOr(wake <-chan time.Time) (element any, ok, woken bool) {
	select {
	case element, ok = <-f.in.C:
		return element, ok && f.ctx.Err() == nil, false
	case <-wake:
		return nil, false, true
	case <-f.ctx.Done():
		return nil, false, false
	}
}

// fail reports an error at the lower of a batch, and ends the work.
func (f *BatchFlow) fail(err error, at frontier.Antichain) {
	f.mu.Lock()
	f.failed = true
	f.mu.Unlock()
	f.report(err, at)
	f.cancel()
}

func (f *BatchFlow) report(err error, at frontier.Antichain) {
	f.addErr(err)
	time, _ := at.Elem()
	f.errs.Report(Error{Err: err, Time: time, Diff: 1})
}

// ended is called when the context has ended. Then the context is the reason why the flow
// has ended, unless the flow had failed before. A caller that cancels the context because
// of an error must not find the cancelling reported beside that error.
func (f *BatchFlow) ended(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	//museum:cause-hidden
	if !f.failed && (f.err == nil || !errors.Is(cause, context.Canceled)) {
		f.err = errors.Join(f.err, cause)
	}
}

func (f *BatchFlow) addErr(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = errors.Join(f.err, err)
}

// Err returns why the flow has failed, or nil. Call it when the pipeline has ended.
func (f *BatchFlow) Err() error {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock() // first: the outlet holds its own lock while it reports a refusal here
	if err == nil {
		return f.out.Err() // not added yet, or of a consumer that came after the end
	}
	return err
}

// Errs returns the flow's err side. You may ignore it: Err tells the same.
func (f *BatchFlow) Errs() *ErrSide { return (*ErrSide)(f.errs) }

// In returns the channel to which the upstream sends batches.
func (f *BatchFlow) In() chan<- any { return f.in.In() }

// Out returns the channel of batches.
func (f *BatchFlow) Out() <-chan any { return f.out.Out() }

// Via wires the batches to a flow and returns it. A second call is an error: its flow gets
// nothing, and Err matches ErrConnected.
func (f *BatchFlow) Via(flow streams.Flow) streams.Flow { return f.out.Via(flow) }

// To wires the batches to a sink and blocks until it has completed.
func (f *BatchFlow) To(sink streams.Sink) { f.out.To(sink) }

// Done is closed when the context of the flow has ended.
func (f *BatchFlow) Done() <-chan struct{} { return f.out.Done() }

// batchOf returns the element as a batch that covers some time, or an error that says why
// the element is no such batch. skip is true if the batch covers no time and has no update.
func batchOf[K, V any](element any) (b Batch[K, V], skip bool, err error) {
	b, ok := element.(Batch[K, V])
	switch {
	case !ok:
		return b, false, edge.ForeignElement(element, typeName[Batch[K, V]]())
	case !b.IsEmpty():
		return b, false, nil
	case b.Lower == b.Upper && len(b.Updates) == 0:
		return b, true, nil
	}
	return b, false, fmt.Errorf("tidemark: %w: batch [%s, %s) with %d updates covers no time: keep descriptions as they are",
		persist.ErrInvalid, b.Lower, b.Upper, len(b.Updates))
}
