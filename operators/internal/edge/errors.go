package edge

import "sync"

// MaxErrors is how many errors wait for a slow or absent consumer of an err side.
const MaxErrors = 1024

// Errors is the outlet of an err side. Reporting never blocks and takes bounded
// memory: when MaxErrors wait, further ones are counted, and the consumer gets one
// error that sums them up.
//
// E is what a consumer gets. All methods may be called by any goroutine.
type Errors[E any] struct {
	*Outlet
	sum func(first E, dropped int) E

	wake chan struct{} // capacity 1
	mu   struct {
		sync.Mutex
		waiting  []E
		first    E // of those dropped
		dropped  int
		finished bool // Finish was called
		over     bool // and the consumer has taken everything
	}
}

// NewErrors returns an err side. sum makes the error that stands for those dropped,
// of which it gets the first and the number.
func NewErrors[E any](done <-chan struct{}, refusal func() any, sum func(first E, dropped int) E) *Errors[E] {
	q := &Errors[E]{sum: sum, wake: make(chan struct{}, 1)}
	q.Outlet = NewOutlet(done, q.run, refusal)
	return q
}

// Report queues an error, or counts it. After Finish it does so for as long as the
// consumer has not taken everything, since a second consumer may come to an operator
// that has ended, and whoever looks at its errors afterwards is to see that.
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

// Finish says that the operator has ended: the outlet closes once the errors that wait
// were taken.
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
	defer q.Close()
	for {
		e, ok, over := q.next()
		switch {
		case ok:
			if !q.Send(e) {
				return
			}
		case over:
			return
		default:
			select {
			case <-q.wake:
			case <-q.Done():
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
		e = q.sum(q.mu.first, q.mu.dropped)
		q.mu.first, q.mu.dropped = zero, 0
		return e, true, false
	}
	q.mu.over = q.mu.finished
	return e, false, q.mu.over
}
