// Package progress tells how far an operator has come. The operator moves a [Progress]. Its
// users wait for the [Probe], which package operators shows them.
package progress

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
)

// ErrEnded: an operator has ended before the time that a caller waits for.
var ErrEnded = errors.New("ended before that time")

// Probe tells how far an operator has come. Any number of goroutines may use it at once.
// Package operators has the same type for users, and documents its methods.
type Probe struct {
	done chan struct{} // closed when the operator has ended

	mu struct {
		sync.Mutex
		frontier frontier.Antichain
		waiting  waiters
		ended    bool
		err      error
	}
}

// Progress is an operator's side of a probe. Any goroutine may call its methods.
type Progress struct{ probe Probe }

// New returns progress at {0}.
func New() *Progress { return &Progress{Probe{done: make(chan struct{})}} }

// Probe returns the probe, the same one every time.
func (p *Progress) Probe() *Probe { return &p.probe }

// Advance moves the frontier forward. It ignores a frontier that is not in advance of the
// one in force. After End it does nothing.
func (p *Progress) Advance(to frontier.Antichain) {
	pr := &p.probe
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.mu.ended || !pr.mu.frontier.LessThan(to) {
		return
	}
	pr.mu.frontier = to
	for len(pr.mu.waiting) > 0 && !pr.lessThanLocked(pr.mu.waiting[0].time) {
		w := heap.Pop(&pr.mu.waiting).(*waiter) //nolint:errcheck // the heap holds nothing else
		close(w.woken)
	}
}

// End says that the frontier will not move any more. Callers of Wait get err, or ErrEnded
// if err is nil. Calls after the first do nothing.
func (p *Progress) End(err error) {
	pr := &p.probe
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.mu.ended {
		return
	}
	pr.mu.ended, pr.mu.err = true, err
	pr.mu.waiting = nil
	close(pr.done)
}

// Frontier returns how far the operator has come: everything before it is done.
func (p *Probe) Frontier() frontier.Antichain {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.frontier
}

// LessThan reports whether some time less than t may still come.
func (p *Probe) LessThan(t uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lessThanLocked(t)
}

func (p *Probe) lessThanLocked(t uint64) bool {
	elem, ok := p.mu.frontier.Elem()
	return ok && elem < t
}

// Wait blocks until no time less than t may come any more.
//
// Errors: the operator's own error if the operator has ended before that, or ErrEnded if it
// has none; the context's.
func (p *Probe) Wait(ctx context.Context, t uint64) error {
	p.mu.Lock()
	if !p.lessThanLocked(t) {
		p.mu.Unlock()
		return nil
	}
	if p.mu.ended {
		defer p.mu.Unlock()
		return p.endedLocked(t)
	}
	w := &waiter{time: t, woken: make(chan struct{})}
	heap.Push(&p.mu.waiting, w)
	p.mu.Unlock()

	var err error
	select {
	case <-w.woken:
		return nil
	case <-p.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.lessThanLocked(t):
		return nil
	case p.mu.ended:
		return p.endedLocked(t)
	}
	heap.Remove(&p.mu.waiting, w.index)
	return err
}

func (p *Probe) endedLocked(t uint64) error {
	if p.mu.err != nil {
		return p.mu.err
	}
	return fmt.Errorf("tidemark: wait for time %d: %w: the frontier is %s and will not move", t, ErrEnded, p.mu.frontier)
}

// Done is closed when the operator has ended: finished, failed or cancelled.
func (p *Probe) Done() <-chan struct{} { return p.done }

// Err returns why the operator has ended. It returns nil while the operator works, and
// after it has finished without an error.
func (p *Probe) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.err
}

type waiter struct {
	time  uint64
	woken chan struct{}
	index int // in the heap
}

// waiters is a heap by time, so that an advance touches only the waiters that it wakes.
type waiters []*waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].time < w[j].time }
func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}
func (w *waiters) Push(x any) {
	added := x.(*waiter) //nolint:errcheck // nothing else is pushed
	added.index = len(*w)
	*w = append(*w, added)
}
func (w *waiters) Pop() any {
	last := (*w)[len(*w)-1]
	(*w)[len(*w)-1] = nil
	*w = (*w)[:len(*w)-1]
	return last
}
