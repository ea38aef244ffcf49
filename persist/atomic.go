package persist

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/storage"
)

// Atomic makes everything that build adds durable and visible at one SeqNo, or nothing of
// it. build adds to any streams of the client's runtime, with AddWrite, AddSeal and the
// other functions that take an AtomicWrite. It runs once, in the calling goroutine. If
// build returns an error, nothing is written, and the future has that error.
//
// All writes are checked against the uppers from before the command. Then the seals and
// allowed compactions of the command take effect. If build adds nothing, that is a command
// too: it is answered in its turn and writes nothing.
//
// Atomic blocks like the methods of a WriteHandle: while the runtime is at its limits,
// under the context.
//
// Errors: build's; ErrInvalid without a client; ErrTooLarge if all of it together is more
// than a command may have; as the methods of WriteHandle.
func Atomic(ctx context.Context, c *Client, build func(*AtomicWrite) error) *Future[storage.SeqNo] {
	if c == nil || c.owned == nil {
		return failed(fmt.Errorf("tidemark: %w: an atomic write without a client: get one from tidemark.Open", ErrInvalid))
	}
	return atomicIn(ctx, nil, c.writer, &AtomicWrite{runtime: c.ID()}, build)
}

// atomicIn builds a command and submits it as the next one of a chain. A nil chain is no
// chain.
func atomicIn(ctx context.Context, chain *Chain, to *indexed.Engine, b *AtomicWrite, build func(*AtomicWrite) error) *Future[storage.SeqNo] {
	if err := build(b); err != nil {
		return chain.fail(err)
	}
	return chain.submit(ctx, to, &b.cmd)
}

// AtomicWrite collects what becomes durable and visible at once. Atomic and
// MultiWriteHandle.WriteAtomic make one. It is valid only while the function that builds it
// runs. One goroutine uses it.
type AtomicWrite struct {
	runtime RuntimeID
	members *MultiWriteHandle // nil: all streams of the runtime
	cmd     indexed.Command
}

// admit returns the error for a stream that cannot take part, or nil.
func (b *AtomicWrite) admit(h *handle) error {
	if err := h.usable(); err != nil {
		return err
	}
	if h.owned.id != b.runtime {
		return fmt.Errorf("tidemark: %w: stream %q is of runtime %s, the atomic write of %s: open them through one client", ErrDifferentRuntimes, h.name, h.owned.id, b.runtime)
	}
	if b.members == nil {
		return nil
	}
	return b.members.memberID(h.id)
}

// AddWrite adds updates to a stream. It may be called several times for one stream.
//
// Errors: the handle's; ErrDifferentRuntimes; ErrInvalid if the stream is not a member of
// the MultiWriteHandle, if the diff of an update is math.MinInt64, or if a codec does not
// append to the bytes that it is given; the codecs'.
func AddWrite[K, V any](b *AtomicWrite, w *WriteHandle[K, V], updates []Update[K, V]) error {
	if err := b.admit(w.writeHandle()); err != nil {
		return err
	}
	return w.encode(&b.cmd, updates, nil)
}

// AddCompareAndAppend adds a CompareAndAppend to one of the streams. If the upper of that
// stream is not the expected one, nothing of the whole atomic write takes effect. So an
// operator can keep its state and its position in the input in two streams. Without
// updates, and with next equal to expected, it asserts the upper and changes nothing of the
// stream.
//
// Errors: as AddWrite and WriteHandle.CompareAndAppend.
func AddCompareAndAppend[K, V any](b *AtomicWrite, w *WriteHandle[K, V], updates []Update[K, V], expected, next frontier.Antichain) error {
	if err := b.admit(w.writeHandle()); err != nil {
		return err
	}
	return w.addCompareAndAppend(&b.cmd, updates, expected, next)
}

// AddSeal adds a seal to {upper}. The seal takes effect after all writes of the atomic
// write, whatever the order in which they were added.
//
// Errors: as AddFinish.
func AddSeal(b *AtomicWrite, s Stream, upper uint64) error {
	return b.seal(s, frontier.At(upper))
}

// AddFinish adds a seal to the empty antichain. The updates that the atomic write has for
// the stream are its last ones, whatever the order in which they were added. Readers come
// to an end.
//
// Errors: the handle's; ErrDifferentRuntimes; ErrInvalid if the stream is not a member of
// the MultiWriteHandle.
func AddFinish(b *AtomicWrite, s Stream) error {
	return b.seal(s, frontier.Empty())
}

func (b *AtomicWrite) seal(s Stream, upper frontier.Antichain) error {
	h := s.writeHandle()
	if err := b.admit(h); err != nil {
		return err
	}
	b.cmd.Seal(h.engineID(), upper)
	return nil
}

// AddAllowCompaction adds an allowed compaction.
//
// Errors: as AddFinish.
func AddAllowCompaction(b *AtomicWrite, s Stream, since frontier.Antichain) error {
	h := s.writeHandle()
	if err := b.admit(h); err != nil {
		return err
	}
	b.cmd.AllowCompaction(h.engineID(), since)
	return nil
}
