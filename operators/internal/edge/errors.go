package edge

import (
	"errors"
	"fmt"
	"sync"

	"github.com/reugn/go-streams"
)

// ErrDropped: an err side was read too slowly. The error says how many errors it stands
// for.
var ErrDropped = errors.New("errors dropped")

// MaxErrors is how many errors wait for a slow or absent consumer of an err side.
const MaxErrors = 1024

// Failure is what an err side sends: operators.Error, which this package cannot name.
type Failure interface {
	~struct {
		Err  error
		Time uint64
		Diff int64
	}
}

// failure has the fields of every Failure. A conversion to it gives access to the fields.
type failure struct {
	Err  error
	Time uint64
	Diff int64
}

// Errors is the err side of an operator. Report never blocks, and memory is bounded: when
// MaxErrors wait, further errors are counted. The consumer then gets one error that sums
// them up and matches ErrDropped.
//
// Any goroutine may call any method.
type Errors[E Failure] struct {
	out      *Outlet
	operator string

	wake chan struct{} // capacity 1
	mu   struct {
		sync.Mutex
		waiting  []E
		first    E // of those dropped
		dropped  int
		finished bool // Finish was called
		over     bool // finished, and the consumer has taken everything
	}
}

// NewErrors returns the err side of the named operator. It sends nothing once done is
// closed; a nil done never closes.
func NewErrors[E Failure](done <-chan struct{}, operator string) *Errors[E] {
	q := &Errors[E]{operator: operator, wake: make(chan struct{}, 1)}
	q.out = NewOutlet(done, q.run, func() any { return E(failure{Err: ConnectedTwice(operator), Diff: 1}) })
	return q
}

// Out returns the channel of errors, the same one every time.
func (q *Errors[E]) Out() <-chan any { return q.out.Out() }

// Via wires the errors to a flow and returns it.
func (q *Errors[E]) Via(flow streams.Flow) streams.Flow { return q.out.Via(flow) }

// To wires the errors to a sink and blocks until it has completed.
func (q *Errors[E]) To(sink streams.Sink) { q.out.To(sink) }

// Done is closed when the context of the operator has ended.
func (q *Errors[E]) Done() <-chan struct{} { return q.out.Done() }

// Report queues an error, or counts it. It does so after Finish as well, until the consumer
// has taken everything. The reason: a second consumer may come to an operator that has
// ended, and a later look at the errors must show that.
func (q *Errors[E]) Report(e E) {
	q.mu.Lock()
	switch {
	//museum:refused-in-silence
	case q.mu.over:
	case q.mu.dropped > 0:
		q.mu.dropped++
	case len(q.mu.waiting) == MaxErrors:
		q.mu.first, q.mu.dropped = e, 1
	default:
		q.mu.waiting = append(q.mu.waiting, e)
	}
	q.mu.Unlock()
	q.signal()
}

// Finish says that the operator has ended. The outlet closes when all waiting errors were
// taken.
func (q *Errors[E]) Finish() {
	q.mu.Lock()
	q.mu.finished = true
	q.mu.Unlock()
	q.signal()
}

func (q *Errors[E]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run is the goroutine of the outlet. It ends after Finish, or with the context.
func (q *Errors[E]) run() {
	defer q.out.Close()
	for {
		e, ok, over := q.next()
		switch {
		case ok:
			if !q.out.Send(e) {
				return
			}
		case over:
			return
		default:
			select {
			case <-q.wake:
			case <-q.out.Done():
				return
			}
		}
	}
}

func (q *Errors[E]) next() (e E, ok, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var zero E
	switch {
	case len(q.mu.waiting) > 0:
		e = q.mu.waiting[0]
		q.mu.waiting[0] = zero
		q.mu.waiting = q.mu.waiting[1:]
		return e, true, false
	case q.mu.dropped > 0:
		e = q.sumDroppedLocked()
		q.mu.first, q.mu.dropped = zero, 0
		return e, true, false
	}
	q.mu.over = q.mu.finished
	return e, false, q.mu.over
}

// sumDroppedLocked returns the error that stands for the dropped errors.
func (q *Errors[E]) sumDroppedLocked() E {
	first := failure(q.mu.first)
	return E(failure{
		Err:  fmt.Errorf("tidemark: %s: %w: %d, as its err side was not drained; the first was: %w", q.operator, ErrDropped, q.mu.dropped, first.Err),
		Time: first.Time,
		Diff: int64(q.mu.dropped),
	})
}
