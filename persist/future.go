package persist

import (
	"context"

	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/storage"
)

// Future is the answer to a mutation. It may not be there yet: the mutation has its place in
// the order of commands, and is on its way to the log. The future is filled once, when the
// mutation is durable and visible, or was refused, or failed.
//
// A future may be used by several goroutines at once. It may be dropped: that cancels
// nothing. Methods that write return futures; the zero value is never filled.
type Future[T any] indexed.Future[T]

// Wait blocks until the future is filled or the context is done, and returns the answer or
// the context's error. A wait that ends with its context does not cancel the mutation, which
// may take effect later; Wait again to learn of it.
//
// The value of a mutation is the position of its command in the log. It is meaningful if the
// error is nil.
//
// Errors: those of the method that returned the future; the context's.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	v, err := (*indexed.Future[T])(f).Wait(ctx)
	return v, translate(err)
}

// Done returns a channel that is closed when the future is filled. Then Wait does not block.
func (f *Future[T]) Done() <-chan struct{} { return (*indexed.Future[T])(f).Done() }

// failed returns a future that is filled with an error.
func failed(err error) *Future[storage.SeqNo] {
	return (*Future[storage.SeqNo])(indexed.Failed[storage.SeqNo](err))
}

// submit hands a command over to the engine, as Engine.Submit says. The engine's future is
// part of the command: to call it by another name allocates nothing.
func submit(ctx context.Context, to *indexed.Engine, c *indexed.Command) *Future[storage.SeqNo] {
	return (*Future[storage.SeqNo])(to.Submit(ctx, c))
}
