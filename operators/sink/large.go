package sink

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
)

// A batch that does not fit into a command is written in several commands, one after the
// other. Meanwhile nothing else is on its way, and nothing is received: see docs/parts.md.

// rowOverhead is the size of an update in a command beside its key and value.
const rowOverhead = 24

// large is a batch being written in several commands.
type large[K, V any] struct {
	*writer[K, V]
	batch operators.Batch[K, V]
	order []int32 // of the updates by time
	sizes []int32 // of each update, encoded
}

// submitLarge writes a batch in several commands. Nothing is in flight.
func (w *writer[K, V]) submitLarge(b operators.Batch[K, V]) error {
	l := &large[K, V]{writer: w, batch: b}
	if err := l.write(); err != nil {
		return fmt.Errorf("batch [%s, %s): %w", b.Lower, b.Upper, err)
	}
	return nil
}

// measure encodes each update once to see how large it is, and sorts the updates by time.
func (l *large[K, V]) measure() error {
	updates := l.batch.Updates
	l.order, l.sizes = make([]int32, 0, len(updates)), make([]int32, len(updates))
	var scratch []byte
	for i := range updates {
		u := &updates[i]
		if !l.batch.Contains(u.Time) {
			return &persist.StreamError{
				Stream: l.Sink.write.StreamName(), Kind: persist.ErrInvalid,
				Detail: fmt.Sprintf("the update of key %s at time %d lies outside [%s, %s)", brief.Value(u.Key), u.Time, l.batch.Lower, l.batch.Upper),
			}
		}
		if u.Diff == math.MinInt64 { // refuse it now: later, other parts would be written already
			return &persist.StreamError{
				Stream: l.Sink.write.StreamName(), Kind: persist.ErrInvalid,
				Detail: fmt.Sprintf("the update of key %s at time %d has the diff %d, which no update can retract since an int64 has no number to negate it: write it as two updates", brief.Value(u.Key), u.Time, u.Diff),
			}
		}
		row, next, err := l.encode(scratch[:0], u)
		if err != nil {
			return err
		}
		scratch = next
		l.sizes[i] = int32(rowOverhead + len(row.Key) + len(row.Val))
		if u.Diff != 0 { // an update of 0 changes nothing
			l.order = append(l.order, int32(i))
		}
	}
	slices.SortStableFunc(l.order, func(a, b int32) int { return cmp.Compare(updates[a].Time, updates[b].Time) })
	return nil
}

// encode appends the key and the value of an update to dst. The row refers to dst.
func (l *large[K, V]) encode(dst []byte, u *persist.Update[K, V]) (persist.Row, []byte, error) {
	kc, vc := l.Sink.write.Codecs()
	//museum:codec-trusted-in-parts
	row, dst, err := persist.EncodeRow(dst, kc, vc, u)
	if err != nil {
		return persist.Row{}, dst, fmt.Errorf("tidemark: stream %q: %w", l.Sink.write.StreamName(), err)
	}
	return row, dst, nil
}

// write cuts the batch between times. Where one time is larger than a command, it cuts
// within that time.
func (l *large[K, V]) write() error {
	if err := l.measure(); err != nil {
		return err
	}
	updates := l.batch.Updates
	lower := l.batch.Lower
	begin, bytes := 0, int64(0) // of the updates that were not written yet
	flush := func(end int, upper frontier.Antichain) error {
		if begin == end && upper == lower {
			return nil
		}
		piece := l.batch
		piece.Lower, piece.Upper, piece.Updates = lower, upper, make([]persist.Update[K, V], 0, end-begin)
		for _, i := range l.order[begin:end] {
			piece.Updates = append(piece.Updates, updates[i])
		}
		lower, begin, bytes = upper, end, 0
		return l.writePiece(piece)
	}
	for at := 0; at < len(l.order); {
		t, end, size := updates[l.order[at]].Time, at, int64(0)
		for ; end < len(l.order) && updates[l.order[end]].Time == t; end++ {
			size += int64(l.sizes[l.order[end]])
		}
		inParts := size > l.commandBytes() && end-at > 1
		if begin < at && (inParts || bytes+size > l.partBytes()) {
			if err := flush(at, frontier.At(t)); err != nil {
				return err
			}
		}
		bytes += size
		if inParts {
			upper := l.batch.Upper
			if end < len(l.order) {
				upper = frontier.At(updates[l.order[end]].Time)
			}
			if err := l.writeParts(l.order[at:end], lower, upper); err != nil {
				return err
			}
			lower, begin, bytes = upper, end, 0
		}
		at = end
	}
	return flush(len(l.order), l.batch.Upper)
}

