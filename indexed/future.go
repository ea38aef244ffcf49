package indexed

import (
	"context"
	"sync"
	"sync/atomic"
)

// Future is the answer to a command; the answer may come later. Several goroutines may use
// it at once. Dropping a future cancels nothing.
type Future[T any] struct {
	filled atomic.Bool // set after val and err, which never change after that
	val    T
	err    error

	mu   sync.Mutex    // guards done, and the change of filled
	done chan struct{} // made by the first call that waits: most answers are there before
}

// NewFuture returns a future that has no answer yet. The first call of Fill gives it one.
func NewFuture[T any]() *Future[T] { return new(Future[T]) }

// Failed returns a future with an error as its answer.
func Failed[T any](err error) *Future[T] {
	f := NewFuture[T]()
	var zero T
	f.Fill(zero, err)
	return f
}

// Fill gives the future its answer. Calls after the first do nothing.
func (f *Future[T]) Fill(val T, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.filled.Load() {
		return
	}
	f.val, f.err = val, err
	f.filled.Store(true)
	if f.done != nil {
		close(f.done)
	}
}

// Wait blocks until the future has its answer or ctx is done. It returns the answer or the
// context's error. If ctx ends, the command goes on, and a later Wait returns its outcome.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if f.filled.Load() {
		return f.val, f.err
	}
	select {
	case <-f.Done():
		return f.val, f.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// Done returns a channel that is closed when the future has its answer.
func (f *Future[T]) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = make(chan struct{})
		if f.filled.Load() {
			close(f.done)
		}
	}
	return f.done
}
