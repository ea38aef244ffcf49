package sink

import (
	"errors"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/order"
)

// errAfterFailure is the answer for a batch that is not written because an element before
// it has failed.
var errAfterFailure = errors.New("tidemark: the batch was not written, since an element that came before has failed, and what is incomplete is not sealed")

// ack is an element that was received and has no answer yet.
type ack struct {
	element any
	size    order.Size
	upper   frontier.Antichain // of a batch, which is done when the stream is sealed to it
	batch   bool
	done    bool
	err     error
}

func (a *ack) answer(err error) {
	if a != nil {
		a.done, a.err = true, err
	}
}

// acks answers elements in the order in which they were received.
type acks struct {
	call    func(element any, err error) // nil: there is no Acknowledge
	limits  order.Limits
	waiting []*ack
	size    order.Size // of the waiting elements
	calling bool       // call is under way; it has panicked if it never returns
}

// take is called with each received element.
func (q *acks) take(element any) *ack {
	if q.call == nil {
		return nil
	}
	a := &ack{element: element}
	q.waiting = append(q.waiting, a)
	return a
}

func (q *acks) grow(a *ack, size order.Size) {
	if a != nil {
		a.size = size
		q.size.Updates += size.Updates
		q.size.Bytes += size.Bytes
	}
}

// over says that more elements wait for their answer than the limits allow. They came
// behind an element that takes long.
func (q *acks) over() bool {
	return q.size.Updates > q.limits.Updates || q.size.Bytes > q.limits.Bytes || len(q.waiting) > q.limits.Updates
}

// tell answers all elements whose turn it is.
func (q *acks) tell(upper frontier.Antichain) {
	for len(q.waiting) > 0 {
		//museum:acknowledged-out-of-order
		a := q.waiting[0]
		if !a.done && (!a.batch || !a.upper.LessEqual(upper)) {
			return
		}
		q.next(a.err)
	}
}

func (q *acks) next(err error) {
	a := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	q.size.Updates -= a.size.Updates
	q.size.Bytes -= a.size.Bytes
	q.calling = true
	q.call(a.element, err)
	q.calling = false
}

// end answers the elements that are left, with the reason why nothing more is written. It
// returns the error of an acknowledge call that panics.
func (q *acks) end(upper frontier.Antichain, err error) (panicked error) {
	if q.call == nil || q.calling {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			panicked = edge.PanicError(r)
		}
	}()
	if err == nil {
		err = errAfterFailure
	}
	for len(q.waiting) > 0 {
		q.tell(upper)
		if len(q.waiting) > 0 {
			q.next(err)
		}
	}
	return nil
}
