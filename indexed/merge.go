package indexed

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// merge is one task of the merge goroutine. A merge replaces neighbouring batches of a
// stream by one with the same contents. Physical compaction is this merging. Logical
// compaction is advancing times to the since, which makes rows equal and lets them cancel.
// choose.go says which batches are merged.
type merge struct {
	stream *stream
	set    *batchSet
	inputs []*batch // neighbours, all trace batches or all unsealed
	id     uint64
	since  frontier.Antichain
	lower  frontier.Antichain // of unsealed inputs: earlier times are in the trace
	// work says what is done with the inputs. A move takes times before upper.
	work     mergeWork
	upper    frontier.Antichain
	forReads bool // see mergeForReads
	// claims says that the merge depends on the trace upper, and holds stream.moving.
	claims bool
	// maxLevel is the level of the batch before the inputs. The level of the result must
	// not be greater: see lowestRun.
	maxLevel int
}

// mergeWork is what the merge goroutine does with batches.
type mergeWork int

const (
	workMerge mergeWork = iota
	workMove            // see pending
	workLearn           // see spread
)

// mergeLoop is the merge goroutine. It merges while there is something to merge, and
// sleeps otherwise.
func (e *Engine) mergeLoop() {
	var tries retry
	var merges outage
	for {
		select {
		case <-e.maintenance.mergeWake:
		case <-e.life.work.Done():
			return
		}
		for {
			did, err := e.mergeOnce(e.life.work, anything)
			if e.life.work.Err() != nil || e.life.refuses(noBackground) {
				return
			}
			if err != nil {
				merges.failed(e.logger, slog.LevelWarn, "merge failed; it is tried again and again", err)
				select {
				case <-time.After(tries.failed(e.cfg.MinStepInterval)):
					continue
				case <-e.life.work.Done():
					return
				}
			}
			tries.succeeded()
			merges.over(e.logger, "merges succeed again")
			if !did {
				break
			}
			e.wakeMaintenance() // the manifest is to name the result
		}
	}
}

// mergeScope says what may be merged.
type mergeScope struct {
	// limit excludes newer batches: only those may be merged whose updates were in a batch
	// before this id was given out.
	limit uint64
	// uppers are the uppers to which streams are moved, even if that is not worth it yet.
	// It is nil for the merge goroutine, and set for Maintain.
	uppers map[*stream]frontier.Antichain
	idle   map[*stream]idleMerge // as stream.idle, in this scope
	// met has the streams to leave out. A stream that cannot be read is added.
	met unread
}

var anything = mergeScope{limit: math.MaxUint64}

// outstanding is the scope of everything that there is to do now.
func (e *Engine) outstanding(met unread) mergeScope {
	st := e.st
	st.mu.Lock()
	defer st.mu.Unlock()
	scope := mergeScope{limit: st.nextBatch, uppers: make(map[*stream]frontier.Antichain), idle: make(map[*stream]idleMerge), met: met}
	for _, s := range st.streams {
		if len(s.set.unsealed) > 0 && s.set.traceUpper().LessThan(s.upper) {
			scope.uppers[s] = s.upper
		}
	}
	return scope
}

// mergeOnce does one merge, move or read for times. It returns false if there was none to
// do.
func (e *Engine) mergeOnce(ctx context.Context, scope mergeScope) (bool, error) {
	if err := e.maintenance.merge.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer e.maintenance.merge.Release(1)
	if err := e.life.refused(noBackground); err != nil {
		return false, err
	}
	m, err := e.planMergeIn(ctx, scope)
	if m == nil || err != nil {
		return false, err
	}
	defer e.endMerge(m)
	start := time.Now()
	out, err := e.doMerge(ctx, m)
	if err != nil {
		e.metrics.mergeErrors.Inc()
		if e.foundDamage(m.stream, err, scope.met) {
			return true, nil // others may have merges to do
		}
		e.taken(err)
		return false, err
	}
	if m.work == workLearn {
		return true, nil
	}
	if !e.commitMerge(m, out) {
		e.metrics.staleResults.Inc()
		e.discard(out)
		return true, nil
	}
	e.maintenance.merges.Add(1)
	e.metrics.merges.Inc()
	e.metrics.mergeBytes.Add(float64(out.size()))
	e.metrics.mergeSeconds.Add(time.Since(start).Seconds())
	return true, nil
}

// planMergeIn is planMerge. Maintain first waits for a round under way, which may hold
// stream.moving of a stream. The merge goroutine does not wait: the round wakes it.
func (e *Engine) planMergeIn(ctx context.Context, scope mergeScope) (*merge, error) {
	if scope.uppers != nil {
		if err := e.maintenance.round.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer e.maintenance.round.Release(1)
	}
	return e.planMerge(scope), nil
}

func (e *Engine) doMerge(ctx context.Context, m *merge) (*batch, error) {
	switch m.work {
	case workMove:
		return e.runMove(ctx, m)
	case workLearn:
		return nil, e.learn(ctx, m)
	}
	return e.runMerge(ctx, m)
}

// endMerge gives back what planMerge took.
func (e *Engine) endMerge(m *merge) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	if m.claims {
		m.stream.moving = false
	}
	if m.work == workLearn {
		m.stream.idle = idleMerge{} // choose again, with what was learnt
	}
	e.st.releaseSetLocked(m.set)
}

// runMerge merges the inputs into one batch. It holds a row group of each input, beside
// what part.Write holds.
func (e *Engine) runMerge(ctx context.Context, m *merge) (*batch, error) {
	first, last := m.inputs[0], m.inputs[len(m.inputs)-1]
	if err := checkMerge(m.inputs, m.since); err != nil {
		return nil, err
	}
	out := &batch{id: m.id, trace: first.trace, after: first.after, through: last.through}
	out.desc = frontier.Description{Lower: first.desc.Lower, Upper: last.desc.Upper, Since: m.since}
	filter := part.TimeFilter{Lower: m.lower, Upper: frontier.Empty()}
	sources := make([]part.Source, len(m.inputs))
	for i, b := range m.inputs {
		sources[i] = part.NewRows(b.parts, e.blobs.Reader(false), filter)
		out.level = max(out.level, b.level)
		out.newest = max(out.newest, b.newest)
		if !out.trace {
			out.desc.Since = out.desc.Since.Join(b.desc.Since)
		}
	}
	out, err := e.writeBatch(ctx, m.stream, sources, m.since, out)
	if err != nil {
		return nil, fmt.Errorf("tidemark: merge batches of stream %s: %w", quoteName(m.stream.name), err)
	}
	if len(m.inputs) > 1 && !slices.ContainsFunc(m.inputs, func(b *batch) bool { return b.memBytes() >= out.memBytes() }) {
		out.level = min(out.level+1, m.maxLevel)
	}
	return out, nil
}

// checkMerge refuses inputs that are not neighbours.
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

// commitMerge replaces the inputs by the output. It returns false if they are not there any
// more.
func (e *Engine) commitMerge(m *merge, out *batch) bool {
	if m.work == workMove {
		return e.commitMove(m, out)
	}
	st, s := e.st, m.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	//museum:fold-beside-a-move/2
	if s.destroyed || m.claims && s.set.traceUpper() != m.lower {
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
		s.couldBeRead()
		st.replaceSetLocked(s, next)
	}
	return ok
}
