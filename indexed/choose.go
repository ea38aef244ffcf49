package indexed

import (
	"cmp"
	"math"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// This file chooses which batches are merged. choose_unsealed.go has the choice by equal
// times, choose_reads.go the choice for reads by key; merge.go and move.go do the work.
//
// # Levels
//
// Levels keep few batches at the price of few rewrites. A flush or a move writes a batch of
// level 0. The first mergeWidth (16) neighbours of one level, the lowest that has so many,
// are merged into one. Its level is one more, if it is larger than each of its inputs.
//
//	oldest                                            newest
//	 2 2   1 1 1 1 1   0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
//	                   \____________ 16 _____________/
//	 2 2   1 1 1 1 1   1
//
// So n flushed batches give about log16(n) levels. A row is rewritten once for each level,
// and at most 15 batches of each level stay. The lowest level goes first: when merges cannot
// keep up, it removes the most batches for the fewest bytes.
//
// INVARIANT: levels do not grow from one batch to the next (maxLevel). A batch of a low
// level between two of a higher level would never find 16 neighbours.
//
// # What the since lets fold
//
// Times before the since read as the since. So rows of equal key and value at or before it
// become one row in a merge: their diffs are added up, and a sum of zero disappears. Only
// this frees the space of what was deleted or overwritten. Merges by level do it too, but a
// batch of a high level waits long for its next merge. So folding has rules of its own:
//
//	trace   | B: oldest | R: those after it, wholly before the since |  later batches
//	        |     b     |                      r                     |
//	                                                           since ^
//
// B and R are merged when 3r + 4f > b, in bytes of memory, where f are the rows of B that
// can fold by themselves; of more than 16 batches the last 16.
//
// # Why that is at most twice what is live
//
// Suppose that the rule does not hold: 3r + 4f <= b. B and R take b+r. A row of R can cancel
// one row of B, which has the same key and value and so the same size. Then both are
// garbage. A row of B that can fold by itself does the same. In the worst case all of them
// do:
//
//	live    = b - r - 2f
//	stored  = b + r  =  2 live + (3r + 4f - b)  <=  2 live
//
// The other rules use a quarter, for the same reason. Each row that can fold takes at most
// one other row with it. While less than a quarter s/4 of s bytes can fold, live is more
// than s - 2 s/4 = s/2, so stored is less than twice live. This holds for
//
//  - a single batch before the since that was never advanced to it: it is rewritten once a
//    quarter of its rows is foldable;
//  - the batch in which the since lies (foldPart): it is folded in part once what can fold
//    there, after the oldest batch and in that batch is a quarter of the whole trace. A
//    batch of long intervals, or with a row far away, may never be before the since as a
//    whole;
//  - unsealed batches (foldUnsealed).
//
// What is after the since counts as live. The bounds hold when merges keep up: one for the
// trace, one for the unsealed batches.
//
// # How a choice is made
//
// A choice looks at many batches, without state.mu. So it uses a copy of what was true a
// moment ago. takeMerge compares that with the state, and an overtaken choice is made again.

// candidate is what a choice knows about a stream.
type candidate struct {
	stream   *stream
	set      *batchSet
	since    frontier.Antichain
	upper    frontier.Antichain
	movable  frontier.Antichain // everything before it is in batches
	claimed  bool               // a flush or another merge holds stream.moving
	forced   frontier.Antichain // sealed times before it are moved even if that is not worth it
	inRounds int64              // bytes; rounds do the moves that read no more than this
	limit    uint64             // see mergeScope
	visits   int64              // of reads by key: see mergeForReads
	all      bool               // count also rows of which only a merge can tell whether they fold
}

// idleMerge is the state of a stream in which there was nothing to merge. Most streams are
// in such a state most of the time, and the choice skips them.
type idleMerge struct {
	set                   *batchSet
	since, upper, movable frontier.Antichain
	wakes                 int64 // how often visits have woken the merge goroutine
}

func (c *candidate) idle() idleMerge {
	return idleMerge{c.set, c.since, c.upper, c.movable, c.visits / visitsWake}
}

func (e *Engine) candidateLocked(s *stream, scope *mergeScope) candidate {
	c := candidate{
		stream: s, set: s.set, since: s.since, upper: s.upper, movable: s.movableLocked(), claimed: s.moving,
		inRounds: e.maintenance.movedInRound, limit: scope.limit, all: scope.uppers != nil,
		visits: s.reads.visits.Load(),
	}
	if upper, ok := scope.uppers[s]; ok {
		c.forced = c.movable.Meet(upper)
	}
	return c
}

// learnShare is how many times cheaper it is to read a row than to merge it.
const learnShare = 8

// planMerge chooses the smallest merge that some stream needs, so that many small batches
// do not wait for one large merge. Merges that only reads have paid for come last. It returns
// nil if there is none. The caller must call
// endMerge.
func (e *Engine) planMerge(scope mergeScope) *merge {
	for {
		var candidates []candidate
		e.st.mu.Lock()
		for _, s := range e.st.streams {
			scope.met.noteLocked(s)
			if s.damage != nil || scope.met[s] != nil {
				continue
			}
			c, idle := e.candidateLocked(s, &scope), s.idle
			if scope.uppers != nil {
				idle = scope.idle[s]
			}
			if idle != c.idle() {
				candidates = append(candidates, c)
			}
		}
		e.st.mu.Unlock()
		slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.stream.id, b.stream.id) })
		var best *merge
		var bestRows int64
		var nothing []*candidate
		for i := range candidates {
			c := &candidates[i]
			m := c.merge()
			if m == nil {
				switch {
				case c.claimed:
				case scope.uppers != nil:
					scope.idle[c.stream] = c.idle()
				default:
					nothing = append(nothing, c)
				}
				continue
			}
			rows := int64(0)
			for _, b := range m.inputs {
				rows += b.rows
			}
			if m.work == workLearn { // it writes nothing, and other choices depend on it
				rows /= learnShare
			}
			// Merges for reads come after all others: they never end while reads go on.
			if best == nil || best.forReads && !m.forReads || best.forReads == m.forReads && rows < bestRows {
				best, bestRows = m, rows
			}
		}
		if m, current := e.takeMerge(best, nothing); current {
			return m
		}
	}
}

