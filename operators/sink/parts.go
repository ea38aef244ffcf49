package sink

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// The states of a side stream: the remainder of its upper, by four.
const (
	idle       = 0
	open       = 1
	sealed     = 2
	takingBack = 3
)

// side is the side stream of an output, which mirrors what parts have left unsealed
// there: see docs/parts.md.
type side struct {
	write *persist.WriteHandle[[]byte, []byte]
	read  *persist.ReadHandle[[]byte, []byte]
	both  *persist.MultiWriteHandle // of the output and this one
	gen   uint64                    // its upper
	since frontier.Antichain
}

func (s *side) state() uint64 { return s.gen % 4 }

// next returns the next generation of a state.
func (s *side) next(state uint64) uint64 {
	gen := s.gen + 1
	for gen%4 != state {
		gen++
	}
	return gen
}

const maxNameBytes = 1024

// sideName returns the name of the side stream of an output.
func sideName(output string) string {
	if name := "tidemark/parts/" + output; len(name) <= maxNameBytes && utf8.ValidString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(output))
	return "tidemark/parts#" + hex.EncodeToString(sum[:])
}

// openSide opens the side stream, and makes it if it is new.
func (w *writer[K, V]) openSide() error {
	if w.side != nil {
		return nil
	}
	name := sideName(w.write.StreamName())
	var write *persist.WriteHandle[[]byte, []byte]
	var read *persist.ReadHandle[[]byte, []byte]
	if err := w.insist(func() (err error) {
		write, read, err = persist.CreateOrLoad(w.ctx, w.write.Client(), name, codec.Bytes, codec.Bytes)
		return err
	}); err != nil {
		return w.sideError(err)
	}
	at, err := write.Description(w.ctx)
	if err != nil {
		return w.sideError(err)
	}
	gen, ok := at.Upper.Elem()
	if !ok {
		return w.sideError(&persist.StreamError{Stream: name, Kind: persist.ErrInvalid, Detail: "somebody has finished it: no batch can be written in parts any more"})
	}
	both, err := persist.NewMultiWriteHandle(w.write, write)
	if err != nil {
		return err
	}
	w.side = &side{write: write, read: read, both: both, gen: gen, since: at.Since}
	return nil
}

func (w *writer[K, V]) sideError(err error) error {
	return fmt.Errorf("tidemark: sink of stream %q: the stream for parts of batches: %w", w.write.StreamName(), err)
}

// lookForSide says whether the output has a side stream.
func (s *Sink[K, V]) lookForSide() (bool, error) {
	_, err := s.write.Client().Description(s.ctx, sideName(s.write.StreamName()))
	if errors.Is(err, persist.ErrUnknownStream) || errors.Is(err, persist.ErrDestroyed) {
		return false, nil
	}
	return err == nil, err
}

// recoverParts finishes what a killed run has left, if anything.
func (w *writer[K, V]) recoverParts() error {
	if !w.hasSide {
		return nil
	}
	if err := w.openSide(); err != nil {
		return err
	}
	switch w.side.state() {
	case idle:
		return nil
	case sealed:
		if err := w.move(sealed); err != nil {
			return err
		}
		return w.clear(false)
	}
	if err := w.move(takingBack); err != nil {
		return err
	}
	return w.clear(true)
}

// move brings the side stream to the next generation of a state, which is then this
// sink's.
func (w *writer[K, V]) move(state uint64) error {
	gen := w.side.next(state)
	if err := w.do(w.side.both, func(a *persist.AtomicWrite) error {
		if err := w.expect(a); err != nil {
			return err
		}
		return w.addMove(a, gen)
	}); err != nil {
		return err
	}
	w.side.moved(gen)
	return nil
}

func (w *writer[K, V]) addMove(a *persist.AtomicWrite, gen uint64) error {
	if err := persist.AddSeal(a, w.side.write, gen); err != nil {
		return err
	}
	if since := frontier.At(gen); w.side.since.LessThan(since) {
		return persist.AddAllowCompaction(a, w.side.write, since)
	}
	return nil
}

func (s *side) moved(gen uint64) {
	s.gen = gen
	s.since = s.since.Join(frontier.At(gen))
}

// expect makes a command fail if the side stream is not this sink's any more.
func (w *writer[K, V]) expect(a *persist.AtomicWrite) error {
	return persist.AddExpectUpper(a, w.side.write, frontier.At(w.side.gen))
}

// mirrored are rows of a part, and what stands for them in the side stream.
type mirrored struct {
	rows, mirror []persist.Row
	bytes        int64
}

func (m *mirrored) reset() { *m = mirrored{rows: m.rows[:0], mirror: m.mirror[:0]} }

// mirror returns the row of the side stream that stands for one of the output.
func mirror(r persist.Row, gen uint64, diff int64) persist.Row {
	val := make([]byte, 0, 16+len(r.Val))
	val = binary.BigEndian.AppendUint64(val, r.Time)
	val = binary.BigEndian.AppendUint64(val, uint64(r.Diff))
	return persist.Row{Key: r.Key, Val: append(val, r.Val...), Time: gen, Diff: diff}
}

