package indexed

import (
	"cmp"
	"math"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// Which batches are merged. A choice looks at many batches of many streams, so it is made
// from what was true a moment ago, without state.mu, and compared with what is true then.

// candidate is what decides whether a stream has something to merge.
type candidate struct {
	stream   *stream
	set      *batchSet
	since    frontier.Antichain
	upper    frontier.Antichain
	movable  frontier.Antichain // everything before it is in batches
	claimed  bool               // somebody else holds stream.moving
	forced   frontier.Antichain // what is sealed before it is to be moved in any case
	inRounds int64              // moves that read no more than this are for rounds
	limit    uint64             // see mergeScope
	all      bool               // what can be known by reading alone is worth it as well
}

// idleMerge is a state of a stream in which there was nothing to merge. Most streams have
// nothing to merge most of the time, and are not looked at again and again.
type idleMerge struct {
	set                   *batchSet
	since, upper, movable frontier.Antichain
}

func (c *candidate) idle() idleMerge { return idleMerge{c.set, c.since, c.upper, c.movable} }

func (e *Engine) candidateLocked(s *stream, scope *mergeScope) candidate {
	c := candidate{
		stream: s, set: s.set, since: s.since, upper: s.upper, movable: s.movableLocked(), claimed: s.moving,
		inRounds: e.maintenance.movedInRound, limit: scope.limit, all: scope.uppers != nil,
	}
	if upper, ok := scope.uppers[s]; ok {
		c.forced = c.movable.Meet(upper)
	}
	return c
}

// learnShare is by how much reading a row costs less than merging it does.
const learnShare = 8

// planMerge chooses a merge: the smallest that some stream has, so that many small
// batches do not wait for one large merge. What it returns is to be ended.
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
			if m.work == workLearn { // it writes nothing, and others rest on it
				rows /= learnShare
			}
			if best == nil || rows < bestRows {
				best, bestRows = m, rows
			}
		}
		if m, current := e.takeMerge(best, nothing); current {
			return m
		}
	}
}

// takeMerge takes what a merge needs, if the choice was not overtaken, and notes the
// streams with nothing to merge.
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
	s.moving = s.moving || m.claims
	s.set.refs++
	return m, true
}

// merge returns the merge that a stream needs, if any.
func (c *candidate) merge() *merge {
	if m := c.mergeTrace(); m != nil {
		return m
	}
	if len(c.set.unsealed) == 0 {
		return nil
	}
	if m := c.move(); m != nil {
		return m
	}
	return c.mergeUnsealed()
}

// mergeTrace returns
//
//  1. the first mergeWidth neighbours in the trace of equal level, of the lowest such
//     level: since a batch that has grown is of the next level, that leaves less than
//     mergeWidth batches on each of about log(n) levels, and when merges cannot keep up
//     with writers there are as few batches as can be;
//  2. the last mergeWidth of those that the since lets fold, if without the oldest they
//     are more than a third of it: what they overwrite or delete there is still there,
//     so that a third keeps what is stored below twice what is live;
//  3. a trace batch that lies wholly before the since, was never advanced to it,
//     and has enough rows that may become equal;
//  4. the same as 2 and 3, for a batch that the since lets fold in part.
func (c *candidate) mergeTrace() *merge {
	trace := c.set.trace
	m := &merge{stream: c.stream, set: c.set, since: c.since, maxLevel: math.MaxInt}
	if run := lowestRun(trace, c.limit); run != nil {
		m.inputs = run
		return m
	}
	whole := c.folding()
	//museum:four-times-the-space
	if run := whole; len(run) > 1 && 3*sizeInMemory(run[1:]) > run[0].memBytes() {
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

// foldPart makes m a merge of the batch that the since lets fold in part, with those before
// it, which it lets fold as a whole. It counts what that would save of the whole trace: of
// a since that follows at a distance the batch is soon behind it as a whole, and would be
// written twice.
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
	rest := sizeInMemory(whole[1:])
	if b.minTime > since || 4*(rest+b.memBytes()) <= size {
		return nil
	}
	//museum:guess-at-the-since
	if b.guessed(since) {
		return c.learn(b)
	}
	if 4*(rest+b.bytesOf(b.atMost(since).rows)) > size {
		return m.last(run)
	}
	return nil
}

// last makes a merge one of the last mergeWidth of a run that is the first of its list.
func (m *merge) last(run []*batch) *merge {
	if n := len(run) - mergeWidth; n > 0 {
		run, m.maxLevel = run[n:], run[n-1].level
	}
	m.inputs = run
	return m
}

// learn is to find out how the times of a batch are distributed.
func (c *candidate) learn(b *batch) *merge {
	return &merge{stream: c.stream, set: c.set, work: workLearn, inputs: []*batch{b}}
}

// move returns the move that is due, if it is none for a round.
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

// mergeUnsealed returns
//
//  1. neighbours of one level, chosen as in the trace;
//  2. neighbours of which three eighths or more are in the trace already: each row is
//     left behind by a move once, and pays for less than two that are written again. What
//     remains is less than that, and together with pending.worthIt less than half;
//  3. neighbours a quarter of whose rows may be equal to others of them.
//
// Times that the since is in advance of are advanced on the way.
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

// foldsUnsealed reports whether unsealed times are advanced to the since: what is sealed
// before it goes to the trace, and is advanced there.
func foldsUnsealed(upper, since frontier.Antichain) bool {
	//museum:never-sealed-never-folded
	return upper.LessThan(since) && !since.IsEmpty()
}

// mergeWidth is how many neighbours of equal level are merged into one. A row is
// written once for each level, and there are log(n) levels to the base of this number;
// a merge holds a row group of each of its inputs.
const mergeWidth = 16

// lowestRun returns the first mergeWidth neighbours of equal level, of the lowest level
// that has so many; nil if none has.
//
// INVARIANT: levels do not grow along the list. A run that is the first of its level
// keeps it so, whatever level the result has, of the two that it may have.
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

// folding returns the trace batches that may be merged all of whose times the since makes
// equal: the first ones.
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