// writePiece writes whole times of the batch, and seals them.
func (l *large[K, V]) writePiece(piece operators.Batch[K, V]) error {
	if err := l.do(l.alone, func(a *persist.AtomicWrite) error {
		if err := persist.AddCompareAndAppend(a, l.Sink.write, piece.Updates, piece.Lower, piece.Upper); err != nil {
			return err
		}
		return l.addSince(a, piece.Since)
	}); err != nil {
		return err
	}
	l.wrote(piece.Upper, piece.Since)
	return nil
}

// addSince moves the since of the stream to the since of a batch.
func (w *writer[K, V]) addSince(a *persist.AtomicWrite, since frontier.Antichain) error {
	if since.LessEqual(w.since) {
		return nil
	}
	return persist.AddAllowCompaction(a, w.write, since)
}

func (w *writer[K, V]) wrote(upper, since frontier.Antichain) {
	w.learn(upper)
	w.since = w.since.Join(since)
	w.nextSince = w.since
}

// commandBytes is the size above which a batch is cut.
func (w *writer[K, V]) commandBytes() int64 { return w.write.MaxCommandBytes() / 2 }

// partBytes is the size of a part. A part is in its command twice: for the output, and for
// the side stream.
func (w *writer[K, V]) partBytes() int64 {
	return max(1, min(w.opts.partBytes, w.write.MaxCommandBytes()/8))
}

// do writes atomically and waits for the answer, for as long as an outage lasts. The write
// expects the side stream where this sink has left it.
func (w *writer[K, V]) do(m *persist.MultiWriteHandle, build func(*persist.AtomicWrite) error) error {
	for {
		err := w.insist(func() error {
			chain := w.newChain()
			_, err := m.WriteAtomicIn(w.ctx, &chain, build).Wait(w.ctx)
			return err
		})
		if !errors.Is(err, persist.ErrSinceRegression) {
			return w.explain(err)
		}
		moved, learnErr := w.learnSince()
		if learnErr != nil {
			return learnErr
		}
		if !moved {
			return err
		}
	}
}

// insist repeats try until it has an effect or is refused for good.
func (w *writer[K, V]) insist(try func() error) error {
	for {
		err := try()
		if err == nil {
			w.recovered()
			return nil
		}
		if !w.transient(err) {
			return err
		}
		wait, err := w.tryAgain(err)
		if err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-w.ctx.Done():
			timer.Stop()
			return w.ctx.Err()
		}
	}
}

// learnSince asks for the since of the stream, after another client has moved it.
func (w *writer[K, V]) learnSince() (moved bool, err error) {
	at, err := w.write.Description(w.ctx)
	if err != nil {
		return false, err
	}
	moved = w.since != w.since.Join(at.Since)
	w.since = w.since.Join(at.Since)
	return moved, nil
}

// explain adds to an error who has moved the upper of the output or of the side stream.
func (w *writer[K, V]) explain(err error) error {
	var mismatch *persist.UpperMismatchError
	switch {
	case !errors.As(err, &mismatch):
		return err
	case mismatch.Stream == w.write.StreamName():
		return w.sealedByAnother(mismatch)
	}
	return fmt.Errorf("tidemark: sink of stream %q: another writer has taken over the parts of a batch, which are in stream %q: let one pipeline at a time write a stream: %w",
		w.write.StreamName(), mismatch.Stream, err)
}
