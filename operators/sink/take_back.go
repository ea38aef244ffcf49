package sink

import (
	"fmt"
	"math"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// recoverParts finishes what a killed run has left, if anything.
func (w *writer[K, V]) recoverParts() error {
	//museum:parts-left
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

// clear empties the side stream, in bounded commands. With takeBack it also retracts in the
// output what the side stream mirrors. Then the side stream is idle.
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
	arrived  map[string]int64 // how often announced rows have arrived, by their sums
	rest     bool             // an announced row was met
}

// add takes a row that the side stream has n times, as its retraction. All rows of one
// batch have one time. So in the order of the snapshot, the arrived rows come before the
// announced ones: the key of an arrived row is empty, and where the announced row has its
// diff, the arrived one has zeros.
func (c *clearing[K, V]) add(retracted persist.Row, n int64) error {
	row, kind, err := unmirror(retracted.Key, retracted.Val)
	switch {
	case err != nil:
	case n < 0:
		err = fmt.Errorf("%w: row of time %d is there %d times", storage.ErrCorrupt, row.Time, n)
	case kind == arrived && c.rest:
		err = fmt.Errorf("%w: a row of time %d has arrived that comes after an announced one", storage.ErrCorrupt, row.Time)
	}
	if err != nil {
		return c.sideError(err)
	}
	if c.takeBack && !c.upper.Admits(row.Time) {
		return fmt.Errorf("tidemark: sink of stream %q: %w: a run that was killed has left parts of a batch at time %d, and another writer has sealed the stream to %s, so that they cannot be taken back: they are listed in stream %q, see docs/parts.md",
			c.write.StreamName(), persist.ErrSealed, row.Time, c.upper, c.side.write.StreamName())
	}
	c.rest = c.rest || kind == announced
	size := int64(rowOverhead + len(retracted.Key) + len(retracted.Val))
	switch {
	case c.takeBack && kind == arrived:
		c.arrived[string(row.Val)] = n // it is retracted together with the announced row
		return nil
	case c.takeBack && kind == announced:
		told := mirror(arrived, row, c.side.gen)
		told.Diff = -1
		sum := string(sumOf(row))
		//museum:announced-for-written
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

// retract adds retractions in the output, and one retraction in the side stream. One
// command writes them together.
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

// appendRetraction appends what undoes a row. A diff of math.MinInt64 has no negation, so
// it takes two rows.
func appendRetraction(rows []persist.Row, r persist.Row) []persist.Row {
	if r.Diff == math.MinInt64 {
		rows = append(rows, persist.Row{Key: r.Key, Val: r.Val, Time: r.Time, Diff: 1})
		r.Diff++
	}
	r.Diff = -r.Diff
	return append(rows, r)
}
