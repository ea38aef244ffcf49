package indexed

import "slices"

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
	if c.all {
		if m := c.foldNeighbours(m, list, true); m != nil {
			return m
		}
		// More rows count in longer runs, so that a shorter one may be worth it alone.
	}
	return c.foldNeighbours(m, list, false)
}

// foldNeighbours is foldUnsealed for batches that may be merged. If all, rows with a
// positive diff count as well.
func (c *candidate) foldNeighbours(m *merge, list []*batch, all bool) *merge {
	// What there is at least by what is known, and at most.
	least, most := newOverlap(m, list, all), newOverlap(m, list, all)
	most.optimistic = true
	for i := range list {
		least.add(i)
		most.add(i)
	}
	if run := least.run(); run != nil {
		if first := slices.Index(list, run[0]); first > 0 {
			m.maxLevel = list[first-1].level
		}
		return m.last(run)
	}
	if run := most.run(); run != nil {
		for _, b := range run {
			if b.minTime < b.maxTime && b.times.Load() == nil {
				return c.learn(b)
			}
		}
	}
	return nil
}

// overlap counts the bytes of rows that may be equal to a row of an earlier batch, or of
// the same one.
type overlap struct {
	merge *merge
	// all: rows with a positive diff count as well.
	all bool
	// optimistic: what is not known of a batch may be anything.
	optimistic bool
	unknown    []int // batches

	list        []*batch
	times       map[uint64]int // of earlier batches: the first that has it
	settled     int            // the first batch with a row that the since makes equal; -1: none
	first, last int            // batches that take part; -1: none
	bytes       int64
}

func newOverlap(m *merge, list []*batch, all bool) *overlap {
	return &overlap{merge: m, list: list, all: all, times: make(map[uint64]int), settled: -1, first: -1}
}

// add adds batch i of the list.
func (o *overlap) add(i int) {
	b := o.list[i]
	if b.rows == 0 {
		return
	}
	known := b.times.Load() != nil || b.minTime == b.maxTime
	rows, since := int64(0), o.merge.since
	beyond, _ := since.Elem() // times from here on are told apart
	if o.merge.claims && b.minTime <= beyond {
		dead := b.before(o.merge.lower)
		live := b.atMost(beyond).minus(dead)
		switch {
		case known || b.maxTime <= beyond: // exact, or from a sample
		case o.optimistic:
			live = count{b.rows, b.foldable}
		default: // the row with the least time; no guess: a merge in vain costs more than a look
			live = count{rows: 1}
		}
		switch {
		case live.rows == 0:
		case o.settled < 0:
			o.settled = i
			if b.minTime < beyond { // otherwise equal rows are the pieces of a sum: see splitSum
				o.takesPart(i, live.folds > 0)
				rows += live.folds
			}
		default:
			o.takesPart(o.settled, true)
			o.takesPart(i, true)
			rows += live.rows
		}
	}
	if !known && o.optimistic {
		o.unknown = append(o.unknown, i)
	}
	var before spreadPoint
	for _, p := range b.points() {
		n := p.negative - before.negative
		if o.all {
			n = p.rows - before.rows
		}
		before = p
		if p.first != p.last || !o.merge.lower.Admits(p.first) || o.merge.claims && p.first <= beyond {
			continue
		}
		at, ok := o.times[p.first]
		if !ok {
			if at, ok = o.inUnknown(p.first); !ok {
				o.times[p.first] = i
				continue
			}
		}
		if n > 0 {
			o.takesPart(at, true)
			o.takesPart(i, true)
			rows += b.scaled(n)
		}
	}
	o.bytes += b.bytesOf(min(rows, b.rows))
}

// inUnknown returns an earlier batch that may have a time, if that is not known.
func (o *overlap) inUnknown(t uint64) (i int, ok bool) {
	for _, i := range o.unknown {
		if b := o.list[i]; b.minTime <= t && t <= b.maxTime {
			return i, true
		}
	}
	return 0, false
}

func (o *overlap) takesPart(i int, does bool) {
	if !does {
		return
	}
	if o.first < 0 {
		o.first, o.last = i, i
	}
	o.first, o.last = min(o.first, i), max(o.last, i)
}

// run returns the neighbours to be merged, if they are worth it.
func (o *overlap) run() []*batch {
	if o.first < 0 {
		return nil
	}
	run := o.list[o.first : o.last+1]
	if size := sizeInMemory(run); 4*o.bytes < size || len(run) > 1 && 4*o.bytes == size {
		return nil
	}
	return run
}

// points returns what is known of the times of a batch.
func (b *batch) points() []spreadPoint {
	if s := b.times.Load(); s != nil {
		return s.points
	}
	if b.minTime == b.maxTime {
		return []spreadPoint{{first: b.minTime, last: b.maxTime, rows: 1}}
	}
	return nil
}

// scaled returns how many rows of the batch so many of the sample stand for.
func (b *batch) scaled(rows uint32) int64 {
	total := uint32(1)
	if s := b.times.Load(); s != nil {
		total = s.total()
	}
	return int64(uint64(rows) * uint64(b.rows) / uint64(total))
}
