package concurrent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// A gap is an acknowledged command whose updates or seal a tail lacks, although the tail
// has delivered something later, or has come to its end. The three properties of this file
// divide the gaps by their possible causes.
type gap struct {
	tail    *Tail
	missing *Effect
	command *Command
	// asked and heard are the ticks at which the reader asked for, and got, the event that
	// came in place of the missing one.
	asked, heard int64
}

// through is the position up to which a tail claims to have delivered everything.
func (t *Tail) through() storage.SeqNo {
	if errors.Is(t.Ended, io.EOF) || errors.Is(t.Ended, ErrSilent) {
		return math.MaxUint64
	}
	last := t.Start.SeqNo
	for _, e := range t.Events {
		last = max(last, e.SeqNo)
	}
	return last
}

// gaps yields the gaps of all tails.
func (h *History) gaps() iter.Seq[gap] {
	writes := h.writes()
	return func(yield func(gap) bool) {
		for i := range h.Tails {
			t := &h.Tails[i]
			for _, c := range t.missing(writes[t.Start.Stream]) {
				g := gap{tail: t, command: c, missing: c.on(t.Start.Stream), asked: t.Asked, heard: math.MaxInt64}
				for _, e := range t.Events {
					if e.SeqNo >= c.SeqNo {
						g.asked, g.heard = e.Asked, e.Heard
						break
					}
				}
				if !yield(g) {
					return
				}
			}
		}
	}
}

// missing returns, in order, the acknowledged commands that a tail does not have as a
// whole.
func (t *Tail) missing(w *written) []*Command {
	type parts struct{ updates, seal bool }
	heard := make(map[storage.SeqNo]parts, len(t.Events))
	for _, e := range t.Events {
		p := heard[e.SeqNo]
		p.updates = p.updates || e.Updates != nil
		p.seal = p.seal || e.Updates == nil
		heard[e.SeqNo] = p
	}
	through := t.through()
	var missing []*Command
	for _, c := range w.inOrder {
		if c.SeqNo <= t.Start.SeqNo || c.SeqNo > through {
			continue
		}
		effect, got := c.on(t.Start.Stream), heard[c.SeqNo]
		// The reader may have stopped asking between the updates and the seal. A listener
		// hears nothing of a command that changes nothing.
		seal := effect.Seal != nil && !got.seal && c.SeqNo < through && (!c.mayBeIdle() || !effect.Seal.LessEqual(t.upperAt(c.SeqNo)))
		if len(effect.Updates) > 0 && !got.updates || seal {
			missing = append(missing, c)
		}
	}
	slices.SortFunc(missing, func(a, b *Command) int { return cmp.Compare(a.SeqNo, b.SeqNo) })
	return missing
}

// upperAt is the upper that the tail has told up to a position.
func (t *Tail) upperAt(at storage.SeqNo) frontier.Antichain {
	upper := t.Start.Upper
	for _, e := range t.Events {
		if e.Updates == nil && e.SeqNo <= at {
			upper = e.Sealed
		}
	}
	return upper
}

// cause is what may have lost an event.
type cause int

const (
	nothing cause = iota
	compaction
	slowness
)

// cause tells what may have lost the event. It is compaction if the since was allowed to
// pass all updates of the event before the reader got there. Else it is slowness if the
// reader asked only after the command had been acknowledged.
func (g *gap) cause(sinces map[string][]allowed) cause {
	if len(g.missing.Updates) > 0 {
		for _, a := range sinces[g.missing.Stream] {
			if a.at < g.heard && !slices.ContainsFunc(g.missing.Updates, func(u Update) bool { return a.since.Admits(u.Time) }) {
				return compaction
			}
		}
	}
	if g.command.Return < g.asked {
		return slowness
	}
	return nothing
}

// allowed is a since and the tick at which it was acknowledged.
type allowed struct {
	since frontier.Antichain
	at    int64
}

