package sink

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
)

func (w *writer[K, V]) receiveBatch(b operators.Batch[K, V]) error {
	switch {
	case w.incomplete:
		return nil
	case b.Lower == b.Upper && len(b.Updates) == 0:
		return nil
	case b.IsEmpty():
		return &persist.StreamError{
			Stream: w.write.StreamName(), Kind: persist.ErrInvalid,
			Detail: fmt.Sprintf("batch [%s, %s) with %d updates covers no time: keep descriptions as they are", b.Lower, b.Upper, len(b.Updates)),
		}
	case b.Upper.LessEqual(w.next):
		return nil // durable, or on its way
	}
	b.Updates = slices.Clone(b.Updates) // a branch of a FanOut may have the same slice
	if err := w.held.Add(b.Description, len(b.Updates), b, w.next); err != nil {
		return err
	}
	return w.held.Skip(w.next)
}

func (w *writer[K, V]) settleBatch(b operators.Batch[K, V], err error) error {
	var mismatch *persist.UpperMismatchError
	switch {
	case err == nil:
		w.learn(b.Upper)
		return nil
	case errors.Is(err, persist.ErrPrevious):
		return w.putBack(b) // the one before it was, or has ended the sink
	case errors.As(err, &mismatch):
		return w.sealedByAnother(b, mismatch)
	case transient(err):
		if err := w.backOff(err); err != nil {
			return err
		}
		return w.putBack(b)
	}
	return fmt.Errorf("batch [%s, %s): %w", b.Lower, b.Upper, err)
}

// sealedByAnother is the error for a batch before which somebody else has moved the
// upper. It cannot be this sink: a command that failed without effect never lands later,
// and those on their way behind it form a chain. What the other one has written is not
// known here, so going on from its upper could lose what this pipeline has for it.
func (w *writer[K, V]) sealedByAnother(b operators.Batch[K, V], err *persist.UpperMismatchError) error {
	return fmt.Errorf("tidemark: sink of stream %q: another writer seals the stream: this sink has left its upper at %s, and it is %s, so the batch [%s, %s) was not written: let one pipeline at a time write a stream, and start it from the stream's upper: %w",
		w.write.StreamName(), w.upper, err.Upper, b.Lower, b.Upper, err)
}

// putBack holds a batch again that was on its way. What follows it is put back as
// well, when its turn to settle comes.
func (w *writer[K, V]) putBack(b operators.Batch[K, V]) error {
	w.rewind = true
	return w.held.Restore(b.Description, len(b.Updates), b)
}

// learn takes in an upper that the stream is known to have.
func (w *writer[K, V]) learn(upper frontier.Antichain) {
	w.upper = w.upper.Join(upper)
	w.next = w.next.Join(w.upper)
	w.progress.Advance(w.upper)
}
