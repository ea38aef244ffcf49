package concurrent

import (
	"maps"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// written is what commands wrote to one stream.
type written struct {
	done    map[storage.SeqNo][]*Command // one that changes nothing has the position of one before it
	inOrder []*Command                   // those that are done, as they are in the history
	holding map[Update][]*Command        // done and unknown ones that have the update
	unknown []*Command
}

// writes returns what the commands of a history that took effect, or may have, wrote
// to each stream.
func (h *History) writes() map[string]*written {
	streams := make(map[string]*written)
	of := func(stream string) *written {
		if streams[stream] == nil {
			streams[stream] = &written{done: make(map[storage.SeqNo][]*Command), holding: make(map[Update][]*Command)}
		}
		return streams[stream]
	}
	for i := range h.Tails {
		of(h.Tails[i].Start.Stream)
	}
	for i := range h.Commands {
		c := &h.Commands[i]
		if c.Outcome != Done && c.Outcome != Unknown {
			continue
		}
		for k := range c.Effects {
			w := of(c.Effects[k].Stream)
			if c.Outcome == Done {
				w.done[c.SeqNo] = append(w.done[c.SeqNo], c)
				w.inOrder = append(w.inOrder, c)
			} else {
				w.unknown = append(w.unknown, c)
			}
			for u := range counts(c.Effects[k].Updates) {
				w.holding[u] = append(w.holding[u], c)
			}
		}
	}
	return streams
}

// verdict is what an event's updates are when compared with what was written.
type verdict int

const (
	whole     verdict = iota // all that one command wrote to the stream
	half                     // some of it
	repeated                 // all of it, and some more than once
	moved                    // the same after compaction, but not as it was written
	elsewhere                // what a command wrote at another position
	foreign                  // not what anybody wrote
)

// judge compares an event that has updates with the command it stems from, which it
// returns if there is one.
func (w *written) judge(stream string, e *Event) (verdict, *Command) {
	for _, c := range w.done[e.SeqNo] {
		if len(c.on(stream).Updates) > 0 {
			return compare(e.Updates, c.on(stream).Updates), c
		}
	}
	best, of := foreign, (*Command)(nil)
	for _, c := range w.holding[e.Updates[0]] {
		v := compare(e.Updates, c.on(stream).Updates)
		if c.Outcome == Done {
			v = elsewhere
		}
		if v < best {
			best, of = v, c
		}
	}
	return best, of
}

func compare(heard, wrote []Update) verdict {
	got, want := counts(heard), counts(wrote)
	if maps.Equal(got, want) {
		return whole
	}
	if amountToSame(heard, wrote) {
		return moved
	}
	v := half
	for u, n := range got {
		if want[u] == 0 {
			return foreign
		}
		if n > want[u] {
			v = repeated
		}
	}
	return v
}

// amountToSame reports whether two sets of updates are the same contents once times
// are not told apart.
func amountToSame(a, b []Update) bool {
	sums := func(updates []Update) map[Update]int64 {
		n := make(map[Update]int64)
		for _, u := range updates {
			diff := u.Diff
			u.Time, u.Diff = 0, 0
			if n[u] += diff; n[u] == 0 {
				delete(n, u)
			}
		}
		return n
	}
	return maps.Equal(sums(a), sums(b))
}

// sealed says whether a command that was done, or may have been, sealed the stream as
// the event says. One that was done and only moves the since says nothing about that: if
// it changed nothing, its position is that of a command whose outcome may be unknown.
func (w *written) sealed(stream string, e *Event) bool {
	seals := func(c *Command) bool { s := c.on(stream).Seal; return s != nil && *s == e.Sealed }
	moves := func(c *Command) bool { on := c.on(stream); return on.Seal != nil || len(on.Updates) > 0 }
	done := w.done[e.SeqNo]
	if slices.ContainsFunc(done, moves) {
		return slices.ContainsFunc(done, seals)
	}
	return slices.ContainsFunc(w.unknown, seals)
}
