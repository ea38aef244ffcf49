package concurrent

import (
	"maps"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// written is what commands wrote to one stream.
type written struct {
	done    map[storage.SeqNo][]*Command // a command that changes nothing has the position of one before it
	inOrder []*Command                   // the done ones, in the order of the history
	holding map[Update][]*Command        // done and unknown commands that have the update
	unknown []*Command
}

// writes returns what the commands of a history wrote to each stream: those that took
// effect, and those that may have.
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

// verdict is how an event's updates compare with what was written.
type verdict int

const (
	whole     verdict = iota // all that one command wrote to the stream
	half                     // some of it
	repeated                 // all of it, and some more than once
	moved                    // the same after compaction, but not as it was written
	elsewhere                // what a command wrote at another position
	foreign                  // no command wrote it
)

// judge compares an event that has updates with the command that it comes from. It returns
// that command, if there is one.
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

// amountToSame reports whether two sets of updates have the same contents if times do not
// count.
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

// sealed says whether a command that was done, or may have been, sealed the stream as the
// event says. A done command that only moves the since does not count: if it changed
// nothing, it has the position of a command whose outcome may be unknown.
func (w *written) sealed(stream string, e *Event) bool {
	seals := func(c *Command) bool { s := c.on(stream).Seal; return s != nil && *s == e.Sealed }
	moves := func(c *Command) bool { on := c.on(stream); return on.Seal != nil || len(on.Updates) > 0 }
	done := w.done[e.SeqNo]
	if slices.ContainsFunc(done, moves) {
		return slices.ContainsFunc(done, seals)
	}
	return slices.ContainsFunc(w.unknown, seals)
}
