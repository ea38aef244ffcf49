package sink

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/order"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

func (w *writer[K, V]) receiveBatch(a *ack, b operators.Batch[K, V]) error {
	switch {
	case w.incomplete:
		a.answer(errAfterFailure)
		return nil
	case b.Lower == b.Upper && len(b.Updates) == 0:
		a.answer(nil)
		return nil
	case b.IsEmpty():
		return &persist.StreamError{
			Stream: w.write.StreamName(), Kind: persist.ErrInvalid,
			Detail: fmt.Sprintf("batch [%s, %s) with %d updates covers no time: keep descriptions as they are", b.Lower, b.Upper, len(b.Updates)),
		}
	case b.Since.IsEmpty():
		return &persist.StreamError{
			Stream: w.write.StreamName(), Kind: persist.ErrInvalid,
			Detail: fmt.Sprintf("the batch [%s, %s) has the since {}: no contents are exact as of any time", b.Lower, b.Upper),
		}
	}
	if a != nil {
		a.batch, a.upper = true, b.Upper
	}
	if b.Upper.LessEqual(w.next) {
		return nil // durable, or on its way
	}
	if start := w.start.Upper; b.Lower.LessThan(start) {
		if err := w.cut(&b, start); err != nil {
			return err
		}
	} else {
		//museum:elements-shared
		b.Updates = slices.Clone(b.Updates) // another branch of a FanOut may have the same slice
	}
	size := order.Size{Updates: len(b.Updates), Bytes: w.weigh.Of(b.Updates)}
	w.acks.grow(a, size)
	w.pace.Weighed(size.Bytes)
	if err := w.held.Add(b.Description, size, b); err != nil {
		return err
	}
	return w.held.Skip(w.next)
}

// cut drops the part of a batch before the upper that the stream had when the sink began.
// That part was written before a restart, perhaps by batches with other borders. Or another
// sink of the same source had not come as far, so that the source starts earlier.
//
// The cut is exact only if the batch shows all of that part at times before the upper. A
// batch whose times were advanced to the upper or beyond shows it there, for a second time.
func (w *writer[K, V]) cut(b *operators.Batch[K, V], start frontier.Antichain) error {
	//museum:cut-too-late
	if start.LessEqual(b.Since) {
		return fmt.Errorf("tidemark: sink of stream %q: %w: the batch [%s, %s) shows what was before %s at %s, the since of the batch, and the stream has all before its upper %s already, so it would be there twice: start the source from %s (source.From), as of a time before that (source.AsOf)",
			w.write.StreamName(), operators.ErrOverlap, b.Lower, b.Upper, start, b.Since, start, start)
	}
	kept := make([]persist.Update[K, V], 0, len(b.Updates))
	for _, u := range b.Updates {
		if start.Admits(u.Time) {
			kept = append(kept, u)
		}
	}
	b.Lower, b.Updates = start, kept
	return nil
}

// append writes and seals a batch. Contents that were advanced to a since are not exact as
// of earlier times. So the same command moves the since of the stream.
func (w *writer[K, V]) append(b operators.Batch[K, V]) *persist.Future[storage.SeqNo] {
	//museum:since-left-behind
	if b.Since.LessEqual(w.nextSince) {
		return w.write.CompareAndAppendIn(w.ctx, &w.chain, b.Updates, b.Lower, b.Upper)
	}
	w.nextSince = b.Since
	return w.alone.WriteAtomicIn(w.ctx, &w.chain, func(a *persist.AtomicWrite) error {
		if err := persist.AddCompareAndAppend(a, w.write, b.Updates, b.Lower, b.Upper); err != nil {
			return err
		}
		return persist.AddAllowCompaction(a, w.write, b.Since)
	})
}

func (w *writer[K, V]) settleBatch(b operators.Batch[K, V], bytes int64, err error) error {
	var mismatch *persist.UpperMismatchError
	switch {
	case err == nil:
		w.learn(b.Upper)
		w.since = w.since.Join(b.Since)
		return nil
	case errors.Is(err, persist.ErrPrevious):
		return w.putBack(b, bytes) // the batch before it was put back too, or has ended the sink
	case errors.Is(err, persist.ErrSinceRegression):
		// Another client has moved the since meanwhile.
		at, err := w.write.Description(w.ctx)
		if err != nil {
			return err
		}
		w.since = w.since.Join(at.Since)
		return w.putBack(b, bytes)
	case errors.As(err, &mismatch):
		return fmt.Errorf("batch [%s, %s): %w", b.Lower, b.Upper, w.explain(err))
	case errors.Is(err, persist.ErrTooLarge):
		w.oversized = b.Upper // submit writes it in several commands when its turn comes again
		return w.putBack(b, bytes)
	case w.transient(err):
		if err := w.backOff(err); err != nil {
			return err
		}
		return w.putBack(b, bytes)
	}
	return fmt.Errorf("batch [%s, %s): %w", b.Lower, b.Upper, err)
}

// sealedByAnother is the error for a batch before which another writer has moved the upper.
// It was not this sink: a command that failed without effect never lands later, and the
// commands on their way behind it form a chain. The sink does not know what the other
// writer has written. If the sink went on from the new upper, it could lose what this
// pipeline has for those times.
func (w *writer[K, V]) sealedByAnother(err *persist.UpperMismatchError) error {
	return fmt.Errorf("tidemark: sink of stream %q: another writer seals the stream: this sink has left its upper at %s, and it is %s, so nothing was written: let one pipeline at a time write a stream, and start it from the stream's upper: %w",
		w.write.StreamName(), w.upper, err.Upper, err)
}

// putBack holds again a batch that was on its way. The batches behind it are put back as
// well, when their turn to settle comes.
func (w *writer[K, V]) putBack(b operators.Batch[K, V], bytes int64) error {
	w.rewind = true
	return w.held.Add(b.Description, order.Size{Updates: len(b.Updates), Bytes: bytes}, b)
}

// learn takes in an upper that the stream is known to have.
func (w *writer[K, V]) learn(upper frontier.Antichain) {
	w.upper = w.upper.Join(upper)
	w.next = w.next.Join(w.upper)
	w.progress.Advance(w.upper)
}