// takeMerge takes what a merge needs, and notes the streams with nothing to merge. current
// is false if the stream has changed since the choice.
func (e *Engine) takeMerge(m *merge, nothing []*candidate) (_ *merge, current bool) {
	st := e.st
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, c := range nothing {
		c.stream.idle = c.idle()
	}
	if m == nil {
		return nil, true
	}
	s := m.stream
	if s.destroyed || s.damage != nil || s.set != m.set || m.claims && s.moving {
		return nil, false
	}
	m.id = st.nextBatch
	st.nextBatch++
	if m.forReads {
		s.reads.visits.Store(0)
	}
	s.moving = s.moving || m.claims
	s.set.refs++
	return m, true
}

// merge returns the merge that a stream needs, or nil.
func (c *candidate) merge() *merge {
	if m := c.mergeTrace(); m != nil {
		return m
	}
	if len(c.set.unsealed) > 0 {
		if m := c.move(); m != nil {
			return m
		}
		if m := c.mergeUnsealed(); m != nil {
			return m
		}
	}
	return c.mergeForReads()
}

// mergeTrace returns the first of these that applies (the essay above says why):
//
//  1. the first mergeWidth neighbours of equal level, of the lowest level that has so many;
//  2. the last mergeWidth of the batches that the since lets fold, if 3r + 4f > b;
//  3. a batch that lies wholly before the since, was never advanced to it, and whose foldable
//     rows are a quarter or more;
//  4. a batch that the since lets fold in part: see foldPart.
func (c *candidate) mergeTrace() *merge {
	trace := c.set.trace
	m := &merge{stream: c.stream, set: c.set, since: c.since, maxLevel: math.MaxInt}
	if run := lowestRun(trace, c.limit); run != nil {
		m.inputs = run
		return m
	}
	whole := c.folding()
	//museum:four-times-the-space
	if run := whole; len(run) > 1 && 3*sizeInMemory(run[1:])+4*run[0].bytesOf(run[0].mayFold()) > run[0].memBytes() {
		return m.last(run)
	}
	for i, b := range trace {
		if b.newest < c.limit && b.desc.Upper.LessEqual(c.since) && b.desc.Since.LessThan(b.desc.Upper) && 4*b.foldable >= b.rows && b.foldable > 0 {
			m.inputs = trace[i : i+1]
			return m
		}
	}
	return c.foldPart(m, whole)
}

// foldPart makes m a merge of the batch in which the since lies, together with the batches
// before it, which fold as a whole. It counts the bytes that may fold as a share of the
// whole trace. It does not fold earlier: a since that follows the upper at a distance has
// soon passed the whole batch, and the batch would be written twice.
func (c *candidate) foldPart(m *merge, whole []*batch) *merge {
	since, ok := c.since.Elem()
	n := len(whole)
	//museum:folded-alone
	if !ok || n == len(c.set.trace) || c.set.trace[n].newest >= c.limit {
		return nil
	}
	b, run, size := c.set.trace[n], c.set.trace[:n+1], sizeInMemory(c.set.trace)
	if n == 0 {
		if !b.desc.Since.LessThan(c.since) || b.foldable == 0 || 4*b.bytesOf(b.foldable) < size || b.minTime > since {
			return nil
		}
		if b.guessed(since) {
			return c.learn(b)
		}
		if folds := b.atMost(since).folds; folds > 0 && 4*b.bytesOf(folds) >= size {
			return m.last(run)
		}
		return nil
	}
	//museum:garbage-counted-apart
	before := whole[0].bytesOf(whole[0].mayFold()) + sizeInMemory(whole[1:])
	if b.minTime > since || 4*(before+b.memBytes()) <= size {
		return nil
	}
	//museum:guess-at-the-since
	if b.guessed(since) {
		return c.learn(b)
	}
	if 4*(before+b.bytesOf(b.atMost(since).rows)) > size {
		return m.last(run)
	}
	return nil
}