func (h *History) sinces() map[string][]allowed {
	sinces := make(map[string][]allowed)
	for i := range h.Commands {
		c := &h.Commands[i]
		for _, e := range c.Effects {
			if c.Outcome == Done && e.Since != nil {
				sinces[e.Stream] = append(sinces[e.Stream], allowed{*e.Since, c.Return})
			}
		}
	}
	return sinces
}

// firstGap returns the first gap with a cause, as a violation.
func (h *History) firstGap(property string, because cause, format string) error {
	sinces := h.sinces()
	for g := range h.gaps() {
		if g.cause(sinces) == because {
			detail := "updates " + describe(g.missing.Updates)
			if g.missing.Seal != nil {
				detail += fmt.Sprintf(", seal %s", *g.missing.Seal)
			}
			return g.tail.violation(property, g.command.SeqNo, format, detail)
		}
	}
	return nil
}

// Complete checks that a tail has no gap. Between its snapshot and the last event that it
// has delivered, it has delivered every acknowledged command, and nothing else. It ends
// with io.EOF only after the stream was finished.
func Complete(h *History) error {
	writes := h.writes()
	for i := range h.Tails {
		t := &h.Tails[i]
		finished := t.Start.Upper.IsEmpty()
		for k := range t.Events {
			e := &t.Events[k]
			if len(e.Updates) == 0 {
				finished = finished || e.Sealed.IsEmpty()
				if e.Updates == nil && e.SeqNo > t.Start.SeqNo && !writes[t.Start.Stream].sealed(t.Start.Stream, e) {
					return t.violation("complete", e.SeqNo, "nobody sealed it to %s", e.Sealed)
				}
				continue
			}
			if v, _ := writes[t.Start.Stream].judge(t.Start.Stream, e); v == foreign {
				return t.violation("complete", e.SeqNo, "nobody wrote %v", e.Updates)
			}
		}
		if errors.Is(t.Ended, io.EOF) && !finished {
			return t.violation("complete", t.Start.SeqNo, "it came to an end, although the stream was not finished")
		}
	}
	return h.firstGap("complete", nothing, "it was acknowledged while the reader waited, and never delivered: %s")
}

// NothingLostUnderCompaction checks that events are not compacted, however far the since
// has moved meanwhile. No event is left out because its updates cancel each other or are
// before the since. Updates come with the times and diffs with which they were written.
func NothingLostUnderCompaction(h *History) error {
	writes := h.writes()
	for i := range h.Tails {
		t := &h.Tails[i]
		for k := range t.Events {
			e := &t.Events[k]
			if len(e.Updates) == 0 {
				continue
			}
			if v, c := writes[t.Start.Stream].judge(t.Start.Stream, e); v == moved {
				return t.violation("nothing lost under compaction", e.SeqNo, "it brought %v, compacted from %v", e.Updates, c.on(t.Start.Stream).Updates)
			}
		}
	}
	return h.firstGap("nothing lost under compaction", compaction, "the since had passed it when its turn came, and it was left out: %s")
}

// NothingLostForSlowReader checks that a reader that falls behind gets everything all the
// same, or is told that it does not. Nothing is left out that was acknowledged before the
// reader asked for more. A tail ends only with one of the reasons that a listener has.
func NothingLostForSlowReader(h *History) error {
	for i := range h.Tails {
		t := &h.Tails[i]
		known := t.Ended == nil
		for _, reason := range []error{
			io.EOF, ErrSilent, persist.ErrStopped, persist.ErrDestroyed, persist.ErrLagged, persist.ErrClosed,
		} {
			known = known || errors.Is(t.Ended, reason)
		}
		if !known {
			return t.violation("nothing lost for a slow reader", t.through(), "it ended with an error that does not tell what to do: %v", t.Ended)
		}
	}
	return h.firstGap("nothing lost for a slow reader", slowness, "the reader had fallen behind, and was not told that this is gone: %s")
}
