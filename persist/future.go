package persist

import (
	"context"

	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/storage"
)

// Future is the answer to a mutation; the answer may come later. When a call returns a
// future, the mutation has its place in the order of commands, and is on its way to the
// log. The future is filled once: when the mutation is durable and visible, was refused, or
// failed.
//
// Several goroutines may use a future at once. Dropping a future cancels nothing. Methods
// that write return futures. The zero value is never filled.
type Future[T any] indexed.Future[T]

// Wait blocks until the future is filled or the context is done. It returns the answer or
// the context's error. A wait that ends with its context does not cancel the mutation,
// which may take effect later. Wait again to learn the outcome.
//
// The value of a mutation is the position of its command in the log. It is meaningful if
// the error is nil.
//
// Errors: those of the method that returned the future; the context's.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	v, err := (*indexed.Future[T])(f).Wait(ctx)
	return v, translate(err)
}

// Done returns a channel that is closed when the future is filled. Wait does not block
// after that.
func (f *Future[T]) Done() <-chan struct{} { return (*indexed.Future[T])(f).Done() }

// failed returns a future that is filled with an error.
func failed(err error) *Future[storage.SeqNo] {
	return (*Future[storage.SeqNo])(indexed.Failed[storage.SeqNo](err))
}

// submit hands a command to the engine, as Engine.Submit says. The future of the engine is
// part of the command. Converting its type allocates nothing.
func submit(ctx context.Context, to *indexed.Engine, c *indexed.Command) *Future[storage.SeqNo] {
	return (*Future[storage.SeqNo])(to.Submit(ctx, c))
}
