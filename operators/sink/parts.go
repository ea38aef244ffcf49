package sink

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/persist"
)

// mirrored is rows of a part, and the rows of the side stream that stand for them.
type mirrored struct {
	rows, mirror []persist.Row
	bytes        int64 // of the rows, or of the rows of the side stream alone
}

func (m *mirrored) reset() { *m = mirrored{rows: m.rows[:0], mirror: m.mirror[:0]} }

// writeParts writes the updates of one time in parts, and seals [lower, upper).
func (l *large[K, V]) writeParts(updates []int32, lower, upper frontier.Antichain) error {
	// The last part is not mirrored, so it has the most room. It gets the largest update.
	largest := 0
	for i := range updates {
		if l.sizes[updates[i]] > l.sizes[updates[largest]] {
			largest = i
		}
	}
	last := len(updates) - 1
	updates[largest], updates[last] = updates[last], updates[largest]
	for _, i := range updates[:last] {
		if u := &l.batch.Updates[i]; int64(l.sizes[i])+arrivedBytes > l.Sink.write.MaxCommandBytes() {
			return &persist.StreamError{
				Stream: l.Sink.write.StreamName(), Kind: persist.ErrTooLarge,
				Detail: fmt.Sprintf("the update of key %s at time %d takes %d bytes: of several at one time all but the largest must leave %d of the %d bytes of a command: raise Config.MaxTailBytes", brief.Value(u.Key), u.Time, l.sizes[i], arrivedBytes, l.Sink.write.MaxCommandBytes()),
			}
		}
	}
	if err := l.openSide(); err != nil {
		return err
	}
	if l.side.state() != idle {
		return l.explain(&persist.UpperMismatchError{
			Stream: l.side.write.StreamName(), Expected: frontier.At(l.side.next(idle)), Upper: frontier.At(l.side.gen),
		})
	}

	var part mirrored
	for at, i := range updates {
		size := int64(l.sizes[i])
		if part.bytes > 0 && part.bytes+size > l.partBytes() {
			if err := l.writePart(&part, lower); err != nil {
				return err
			}
			part.reset()
		}
		row, _, err := l.encode(make([]byte, 0, size), &l.batch.Updates[i])
		if err != nil {
			return err
		}
		part.rows = append(part.rows, row)
		part.bytes += size
		if at < last && 2*size+mirrorOverhead > l.Sink.write.MaxCommandBytes() {
			if err := l.writeAlone(&part, lower); err != nil {
				return err
			}
			part.reset()
		}
	}
	return l.writeLastPart(&part, lower, upper)
}

const (
	// mirrorOverhead is how much larger a row is in the side stream.
	mirrorOverhead = 16
	// arrivedBytes is the size of the row of the side stream that says that a row has
	// arrived.
	arrivedBytes = rowOverhead + 24 + sha256.Size
)

// writeAlone writes a row that fits into a command once, but not twice. The first command
// announces the row in the side stream. The second command writes the row, and says in the
// side stream that it has arrived.
func (w *writer[K, V]) writeAlone(part *mirrored, lower frontier.Antichain) error {
	r := part.rows[0]
	part.rows, part.mirror = nil, []persist.Row{mirror(announced, r, w.side.gen)}
	if err := w.addPart(part, lower); err != nil {
		return err
	}
	part.rows, part.mirror = []persist.Row{r}, []persist.Row{mirror(arrived, r, w.side.gen)}
	return w.addPart(part, lower)
}

// writePart writes rows without sealing them, and mirrors them.
func (w *writer[K, V]) writePart(part *mirrored, lower frontier.Antichain) error {
	for _, r := range part.rows {
		part.mirror = append(part.mirror, mirror(present, r, w.side.gen))
	}
	return w.addPart(part, lower)
}

func (w *writer[K, V]) addPart(part *mirrored, lower frontier.Antichain) error {
	first := w.side.state() == idle
	if err := w.do(w.side.both, func(a *persist.AtomicWrite) error {
		if err := w.addMirrored(a, part, lower); err != nil {
			return err
		}
		if first {
			return w.addMove(a, w.side.next(open))
		}
		return nil
	}); err != nil {
		return err
	}
	if first {
		w.side.moved(w.side.next(open))
	}
	return nil
}

// addMirrored adds rows for the output, and for the side stream. The write expects the
// upper of the output.
func (w *writer[K, V]) addMirrored(a *persist.AtomicWrite, part *mirrored, upper frontier.Antichain) error {
	return errors.Join(
		persist.AddExpectUpper(a, w.write, upper),
		persist.AddRows(a, w.write, part.rows),
		persist.AddRows(a, w.side.write, part.mirror),
	)
}

// writeLastPart writes the rest, and seals all parts. After that nothing is to be taken
// back.
func (l *large[K, V]) writeLastPart(part *mirrored, lower, upper frontier.Antichain) error {
	since := l.batch.Since
	if err := l.do(l.side.both, func(a *persist.AtomicWrite) error {
		return errors.Join(
			persist.AddCompareAndAppend(a, l.Sink.write, nil, lower, upper),
			persist.AddRows(a, l.Sink.write, part.rows),
			l.addSince(a, since),
			l.addMove(a, l.side.next(sealed)),
		)
	}); err != nil {
		return err
	}
	l.side.moved(l.side.next(sealed))
	l.wrote(upper, since)
	return l.clear(false)
}
