package indexed

import (
	"slices"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// foldUnsealed makes m a merge of neighbours in which enough rows may be equal to other
// rows. A row that may cancel takes at most one other row with it. So a limit of a quarter
// keeps what is stored below twice what is live, and new rows pay for the old ones that are
// written again.
//
// Two kinds of rows count. The since makes the first equal, as in the trace. The others
// have a time that an earlier batch has too, and a negative diff. A positive diff at such a
// time counts as new: otherwise a table that is loaded at one time would be written again
// and again in vain. If positive rows are equal after all, a merge by level finds that, or
// Maintain, which looks (candidate.all).
func (c *candidate) foldUnsealed(m *merge) *merge {
	list := c.set.unsealed
	for i, b := range list {
		if b.newest >= c.limit {
			list = list[:i]
			break
		}
	}
	// First count what folds at least, by what is known. This number only grows as more is
	// known. So an opening that has read nothing yet does not merge what the last opening
	// left alone.
	if first, run := foldable(m, list, c.all, false).best(); run != nil {
		if first > 0 {
			m.maxLevel = list[first-1].level
		}
		return m.last(run)
	}
	// Then count what may fold at most. If that is enough, it is worth it to read a batch
	// of which nothing is known.
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
	// all says that rows with a positive diff count too.
	all bool
	// optimistic says that an unknown batch counts as the best that it may be.
	optimistic bool
	unknown    []int // batches whose times are not known

	list    []*batch
	times   map[uint64]int // the last batch so far that has the time
	settled int            // the last batch so far with a row that the since makes equal; -1: none
	rows    []int64        // rows of the batch that is added, by the last batch with rows equal to them
	pairs   []foldablePair
}

// foldablePair says how many bytes of a batch fold in a merge that reaches back to another
// batch: with is the last batch with rows equal to these.
type foldablePair struct {
	batch, with int
	bytes       int64
}

// foldable counts what may fold in a list of unsealed batches.
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
	// A run that reaches back to an early batch also has all nearer ones. So partners are
	// counted from the nearest on, and never for more rows than the batch has.
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
	beyond, _ := o.merge.since.Elem() // times after it stay apart
	if !o.merge.claims || b.minTime > beyond {
		return
	}
	live := b.atMost(beyond).minus(b.before(o.merge.lower)) // mergeUnsealed has learnt what is before lower
	switch {
	case !b.guessed(beyond): // exact, or from a sample
	case o.optimistic:
		live = count{b.rows, b.foldable}
	default: // count the row with the least time, guess no more: a merge in vain costs more than a look
		//museum:guess-for-knowledge
		live = count{rows: 1}
	}
	if live.rows == 0 {
		return
	}
	own := live.folds
	if b.minTime == beyond { // equal rows of one time are the pieces of a large sum: see splitSum
		own = 0
	}
	o.rows[i] += own
	if o.settled >= 0 {
		o.rows[o.settled] += live.rows - own
	}
	o.settled = i
}

// lastWith returns the last batch so far that has, or may have, a time; -1 if none.
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

// best returns the neighbours whose merge is worth most, and the place of the first of
// them; nil if no merge is worth it. It looks at all runs: a good run may be part of a
// longer one that is not worth it.
func (o *overlap) best() (first int, run []*batch) {
	bytes := make([]int64, len(o.list)) // of each batch: what folds in a run that begins at from
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
			// A single batch is written again for a quarter of it. Neighbours need more
			// than a quarter. Otherwise batches whose rows equal those of others would be
			// merged again and again.
			more := 4*folds - size
			if folds > 0 && more > surplus && (more > 0 || to == from) {
				surplus, first, run = more, from, o.list[from:to+1]
			}
		}
	}
	return first, run
}

// points returns what is known of the times of a batch; nil if nothing is.
func (b *batch) points() []part.SpreadPoint {
	if s := b.times.Load(); s != nil {
		return s.Points
	}
	if b.minTime == b.maxTime {
		return []part.SpreadPoint{{First: b.minTime, Last: b.maxTime, Rows: 1}}
	}
	return nil
}

// scaled returns how many rows of the batch stand for so many rows of the sample.
func (b *batch) scaled(rows uint32) int64 {
	total := uint32(1)
	if s := b.times.Load(); s != nil {
		total = s.Total()
	}
	return int64(uint64(rows) * uint64(b.rows) / uint64(total))
}