// unmirror is the reverse of mirror.
func unmirror(key, val []byte) (persist.Row, error) {
	if len(val) < 16 {
		return persist.Row{}, fmt.Errorf("%w: a row with a value of %d bytes", storage.ErrCorrupt, len(val))
	}
	return persist.Row{
		Key: key, Val: val[16:], Time: binary.BigEndian.Uint64(val), Diff: int64(binary.BigEndian.Uint64(val[8:])),
	}, nil
}

// writeParts writes the updates of one time and seals them, [lower, upper), in parts.
func (l *large[K, V]) writeParts(updates []int32, lower, upper frontier.Antichain) error {
	if err := l.openSide(); err != nil {
		return err
	}
	if l.side.state() != idle {
		return l.explain(&persist.UpperMismatchError{
			Stream: l.side.write.StreamName(), Expected: frontier.At(l.side.next(idle)), Upper: frontier.At(l.side.gen),
		})
	}
	// The last part is not mirrored, so it is the one for which there is most room.
	largest := 0
	for i := range updates {
		if l.sizes[updates[i]] > l.sizes[updates[largest]] {
			largest = i
		}
	}
	last := len(updates) - 1
	updates[largest], updates[last] = updates[last], updates[largest]

	var part mirrored
	for _, i := range updates {
		if part.bytes > 0 && part.bytes+int64(l.sizes[i]) > l.partBytes() {
			if err := l.writePart(&part, lower); err != nil {
				return err
			}
			part.reset()
		}
		row, _, err := l.encode(make([]byte, 0, l.sizes[i]), &l.batch.Updates[i])
		if err != nil {
			return err
		}
		part.rows = append(part.rows, row)
		part.bytes += int64(l.sizes[i])
	}
	return l.writeLastPart(&part, lower, upper)
}

// writePart writes rows that are not sealed yet, and mirrors them.
func (w *writer[K, V]) writePart(part *mirrored, lower frontier.Antichain) error {
	for _, r := range part.rows {
		part.mirror = append(part.mirror, mirror(r, w.side.gen, 1))
	}
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

// addMirrored adds rows for the output, whose upper is as expected, and the side stream.
func (w *writer[K, V]) addMirrored(a *persist.AtomicWrite, part *mirrored, upper frontier.Antichain) error {
	return errors.Join(
		w.expect(a),
		persist.AddExpectUpper(a, w.write, upper),
		persist.AddRows(a, w.write, part.rows),
		persist.AddRows(a, w.side.write, part.mirror),
	)
}

// writeLastPart writes the rest and seals all of it; then nothing is to be taken back.
func (l *large[K, V]) writeLastPart(part *mirrored, lower, upper frontier.Antichain) error {
	since := l.batch.Since
	if err := l.do(l.side.both, func(a *persist.AtomicWrite) error {
		return errors.Join(
			l.expect(a),
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

// clear empties the side stream, in bounded commands, and with takeBack retracts what it
// has in the output as well. Then it is idle.
func (w *writer[K, V]) clear(takeBack bool) error {
	snapshot, err := w.side.read.Snapshot(w.ctx)
	if err != nil {
		return w.sideError(err)
	}
	defer func() { _ = snapshot.Close() }() // returns nil, as documented
	var part mirrored
	flush := func() error {
		defer part.reset()
		return w.do(w.side.both, func(a *persist.AtomicWrite) error {
			if takeBack {
				return w.addMirrored(a, &part, w.upper)
			}
			return errors.Join(w.expect(a), persist.AddRows(a, w.side.write, part.mirror))
		})
	}
	for u, err := range snapshot.Consolidated(w.ctx) {
		var row persist.Row
		if err == nil {
			row, err = unmirror(u.Key, u.Val)
		}
		if err == nil && u.Diff < 0 {
			err = fmt.Errorf("%w: row of time %d is there %d times", storage.ErrCorrupt, row.Time, u.Diff)
		}
		if err != nil {
			return w.sideError(err)
		}
		if takeBack && !w.upper.Admits(row.Time) {
			return fmt.Errorf("tidemark: sink of stream %q: %w: a run that was killed has left parts of a batch at time %d, and another writer has sealed the stream to %s, so that they cannot be taken back: they are listed in stream %q, see docs/parts.md",
				w.write.StreamName(), persist.ErrSealed, row.Time, w.upper, w.side.write.StreamName())
		}
		for range u.Diff {
			part.rows = appendRetraction(part.rows, row)
			part.mirror = append(part.mirror, persist.Row{Key: u.Key, Val: u.Val, Time: w.side.gen, Diff: -1})
			part.bytes += int64(rowOverhead + len(u.Key) + len(u.Val))
			if part.bytes >= w.partBytes() {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if len(part.mirror) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	return w.move(idle)
}

// appendRetraction appends what undoes a row. The least of all diffs has no opposite.
func appendRetraction(rows []persist.Row, r persist.Row) []persist.Row {
	if r.Diff == math.MinInt64 {
		rows = append(rows, persist.Row{Key: r.Key, Val: r.Val, Time: r.Time, Diff: 1})
		r.Diff++
	}
	r.Diff = -r.Diff
	return append(rows, r)
}
