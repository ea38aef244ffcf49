package indexed

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// flushPlan is one flush. A flush moves the tail of a stream to batches. Updates whose
// times are sealed go directly to the trace, together with what unsealed batches hold of
// the same times. The other updates become an unsealed batch.
//
//	           trace upper      upper
//	               |              |
//	trace          |  new trace   |  new unsealed batch
//	---------------|--------------|-----------------------> time
//
// If most of what must be read for the trace is not sealed yet, the trace waits (see
// pending), and the whole tail becomes an unsealed batch: reads do not depend on the move.
type flushPlan struct {
	stream   *stream
	set      *batchSet
	tail     tail
	through  storage.SeqNo
	after    storage.SeqNo
	upper    frontier.Antichain
	since    frontier.Antichain
	claimed  bool // holds stream.moving
	moves    bool // write a trace batch up to upper: the flush does a move as well
	traceID  uint64
	unsealID uint64
}

// sealed admits the times of the new trace batch.
func (p *flushPlan) sealed() part.TimeFilter {
	return part.TimeFilter{Lower: p.set.traceUpper(), Upper: p.upper}
}

// flush flushes the tail of a stream, if there is anything to do. If it cannot read a
// batch, it flushes without moving anything to the trace.
func (e *Engine) flush(ctx context.Context, s *stream, force bool, met unread) error {
	e.st.mu.Lock()
	met.noteLocked(s)
	e.st.mu.Unlock()
	err := e.flushTail(ctx, s, force, met[s] == nil)
	//museum:damage-holds-up-others
	if e.foundDamage(s, err, met) {
		return e.flushTail(ctx, s, force, false)
	}
	return err
}

func (e *Engine) flushTail(ctx context.Context, s *stream, force, mayMove bool) error {
	p := e.planFlush(s, mayMove)
	if p == nil {
		return nil
	}
	defer e.endFlush(p)
	if p.claimed {
		p.moves = e.moveInRound(p.set.pending(p.upper), p.tail.rowsBefore(p.upper), force)
	}
	if !p.moves && p.tail.empty() {
		return nil
	}
	var trace, unsealed *batch
	var err error
	if p.moves {
		if trace, err = e.writeTrace(ctx, p); err != nil {
			return fmt.Errorf("tidemark: move sealed updates of stream %s to its trace: %w", quoteName(s.name), err)
		}
	}
	if unsealed, err = e.writeUnsealed(ctx, p); err != nil {
		e.discard(trace)
		return fmt.Errorf("tidemark: flush the tail of stream %s: %w", quoteName(s.name), err)
	}
	if !e.commitFlush(p, trace, unsealed) {
		e.metrics.staleResults.Inc()
		e.discard(trace)
		e.discard(unsealed)
		return nil
	}
	e.metrics.flushes.Inc()
	return nil
}

// planFlush returns a flush that may have something to do, or nil. mayMove says whether the
// flush may read batches, to move sealed updates. The caller must call endFlush.
func (e *Engine) planFlush(s *stream, mayMove bool) *flushPlan {
	st := e.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.destroyed {
		return nil
	}
	s.tail.pack() // so that no chunk straddles through, where the flush drops the tail
	p := &flushPlan{
		stream: s, set: s.set, tail: s.tail, through: st.applied, after: s.flushed,
		upper: s.upper, since: s.since,
		//museum:fold-beside-a-move
		claimed: mayMove && s.damage == nil && !s.moving && s.set.traceUpper().LessThan(s.upper),
		traceID: st.nextBatch, unsealID: st.nextBatch + 1,
	}
	if !p.claimed && p.tail.empty() {
		return nil
	}
	s.moving = s.moving || p.claimed
	st.nextBatch += 2
	//museum:flush-hides-the-tail
	s.set.refs++
	return p
}

func (e *Engine) endFlush(p *flushPlan) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	if p.claimed {
		p.stream.moving = false
	}
	e.st.releaseSetLocked(p.set)
}

