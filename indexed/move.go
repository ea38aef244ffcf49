package indexed

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// A move takes what is sealed from unsealed batches to the trace. Reads do not depend on
// it, so it waits until it is worth it. One that reads little is part of a flush, which
// then writes what is sealed of the tail but once. One that reads much is work for the
// compact goroutine, however much that is: rounds, on which writers depend, do not wait
// for it, and the flushes of the stream meanwhile leave the trace alone.
//
// What moves, or folds unsealed batches, rests on the trace upper: a row that was
// advanced beyond a new trace upper while another one was moving it would be there twice.
// So each of them holds stream.moving, and there is one at a time.

// pending is what a move would have to do with unsealed batches: it reads those with a
// time that is sealed and not in the trace.
type pending struct {
	rows  int64 // of the batches to be read
	bytes int64 // of them, in memory
	due   int64 // rows to be moved
	dead  int64 // rows that are in the trace already
	// guess: due and dead rest on batches of an earlier opening whose times are not known
	// yet: see learn.
	guess bool
}

func (s *batchSet) pending(upper frontier.Antichain) (p pending) {
	lower := s.traceUpper()
	if !lower.LessThan(upper) {
		return p
	}
	for _, b := range s.unsealed {
		if !b.hasTimesIn(part.TimeFilter{Lower: lower, Upper: upper}) {
			continue
		}
		p.guess = p.guess || b.splitBy(lower) || b.splitBy(upper)
		dead := b.before(lower).rows
		p.rows += b.rows
		p.bytes += b.memBytes()
		p.dead += dead
		p.due += max(0, b.before(upper).rows-dead)
	}
	return p
}

// worthIt reports whether a move is due that takes so many rows of the tail as well: when
// at least half of what it reads is in the trace afterwards, and an eighth is new there.
// The half bounds what is stored in vain, together with trimming (see mergeUnsealed); the
// eighth bounds how often a row is read. A guess is worth nothing: the compact goroutine
// reads such batches for their times, and the next round decides. If forced, any row is
// enough.
func (p pending) worthIt(tail int, force bool) bool {
	if force {
		return p.rows > 0 || tail > 0
	}
	//museum:guess-that-moves
	if p.guess {
		return false
	}
	due := p.due + int64(tail)
	return due > 0 && 2*(due+p.dead) >= p.rows && 8*due >= p.rows
}

// rowsBefore counts the rows with times before a frontier. It looks at every row of
// commands that have both, so state.mu is not held for it.
func (t *tail) rowsBefore(upper frontier.Antichain) (n int) {
	for chunk := range t.chunks() {
		c := &chunk.cols
		switch lo, hi := c.TimeRange(); {
		case upper.Admits(lo):
		case !upper.Admits(hi):
			n += c.Len()
		default:
			for i := range c.Len() {
				if !upper.Admits(c.Time(i)) {
					n++
				}
			}
		}
	}
	return n
}

// movableLocked returns up to which time everything that was written is in batches.
func (s *stream) movableLocked() frontier.Antichain {
	if s.tail.empty() {
		return s.upper
	}
	return s.flushedUpper // what was written since is not before it
}

// withTrace returns the set with a batch at the end of the trace, and without unsealed
// batches all of which it has.
func (s *batchSet) withTrace(b *batch) *batchSet {
	next := &batchSet{trace: s.trace}
	if b != nil {
		next.trace = append(slices.Clip(next.trace), b)
	}
	upper := next.traceUpper()
	for _, b := range s.unsealed {
		if upper.Admits(b.maxTime) {
			next.unsealed = append(next.unsealed, b)
		}
	}
	return next
}

// runMove writes the trace batch of a move.
func (e *Engine) runMove(ctx context.Context, m *merge) (*batch, error) {
	filter := part.TimeFilter{Lower: m.lower, Upper: m.upper}
	out := &batch{id: m.id, trace: true, desc: frontier.Description{Lower: m.lower, Upper: m.upper, Since: m.since}}
	sources := make([]part.Source, len(m.inputs))
	for i, b := range m.inputs {
		sources[i] = part.NewRows(b.parts, e.blobs.Reader(false), filter)
		out.newest = max(out.newest, b.newest)
	}
	out, err := e.writeBatch(ctx, m.stream, sources, m.since, out)
	if err != nil {
		return nil, fmt.Errorf("tidemark: move sealed updates of stream %q to its trace: %w", m.stream.name, err)
	}
	return out, nil
}

// commitMove makes the result part of the state. What was flushed meanwhile does not
// matter: it is not before the upper of the move.
func (e *Engine) commitMove(m *merge, out *batch) bool {
	st, s := e.st, m.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if s.destroyed || s.set.traceUpper() != m.lower {
		return false
	}
	s.couldBeRead()
	st.replaceSetLocked(s, s.set.withTrace(out))
	return true
}

// learn reads a batch of an earlier opening for how its times are distributed.
func (e *Engine) learn(ctx context.Context, m *merge) error {
	b := m.inputs[0]
	times, err := part.Sample(ctx, part.NewRows(b.parts, e.blobs.Reader(false), part.AllTimes), e.cfg.parts().HeldBytes())
	if err != nil {
		return fmt.Errorf("tidemark: read a batch of stream %q: %w", m.stream.name, err)
	}
	b.times.Store(times)
	return nil
}
