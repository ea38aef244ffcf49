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
	if err := w.do(w.side.both, func(a *persist.AtomicWrite) error { return w.addMove(a, gen) }); err != nil {
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

// newChain returns a chain of commands that fail if parts are on their way that are not
// this sink's. Without one nobody has, the side stream is not there, or at {0}.
func (w *writer[K, V]) newChain() (c persist.Chain) {
	gen := uint64(0)
	if w.side != nil {
		gen = w.side.gen
	}
	c.ExpectUpperOf(w.sideName, frontier.At(gen))
	return c
}

// mirrored are rows of a part, and what stands for them in the side stream.
type mirrored struct {
	rows, mirror []persist.Row
	bytes        int64 // of the rows, or of what stands for them alone
}

func (m *mirrored) reset() { *m = mirrored{rows: m.rows[:0], mirror: m.mirror[:0]} }

// mirrorKind is what a row of the side stream says of the output.
type mirrorKind int

const (
	present   mirrorKind = iota // this row is there
	announced                   // it is there as often as it has arrived
	arrived                     // the announced row with this sum is there
)

// mirror returns the row of the side stream that says so of a row of the output: see
// docs/parts.md.
func mirror(kind mirrorKind, r persist.Row, gen uint64) persist.Row {
	val := make([]byte, 0, 24+max(len(r.Val), sha256.Size))
	val = binary.BigEndian.AppendUint64(val, r.Time)
	if kind != present {
		val = binary.BigEndian.AppendUint64(val, 0) // which no row has as its diff
	}
	if kind == arrived {
		val = binary.BigEndian.AppendUint64(val, 0)
		return persist.Row{Val: append(val, sumOf(r)...), Time: gen, Diff: 1}
	}
	val = binary.BigEndian.AppendUint64(val, uint64(r.Diff))
	return persist.Row{Key: r.Key, Val: append(val, r.Val...), Time: gen, Diff: 1}
}

// unmirror is the reverse of mirror. The value of a row that has arrived is its sum.
func unmirror(key, val []byte) (r persist.Row, kind mirrorKind, err error) {
	next := func() (v uint64) {
		if len(val) < 8 {
			err = fmt.Errorf("%w: a row with a value of %d bytes", storage.ErrCorrupt, len(val))
			return 0
		}
		v, val = binary.BigEndian.Uint64(val), val[8:]
		return v
	}
	r.Time = next()
	if r.Diff = int64(next()); r.Diff == 0 && err == nil {
		kind = announced
		if r.Diff = int64(next()); r.Diff == 0 {
			kind = arrived
		}
	}
	r.Key, r.Val = key, val
	return r, kind, err
}

// sumOf tells announced rows apart.
func sumOf(r persist.Row) []byte {
	h := sha256.New()
	var head [24]byte
	binary.BigEndian.PutUint64(head[:], uint64(len(r.Key)))
	binary.BigEndian.PutUint64(head[8:], r.Time)
	binary.BigEndian.PutUint64(head[16:], uint64(r.Diff))
	for _, b := range [][]byte{head[:], r.Key, r.Val} {
		h.Write(b) // never fails, as documented
	}
	return h.Sum(nil)
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

// mirrorOverhead is what a row takes more in the side stream.
const mirrorOverhead = 16

// writeAlone writes a row that fits into a command, but not twice: what stands for it in
// the side stream goes first, and then it says whether it has arrived.
func (w *writer[K, V]) writeAlone(part *mirrored, lower frontier.Antichain) error {
	r := part.rows[0]
	part.rows, part.mirror = nil, []persist.Row{mirror(announced, r, w.side.gen)}
	if err := w.addPart(part, lower); err != nil {
		return err
	}
	part.rows, part.mirror = []persist.Row{r}, []persist.Row{mirror(arrived, r, w.side.gen)}
	return w.addPart(part, lower)
}

// writePart writes rows that are not sealed yet, and mirrors them.
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

// addMirrored adds rows for the output, whose upper is as expected, and the side stream.
func (w *writer[K, V]) addMirrored(a *persist.AtomicWrite, part *mirrored, upper frontier.Antichain) error {
	return errors.Join(
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
	c := clearing[K, V]{writer: w, takeBack: takeBack, arrived: make(map[string]int64)}
	for u, err := range snapshot.Consolidated(w.ctx) {
		if err != nil {
			return w.sideError(err)
		}
		if err := c.add(persist.Row{Key: u.Key, Val: u.Val, Time: w.side.gen, Diff: -1}, u.Diff); err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	return w.move(idle)
}

// clearing is a side stream that is being emptied.
type clearing[K, V any] struct {
	*writer[K, V]
	takeBack bool
	part     mirrored
	arrived  map[string]int64 // of announced rows, by their sums
	rest     bool             // all that have arrived were met
}

// add takes a row of the side stream, by its retraction, that is there n times. All of one
// batch have one time, so those that have arrived come before all others in the order of
// the snapshot: their key is empty, and there is no diff in their value.
func (c *clearing[K, V]) add(retracted persist.Row, n int64) error {
	row, kind, err := unmirror(retracted.Key, retracted.Val)
	switch {
	case err != nil:
	case n < 0:
		err = fmt.Errorf("%w: row of time %d is there %d times", storage.ErrCorrupt, row.Time, n)
	case kind == arrived && c.rest:
		err = fmt.Errorf("%w: a row of time %d has arrived that comes after others", storage.ErrCorrupt, row.Time)
	}
	if err != nil {
		return c.sideError(err)
	}
	if c.takeBack && !c.upper.Admits(row.Time) {
		return fmt.Errorf("tidemark: sink of stream %q: %w: a run that was killed has left parts of a batch at time %d, and another writer has sealed the stream to %s, so that they cannot be taken back: they are listed in stream %q, see docs/parts.md",
			c.write.StreamName(), persist.ErrSealed, row.Time, c.upper, c.side.write.StreamName())
	}
	c.rest = kind != arrived
	size := int64(rowOverhead + len(retracted.Key) + len(retracted.Val))
	switch {
	case c.takeBack && kind == arrived:
		c.arrived[string(row.Val)] = n // it goes with the row that it tells of
		return nil
	case c.takeBack && kind == announced:
		told := mirror(arrived, row, c.side.gen)
		told.Diff = -1
		sum := string(sumOf(row))
		for ; c.arrived[sum] > 0; c.arrived[sum]-- {
			if err := c.retract(appendRetraction(nil, row), told, size); err != nil {
				return err
			}
		}
	}
	for range n {
		var rows []persist.Row
		if c.takeBack && kind == present {
			rows = appendRetraction(nil, row)
		}
		if err := c.retract(rows, retracted, size); err != nil {
			return err
		}
	}
	return nil
}

// retract adds retractions in the output, and one in the side stream, to what is written
// together.
func (c *clearing[K, V]) retract(rows []persist.Row, side persist.Row, size int64) error {
	if c.part.bytes > 0 && c.part.bytes+size > c.partBytes() {
		if err := c.flush(); err != nil {
			return err
		}
	}
	c.part.rows = append(c.part.rows, rows...)
	c.part.mirror = append(c.part.mirror, side)
	c.part.bytes += size
	return nil
}

func (c *clearing[K, V]) flush() error {
	if len(c.part.mirror) == 0 {
		return nil
	}
	defer c.part.reset()
	return c.do(c.side.both, func(a *persist.AtomicWrite) error {
		if c.takeBack {
			return c.addMirrored(a, &c.part, c.upper)
		}
		return persist.AddRows(a, c.side.write, c.part.mirror)
	})
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
