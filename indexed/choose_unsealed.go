package indexed

import (
	"slices"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// foldUnsealed makes m a merge of neighbours in which enough rows may be equal to others.
// Each row that may cancel takes at most one other one with it, so a quarter of them keeps
// what is stored below twice what is live; and who is written again is paid for by those
// that came since. These are rows that the since makes equal, as in the trace, and those
// with a time that an earlier batch has as well. Of the latter only negative ones count,
// or a table that is loaded at one time would be written again and again in vain; that
// positive ones are written twice is found out by merges by level, or for Maintain.
func (c *candidate) foldUnsealed(m *merge) *merge {
	list := c.set.unsealed
	for i, b := range list {
		if b.newest >= c.limit {
			list = list[:i]
			break
		}
	}
	// What there is at least by what is known. It only grows with what is known, so that an
	// opening which has read nothing yet does not merge what the one before has left.
	if first, run := foldable(m, list, c.all, false).best(); run != nil {
		if first > 0 {
			m.maxLevel = list[first-1].level
		}
		return m.last(run)
	}
	// What there may be at most: whether it is worth it to read what is not known.
	if !slices.ContainsFunc(list, (*batch).unknown) {
		return nil
	}
	_, run := foldable(m, list, c.all, true).best()
	if i := slices.IndexFunc(run, (*batch).unknown); i >= 0 {
		return c.learn(run[i])
	}
	return nil
}

// overlap counts the rows of each batch that may be equal to a row of an earlier batch, or
// of the same one.
type overlap struct {
	merge *merge
	// all: rows with a positive diff count as well.
	all bool
	// optimistic: what is not known of a batch may be anything.
	optimistic bool
	unknown    []int // batches

	list    []*batch
	times   map[uint64]int // the last batch so far that has it
	settled int            // the last batch so far with a row that the since makes equal; -1: none
	rows    []int64        // of the batch that is added, by the last batch with rows equal to them
	pairs   []foldablePair
}

// foldablePair says how many bytes of a batch fold if it is merged with one before it, or
// with one that comes after that: with is the last that has rows equal to these.
type foldablePair struct {
	batch, with int
	bytes       int64
}

// foldable returns what may fold in a list of unsealed batches.
func foldable(m *merge, list []*batch, all, optimistic bool) *overlap {
	o := &overlap{merge: m, list: list, all: all, optimistic: optimistic, times: make(map[uint64]int), settled: -1}
	for i := range list {
		o.rows = append(o.rows, 0)
		o.add(i)
	}
	return o
}

// add adds batch i of the list.
func (o *overlap) add(i int) {
	b := o.list[i]
	if b.rows == 0 {
		return
	}
	clear(o.rows)
	o.addSettled(i)
	known := b.points()
	if known == nil && o.optimistic {
		o.unknown = append(o.unknown, i)
	}
	beyond, _ := o.merge.since.Elem()
	var before part.SpreadPoint
	for _, p := range known {
		n := p.Negative - before.Negative
		if o.all {
			n = p.Rows - before.Rows
		}
		before = p
		if p.First != p.Last || !o.merge.lower.Admits(p.First) || o.merge.claims && p.First <= beyond {
			continue
		}
		if with := o.lastWith(p.First); with >= 0 && n > 0 {
			o.rows[with] += b.scaled(n)
		}
		o.times[p.First] = i
	}
	// What folds with a nearer batch folds in more of the runs: of more than there are it counts.
	rows, bytes := int64(0), int64(0)
	for with := i; with >= 0; with-- {
		rows = min(rows+o.rows[with], b.rows)
		if more := b.bytesOf(rows) - bytes; more > 0 {
			o.pairs = append(o.pairs, foldablePair{i, with, more})
			bytes += more
		}
	}
}

// addSettled adds the rows of batch i that the since makes equal to others.
func (o *overlap) addSettled(i int) {
	b := o.list[i]
	beyond, _ := o.merge.since.Elem() // times from here on are told apart
	if !o.merge.claims || b.minTime > beyond {
		return
	}
	live := b.atMost(beyond).minus(b.before(o.merge.lower)) // what is before lower was learnt by now
	switch {
	case !b.guessed(beyond): // exact, or from a sample
	case o.optimistic:
		live = count{b.rows, b.foldable}
	default: // the row with the least time; no guess: a merge in vain costs more than a look
		//museum:guess-for-knowledge
		live = count{rows: 1}
	}
	if live.rows == 0 {
		return
	}
	own := live.folds
	if b.minTime == beyond { // then equal rows are the pieces of a sum: see splitSum
		own = 0
	}
	o.rows[i] += own
	if o.settled >= 0 {
		o.rows[o.settled] += live.rows - own
	}
	o.settled = i
}

// lastWith returns the last batch so far that has a time, or may have it; -1 if none has.
func (o *overlap) lastWith(t uint64) int {
	last, ok := o.times[t]
	if !ok {
		last = -1
	}
	for _, i := range o.unknown {
		if b := o.list[i]; i > last && b.minTime <= t && t <= b.maxTime {
			last = i
		}
	}
	return last
}

// best returns the neighbours whose merge is most worth it, and the place of the first of
// them; nil if no merge is. It looks at all runs, since one that is worth it may lie in a
// longer one that is not.
func (o *overlap) best() (first int, run []*batch) {
	bytes := make([]int64, len(o.list)) // of each batch that folds with those from first on
	surplus := int64(-1)
	byPartner := make([][]foldablePair, len(o.list))
	for _, p := range o.pairs {
		byPartner[p.with] = append(byPartner[p.with], p)
	}
	for from := len(o.list) - 1; from >= 0; from-- {
		for _, p := range byPartner[from] {
			bytes[p.batch] += p.bytes
		}
		folds, size := int64(0), int64(0)
		//museum:diluted
		for to := from; to < len(o.list); to++ {
			folds += bytes[to]
			size += o.list[to].memBytes()
			// A batch is written again for a quarter of it, neighbours for more than that: or
			// those whose equal rows turn out to be others' would be merged again and again.
			more := 4*folds - size
			if folds > 0 && more > surplus && (more > 0 || to == from) {
				surplus, first, run = more, from, o.list[from:to+1]
			}
		}
	}
	return first, run
}

// points returns what is known of the times of a batch; nil: nothing.
func (b *batch) points() []part.SpreadPoint {
	if s := b.times.Load(); s != nil {
		return s.Points
	}
	if b.minTime == b.maxTime {
		return []part.SpreadPoint{{First: b.minTime, Last: b.maxTime, Rows: 1}}
	}
	return nil
}

// scaled returns how many rows of the batch so many of the sample stand for.
func (b *batch) scaled(rows uint32) int64 {
	total := uint32(1)
	if s := b.times.Load(); s != nil {
		total = s.Total()
	}
	return int64(uint64(rows) * uint64(b.rows) / uint64(total))
}