// last makes m a merge of the last mergeWidth batches of run, which begins its list.
func (m *merge) last(run []*batch) *merge {
	if n := len(run) - mergeWidth; n > 0 {
		run, m.maxLevel = run[n:], run[n-1].level
	}
	m.inputs = run
	return m
}

// learn returns a read of a batch for how its times are distributed.
func (c *candidate) learn(b *batch) *merge {
	return &merge{stream: c.stream, set: c.set, work: workLearn, inputs: []*batch{b}}
}

// move returns the move that is due, or nil. Small moves are left to rounds, unless forced.
func (c *candidate) move() *merge {
	if c.claimed {
		return nil
	}
	lower, upper, force := c.set.traceUpper(), c.movable, false
	if lower.LessThan(c.forced) {
		upper, force = c.forced, true
	}
	if !lower.LessThan(upper) {
		return nil
	}
	m := &merge{stream: c.stream, set: c.set, work: workMove, lower: lower, upper: upper, since: c.since, claims: true}
	for _, b := range c.set.unsealed {
		if !force && b.newest < c.limit && (b.splitBy(lower) || b.splitBy(upper)) {
			return c.learn(b)
		}
		if b.hasTimesIn(part.TimeFilter{Lower: lower, Upper: upper}) {
			m.inputs = append(m.inputs, b)
		}
	}
	if p := c.set.pending(upper); !p.worthIt(0, force) || p.bytes <= c.inRounds && !force {
		return nil
	}
	return m
}

// mergeUnsealed returns the first of these that applies:
//
//  1. neighbours of one level, chosen as in the trace;
//  2. neighbours of which three eighths or more of the rows are in the trace already. A move
//     leaves a row behind once, and such a row pays for less than two rows that are written
//     again. What stays in vain is less than three eighths here, and less than half together
//     with pending.worthIt;
//  3. neighbours of which a quarter of the rows may be equal to other rows of them.
//
// If the since is after the upper, the merge also advances times to the since.
func (c *candidate) mergeUnsealed() *merge {
	lower, list := c.set.traceUpper(), c.set.unsealed
	m := &merge{stream: c.stream, set: c.set, lower: lower, maxLevel: math.MaxInt}
	if !c.claimed && foldsUnsealed(c.upper, c.since) {
		m.since, m.claims = c.since, true
	}
	if run := lowestRun(list, c.limit); run != nil {
		m.inputs = run
		return m
	}
	dead := func(b *batch) bool { return b.newest < c.limit && 8*b.before(lower).rows >= 3*b.rows }
	for i, b := range list {
		if b.newest < c.limit && b.splitBy(lower) {
			return c.learn(b)
		}
		//museum:left-behind
		if dead(b) {
			to := i + 1
			for to < min(len(list), i+mergeWidth) && dead(list[to]) && !list[to].splitBy(lower) {
				to++
			}
			m.inputs = list[i:to]
			if i > 0 {
				m.maxLevel = list[i-1].level
			}
			return m
		}
	}
	return c.foldUnsealed(m)
}

// foldsUnsealed reports whether unsealed times are advanced to the since. If the upper is
// at or after the since there is no need: times before the since go to the trace, and are
// advanced there.
func foldsUnsealed(upper, since frontier.Antichain) bool {
	//museum:never-sealed-never-folded
	return upper.LessThan(since) && !since.IsEmpty()
}

// mergeWidth is how many neighbours of equal level are merged into one. A larger number
// gives fewer levels, so fewer rewrites of a row, but more batches, and more memory: a
// merge holds a row group of each input.
const mergeWidth = 16

// lowestRun returns the first mergeWidth neighbours of equal level, of the lowest level
// that has so many; nil if none has.
//
// INVARIANT: levels do not grow along the list. A run that is the first of its level keeps
// that, for each of the two levels that the result may have.
func lowestRun(list []*batch, limit uint64) (run []*batch) {
	for from := 0; from < len(list); {
		n := 1
		for from+n < len(list) && list[from+n].level == list[from].level && list[from+n].newest < limit {
			n++
		}
		if n >= mergeWidth && (run == nil || list[from].level < run[0].level) {
			run = list[from : from+mergeWidth]
		}
		from += n
	}
	return run
}

// folding returns the first batches of the trace, as long as the since makes all their
// times equal.
func (c *candidate) folding() []*batch {
	for i, b := range c.set.trace {
		if b.newest >= c.limit || b.rows > 0 && (c.since.IsEmpty() || c.since.Advance(b.maxTime) != c.since.Advance(0)) {
			return c.set.trace[:i]
		}
	}
	return c.set.trace
}

func sizeInMemory(run []*batch) (bytes int64) {
	for _, b := range run {
		bytes += b.memBytes()
	}
	return bytes
}