// moveInRound decides whether this round moves what is pending, together with so many rows
// of a tail. REQUIRES: round is held.
func (e *Engine) moveInRound(p pending, tail int, force bool) bool {
	m := &e.maintenance
	switch {
	//museum:large-move-in-a-round
	case !p.worthIt(tail, force) || p.bytes > m.movedInRound:
		return false // not worth it, or work for the merge goroutine
	//museum:large-move-in-a-round/2
	case p.bytes > m.moveLeft:
		m.moveLater = true
		return false
	}
	//museum:many-small-moves
	m.moveLeft -= p.bytes
	return true
}

// writeTrace writes all sealed updates that are not in the trace yet. If they cancel out,
// the batch has no rows. It is needed all the same: it moves the trace upper.
func (e *Engine) writeTrace(ctx context.Context, p *flushPlan) (*batch, error) {
	filter := p.sealed()
	var sources []part.Source
	for _, b := range p.set.unsealed {
		if b.hasTimesIn(filter) {
			sources = append(sources, part.NewRows(b.parts, e.blobs.Reader(false), filter))
		}
	}
	if !p.tail.empty() {
		sources = append(sources, part.Sort(p.tail.columns(), filter))
	}
	return e.writeBatch(ctx, p.stream, sources, p.since, &batch{
		id: p.traceID, newest: p.traceID, trace: true,
		desc: frontier.Description{Lower: filter.Lower, Upper: filter.Upper, Since: p.since},
	})
}

// writeUnsealed writes the rest of the tail. It returns nil if nothing is left.
func (e *Engine) writeUnsealed(ctx context.Context, p *flushPlan) (*batch, error) {
	filter := part.TimeFilter{Lower: p.set.traceUpper(), Upper: frontier.Empty()}
	if p.moves {
		filter.Lower = p.upper
	}
	cols := p.tail.columns()
	if !slices.ContainsFunc(cols, func(c Columns) bool {
		_, hi := c.TimeRange()
		return filter.Admits(hi)
	}) {
		return nil, nil
	}
	// Reads show unsealed times before the since at the since, so they are stored there.
	since := frontier.Antichain{}
	if foldsUnsealed(p.upper, p.since) {
		since = p.since
	}
	b, err := e.writeBatch(ctx, p.stream, []part.Source{part.Sort(cols, filter)}, since, &batch{
		id: p.unsealID, newest: p.unsealID, desc: frontier.Description{Upper: frontier.Empty(), Since: since}, after: p.after, through: p.through,
	})
	if err != nil || b.rows == 0 {
		return nil, err
	}
	return b, nil
}

// commitFlush makes the result part of the state. It returns false if the stream is gone or
// the result does not fit any more.
//
// A merge that was applied meanwhile does not matter: it does not change contents. A move
// takes nothing that was in the tail; if this flush moves as well, it holds stream.moving,
// and there is no other. A state that has broken may have a part of an entry in the tail,
// beyond what through says, so nothing is made of it.
func (e *Engine) commitFlush(p *flushPlan, trace, unsealed *batch) bool {
	st, s := e.st, p.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	//museum:broken-state-flushed
	if e.life.refuses(noState) || s.destroyed || s.flushed != p.after || p.moves && s.set.traceUpper() != p.set.traceUpper() {
		return false
	}
	if trace != nil {
		s.couldBeRead() // all batches that the flush needed could be read
	}
	next := s.set.withTrace(trace)
	if unsealed != nil {
		next.unsealed = append(next.unsealed, unsealed)
	}
	st.replaceSetLocked(s, next)
	s.flushed, s.flushedUpper, s.manifest.flushed = p.through, p.upper, true
	st.dropTailLocked(s, p.through)
	if !s.tail.empty() {
		s.tailStart = time.Now()
	}
	return true
}

// discard hands a batch that is part of no set over for deletion.
func (e *Engine) discard(b *batch) {
	if b == nil || len(b.parts) == 0 {
		return
	}
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	b.unlisted = true
	e.st.trash.addBatch(b)
}
