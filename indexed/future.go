package indexed

import (
	"context"
	"sync"
	"sync/atomic"
)

// Future is the answer to a command that may not be there yet. It may be used by
// several goroutines at once, and be dropped: that cancels nothing.
type Future[T any] struct {
	filled atomic.Bool // set after val and err, which then never change
	val    T
	err    error

	mu   sync.Mutex    // guards done, and the change of filled
	done chan struct{} // made by the first who waits: most answers are there before
}

// NewFuture returns a future that is filled by the first call of Fill.
func NewFuture[T any]() *Future[T] { return new(Future[T]) }

// Failed returns a future that holds an error.
func Failed[T any](err error) *Future[T] {
	f := NewFuture[T]()
	var zero T
	f.Fill(zero, err)
	return f
}

// Fill answers the future. Calls after the first do nothing.
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

// Wait blocks until the future is filled or the context is done, and returns the
// answer or the context's error. A cancelled wait does not cancel the command: its
// outcome can still be waited for.
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

// Done returns a channel that is closed when the future is filled.
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
