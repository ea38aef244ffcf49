package indexed

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
)

// A merge replaces neighbouring batches of a stream by one with the same contents.
// Physical compaction is the merging; logical compaction is advancing the times of
// trace batches to the since, which makes rows equal and lets them cancel.
type merge struct {
	stream *stream
	set    *batchSet
	inputs []*batch // neighbours, all trace batches or all unsealed
	id     uint64
	since  frontier.Antichain
	lower  frontier.Antichain // of an unsealed merge: earlier times are in the trace
	// maxLevel is the level of the batch before the inputs, which that of the result must
	// not pass: see lowestRun.
	maxLevel int
}

// compactLoop is the compact goroutine: it merges while there is something to
// merge, and sleeps otherwise.
func (e *Engine) compactLoop() {
	defer e.background.Done()
	failures := 0
	for {
		select {
		case <-e.maintenance.compact:
		case <-e.ctx.Done():
			return
		}
		for {
			did, err := e.mergeOnce(e.ctx, anyBatch, nil)
			if e.ctx.Err() != nil {
				return
			}
			if err != nil {
				failures++
				e.logger.Warn("merge failed; it will be tried again", "failures", failures, "error", err)
				select {
				case <-time.After(e.backoff(failures)):
					continue
				case <-e.ctx.Done():
					return
				}
			}
			failures = 0
			if !did {
				break
			}
			e.wakeMaintenance() // the manifest is to name the result
		}
	}
}

// anyBatch is a limit that admits all batches.
const anyBatch = math.MaxUint64

// mergeOnce does one merge and reports whether there was one to do. Only batches
// whose updates were in one before the id limit was given out are merged, and none of
// streams in met, where those are noted that cannot be read.
func (e *Engine) mergeOnce(ctx context.Context, limit uint64, met unread) (bool, error) {
	if err := e.maintenance.merge.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer e.maintenance.merge.Release(1)
	if e.handsOff.Load() {
		return false, nil
	}
	m := e.planMerge(limit, met)
	if m == nil {
		return false, nil
	}
	defer e.releaseSet(m.set)
	start := time.Now()
	out, err := e.runMerge(ctx, m)
	if err != nil {
		e.metrics.compactionErrors.Inc()
		if e.foundDamage(m.stream, err, met) {
			return true, nil // others may have merges to do
		}
		e.taken(err)
		return false, err
	}
	if !e.commitMerge(m, out) {
		e.metrics.staleResults.Inc()
		e.discard(out)
		return true, nil
	}
	e.maintenance.merges.Add(1)
	e.metrics.compactions.Inc()
	e.metrics.compactionBytes.Add(float64(out.size()))
	e.metrics.compactionSeconds.Add(time.Since(start).Seconds())
	return true, nil
}

// planMerge chooses a merge: the smallest that some stream has, so that many small
// batches do not wait for one large merge.
func (e *Engine) planMerge(limit uint64, around unread) *merge {
	st := e.st
	st.mu.Lock()
	defer st.mu.Unlock()
	var best *merge
	var bestRows int64
	for _, id := range slices.SortedFunc(maps.Keys(st.streams), cmp.Compare) {
		s := st.streams[id]
		around.noteLocked(s)
		if around[s] != nil {
			continue
		}
		m := s.mergeLocked(limit)
		if m == nil {
			continue
		}
		rows := int64(0)
		for _, b := range m.inputs {
			rows += b.rows
		}
		if best == nil || rows < bestRows {
			best, bestRows = m, rows
		}
	}
	if best == nil {
		return nil
	}
	best.id = st.nextBatch
	st.nextBatch++
	best.set.refs++
	return best
}

