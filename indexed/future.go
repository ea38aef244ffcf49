package indexed

import (
	"context"
	"sync"
)

// Future is the answer to a command that may not be there yet. It may be used by
// several goroutines at once, and be dropped: that cancels nothing.
type Future[T any] struct {
	once sync.Once
	done chan struct{}
	val  T
	err  error
}

// NewFuture returns a future that is filled by the first call of Fill.
func NewFuture[T any]() *Future[T] { return &Future[T]{done: make(chan struct{})} }

// Failed returns a future that holds an error.
func Failed[T any](err error) *Future[T] {
	f := NewFuture[T]()
	var zero T
	f.Fill(zero, err)
	return f
}

// Fill answers the future. Calls after the first do nothing.
func (f *Future[T]) Fill(val T, err error) {
	f.once.Do(func() {
		f.val, f.err = val, err
		close(f.done)
	})
}

// Wait blocks until the future is filled or the context is done, and returns the
// answer or the context's error. A cancelled wait does not cancel the command: its
// outcome can still be waited for.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	select {
	case <-f.done:
		return f.val, f.err
	default:
	}
	select {
	case <-f.done:
		return f.val, f.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// Done returns a channel that is closed when the future is filled.
func (f *Future[T]) Done() <-chan struct{} { return f.done }
