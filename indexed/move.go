package indexed

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// A move takes sealed updates from unsealed batches to the trace. Reads do not depend on
// moves, so a move waits until it is worth it. A move that reads little is part of a flush,
// which writes the sealed updates of the tail once in that way. A move that reads much is
// done by the merge goroutine, whatever its size. Rounds do not wait for it, because
// writers depend on rounds; meanwhile flushes of the stream leave the trace alone.
//
// Moves depend on the trace upper, and so do merges that advance unsealed times to the
// since. They must not run at once. Example: a row has time 3, and a flush takes it to the
// trace [0, 5). If a merge advances the same row to 10 at once, the row is in the trace,
// and also in an unsealed batch at a time after the trace upper: it counts twice. So each
// of them holds stream.moving, and a stream has one at a time.

// pending is what a move would have to do. It reads the unsealed batches with a time that
// is sealed and not in the trace.
type pending struct {
	rows  int64 // of the batches to be read
	bytes int64 // of these batches, in memory
	due   int64 // rows to be moved
	dead  int64 // rows that are in the trace already
	// guess says that due and dead depend on batches of an earlier opening whose times are
	// not known yet: see learn.
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

// worthIt reports whether a move is due, if it also takes so many rows of the tail. It is
// due when at least half of the rows that it reads are in the trace after it, and an eighth
// of them are new there. The half bounds how much is stored in vain, together with
// mergeUnsealed. The eighth bounds how often a row is read.
//
// A guess is never worth it: the merge goroutine reads such batches for their times
// first, and the next round decides. If force is set, one row is enough.
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

// rowsBefore counts the rows with times before a frontier. It looks at every row of a
// command whose times are on both sides, so callers must not hold state.mu.
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

// movableLocked returns a frontier: every update with a time before it is in batches.
func (s *stream) movableLocked() frontier.Antichain {
	if s.tail.empty() {
		return s.upper
	}
	return s.flushedUpper // later writes are at or after it
}

// withTrace returns the set with a batch at the end of the trace. It leaves out unsealed
// batches of which the trace then has every row.
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

// commitMove makes the result part of the state. A flush that was applied meanwhile does
// not matter: its updates are not before the upper of the move.
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

// learn reads a batch of an earlier opening, to know how its times are distributed.
func (e *Engine) learn(ctx context.Context, m *merge) error {
	b := m.inputs[0]
	times, err := part.Sample(ctx, part.NewRows(b.parts, e.blobs.Reader(false), part.AllTimes), e.cfg.parts().HeldBytes())
	if err != nil {
		return fmt.Errorf("tidemark: read a batch of stream %q: %w", m.stream.name, err)
	}
	b.times.Store(times)
	return nil
}