// mergeLocked returns the merge that a stream needs, if any:
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
//  4. neighbours among the unsealed batches, chosen as in 1.
func (s *stream) mergeLocked(limit uint64) *merge {
	if s.damage != nil {
		return nil
	}
	m := &merge{stream: s, set: s.set, since: s.since, maxLevel: math.MaxInt}
	trace := s.set.trace
	if run := lowestRun(trace, limit); run != nil {
		m.inputs = run
		return m
	}
	if run := s.foldingLocked(limit); len(run) > 1 && 3*sizeInMemory(run[1:]) > run[0].memBytes() {
		if n := len(run) - mergeWidth; n > 0 {
			run, m.maxLevel = run[n:], run[n-1].level
		}
		m.inputs = run
		return m
	}
	for i, b := range trace {
		if b.newest < limit && b.desc.Upper.LessEqual(s.since) && b.desc.Since.LessThan(b.desc.Upper) && 4*b.foldable >= b.rows && b.foldable > 0 {
			m.inputs = trace[i : i+1]
			return m
		}
	}
	if run := lowestRun(s.set.unsealed, limit); run != nil {
		m.inputs, m.since, m.lower = run, frontier.Antichain{}, s.set.traceUpper()
		return m
	}
	return nil
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

// foldingLocked returns the trace batches that may be merged all of whose times the
// since makes equal: the first ones.
func (s *stream) foldingLocked(limit uint64) []*batch {
	for i, b := range s.set.trace {
		if b.newest >= limit || b.rows > 0 && (s.since.IsEmpty() || s.since.Advance(b.maxTime) != s.since.Advance(0)) {
			return s.set.trace[:i]
		}
	}
	return s.set.trace
}

func sizeInMemory(run []*batch) (bytes int64) {
	for _, b := range run {
		bytes += b.memBytes()
	}
	return bytes
}

// runMerge streams the inputs into one batch: it holds a row group of each input, and what
// batchWriter does.
func (e *Engine) runMerge(ctx context.Context, m *merge) (*batch, error) {
	first, last := m.inputs[0], m.inputs[len(m.inputs)-1]
	if err := checkMerge(m.inputs, m.since); err != nil {
		return nil, err
	}
	out := &batch{id: m.id, trace: first.trace, after: first.after, through: last.through}
	out.desc = frontier.Description{Lower: first.desc.Lower, Upper: last.desc.Upper, Since: m.since}
	filter := timeFilter{lower: m.lower, upper: frontier.Empty()}
	sources := make([]rowSource, len(m.inputs))
	for i, b := range m.inputs {
		sources[i] = newBatchRows(b, uncached{e.blobs}, filter)
		out.level = max(out.level, b.level)
		out.newest = max(out.newest, b.newest)
	}
	out, err := e.writeBatch(ctx, m.stream, sources, m.since, out)
	if err != nil {
		return nil, fmt.Errorf("tidemark: merge batches of stream %q: %w", m.stream.name, err)
	}
	if len(m.inputs) > 1 && !slices.ContainsFunc(m.inputs, func(b *batch) bool { return b.memBytes() >= out.memBytes() }) {
		out.level = min(out.level+1, m.maxLevel)
	}
	return out, nil
}

// checkMerge refuses inputs that do not make a run.
func checkMerge(inputs []*batch, since frontier.Antichain) error {
	for i, b := range inputs {
		if i > 0 && (b.trace != inputs[i-1].trace || b.trace && b.desc.Lower != inputs[i-1].desc.Upper || !b.trace && b.after < inputs[i-1].through) {
			return fmt.Errorf("tidemark: %w: merge of %s and %s, which are not neighbours", ErrInvalid, inputs[i-1], b)
		}
		if b.trace && since.LessThan(b.desc.Since) {
			return fmt.Errorf("tidemark: %w: merge of %s to the since %s, which is before its own", ErrInvalid, b, since)
		}
	}
	return nil
}

// commitMerge replaces the inputs by the output if they are still there.
func (e *Engine) commitMerge(m *merge, out *batch) bool {
	st, s := e.st, m.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.destroyed {
		return false
	}
	next := &batchSet{trace: s.set.trace, unsealed: s.set.unsealed}
	var ok bool
	switch {
	case out.trace:
		next.trace, ok = replaceRun(next.trace, m.inputs, out)
	case out.rows == 0:
		next.unsealed, ok = replaceRun(next.unsealed, m.inputs)
	default:
		next.unsealed, ok = replaceRun(next.unsealed, m.inputs, out)
	}
	if ok {
		s.damage, s.again, s.failures = nil, time.Time{}, 0
		st.replaceSetLocked(s, next)
	}
	return ok
}
