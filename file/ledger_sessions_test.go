//go:build unix

package file_test

import (
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// lastEvents returns, for each stream, a position at which the newest event is known
// to be, from what was acknowledged.
func (l *ledger) lastEvents() map[string]storage.SeqNo {
	last := map[string]storage.SeqNo{}
	for _, c := range l.history {
		for _, name := range fixedStreams() {
			if _, sealed := c.Seals[name]; c.acked && (sealed || c.writesTo(name) != nil) {
				last[name] = max(last[name], c.seqno)
			}
		}
	}
	return last
}

func (c *command) writesTo(name string) []row {
	for _, w := range c.Writes {
		if w.Stream == name {
			return w.Rows
		}
	}
	return nil
}

// checkSession compares what a reader saw with the history. The position of a command
// that was not acknowledged, and is there, is known only to lie in its incarnation:
// its first row tells where the reader met it. A reader that was killed may have been
// about to say the rest of its last position.
func (l *ledger) checkSession(s *session, killed bool) error {
	name, from := s.view.Stream, s.view.SeqNo
	events := map[storage.SeqNo][]*heard{}
	byKey := map[string]storage.SeqNo{}
	to, sealed := from, s.view.Upper
	for _, e := range s.events {
		if e.SeqNo < to || e.SeqNo <= from {
			return fmt.Errorf("stream %q: an event at position %s after one at %s", name, e.SeqNo, to)
		}
		for _, r := range e.Rows {
			if r.Time < sealed {
				return fmt.Errorf("stream %q: at position %s an update at time %d, after a seal to %d", name, e.SeqNo, r.Time, sealed)
			}
		}
		if len(e.Rows) > 0 {
			byKey[e.Rows[0].Key] = e.SeqNo
		} else if sealed = e.Sealed; sealed < s.view.Upper {
			return fmt.Errorf("stream %q: sealed to %d at position %s, below the upper %d of the snapshot", name, sealed, e.SeqNo, s.view.Upper)
		}
		to = e.SeqNo
		events[to] = append(events[to], e)
	}
	inView := map[string]bool{}
	for _, r := range s.view.Rows {
		inView[r.Key] = true
	}
	before := &expected{rows: map[row]int64{}, since: s.view.Since}
	var unknownSeals []uint64
	for _, c := range l.history {
		rows := c.writesTo(name)
		seal, seals := c.Seals[name]
		if rows == nil && !seals {
			continue
		}
		at, known := c.seqno, c.acked
		if !known && rows != nil {
			at, known = byKey[rows[0].Key]
			if !known && (c.settledBy <= from || inView[rows[0].Key]) {
				at, known = min(from, c.settledBy), true
			}
		}
		switch {
		case !known && rows == nil:
			unknownSeals = append(unknownSeals, seal)
		case !known && c.settledBy > to:
			// it may be after the last event
		case !known:
			return fmt.Errorf("stream %q: command %s took effect at or before %s and was not heard", name, c.ID, c.settledBy)
		case at <= from:
			for _, r := range rows {
				before.add(r)
			}
			if seals {
				before.upper = max(before.upper, seal)
			}
		case at <= to:
			if err := sameEvent(name, c, rows, seals, seal, events[at], killed && at == to); err != nil {
				return err
			}
			delete(events, at)
		}
	}
	for at, e := range events {
		if len(e) == 1 && e[0].Rows == nil && slices.Contains(unknownSeals, e[0].Sealed) {
			continue
		}
		return fmt.Errorf("stream %q: an event at position %s that nobody caused: %+v", name, at, *e[0])
	}
	if before.upper != s.view.Upper && !slices.Contains(unknownSeals, s.view.Upper) {
		return fmt.Errorf("stream %q: snapshot at %s: want upper %d, found %d", name, from, before.upper, s.view.Upper)
	}
	if err := sameRows(name, before.rows, s.view.Rows); err != nil {
		return fmt.Errorf("snapshot at %s: %w", from, err)
	}
	return nil
}

// sameEvent requires that a command was heard as it was given: its rows, then its seal;
// if it was cut off, perhaps its rows alone.
func sameEvent(name string, c *command, rows []row, seals bool, seal uint64, found []*heard, cutOff bool) error {
	var want []*heard
	if rows != nil {
		want = append(want, &heard{Rows: rows})
	}
	if seals {
		want = append(want, &heard{Sealed: seal})
	}
	if cutOff && len(found) == 1 && len(want) == 2 {
		want = want[:1]
	}
	same := slices.EqualFunc(want, found, func(w, f *heard) bool { return slices.Equal(w.Rows, f.Rows) && w.Sealed == f.Sealed })
	if same {
		return nil
	}
	return fmt.Errorf("stream %q: command %s at position %s was heard as %d events that differ from it: %+v, %+v", name, c.ID, c.seqno, len(found), found, c)
}
