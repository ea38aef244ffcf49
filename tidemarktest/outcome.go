package tidemarktest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// outcome is what became of a request: a class, and words. The words have places for the
// seqnos. Without SeqNos, the words of equal outcomes are equal on any store.
type outcome struct {
	class  class
	words  string
	seqnos []storage.SeqNo
}

type class string

const (
	succeeded class = "ok"
	refused   class = "refused" // because of what was asked
	failed    class = "failed"  // because of the store or its runtime
	nothing   class = "nothing" // there was nothing to act on
)

// skipped is the result of a request that found nothing to act on. did is the result of a
// request that always succeeds.
type (
	skipped struct{}
	did     struct{}
)

func (skipped) outcome() outcome { return outcome{class: nothing} }
func (did) outcome() outcome     { return outcome{class: succeeded} }

// opening is the result of Start and OpenReader.
type opening struct {
	err     error
	refused bool
}

func (o *opening) outcome() outcome {
	if o.refused {
		return outcome{class: refused, words: "locked"}
	}
	return outcomeOf(o.err)
}

type maintenance struct{ answer }

func outcomeOf(err error) outcome {
	switch i := slices.IndexFunc(refusals, func(r error) bool { return errors.Is(err, r) }); {
	case err == nil:
		return outcome{class: succeeded}
	case i >= 0:
		return outcome{class: refused, words: refusals[i].Error()}
	case errors.Is(err, persist.ErrOutcomeUnknown):
		return outcome{class: failed, words: "outcome unknown"}
	case errors.Is(err, persist.ErrStopped), errors.Is(err, storage.ErrClosed):
		return outcome{class: failed, words: "stopped"}
	case errors.Is(err, storage.ErrNoEffect):
		return outcome{class: failed, words: "no effect"}
	default:
		return outcome{class: failed, words: err.Error()}
	}
}

func (a *answer) outcome() outcome { return outcomeOf(a.err) }

func (c *call) outcome() outcome {
	o := outcomeOf(c.err)
	if c.err != nil {
		return o
	}
	if c.kind == Destroy {
		o.words = fmt.Sprint(c.existed)
	} else if c.kind != Create {
		o.words, o.seqnos = "at %s", []storage.SeqNo{c.seqno}
	}
	return o
}

func (t *taking) outcome() outcome {
	o := outcomeOf(t.err)
	if t.err == nil {
		o.words = fmt.Sprintf("at %%s, upper %s, since %s", t.upper, t.since)
		o.seqnos = []storage.SeqNo{t.seqno}
	}
	return o
}

func (d *description) outcome() outcome {
	o := outcomeOf(d.err)
	if d.err == nil {
		o.words = d.got.String()
	}
	return o
}

func (r *reading) outcome() outcome {
	o := outcomeOf(r.err)
	switch {
	case r.err != nil:
	case r.of.since.IsEmpty(): // times may have been moved or not; only sums are exact
		o.words = add(r.rows, frontier.At(math.MaxUint64)).String()
	case r.way == readAll: // in storage order, and not consolidated
		o.words = add(r.rows, frontier.Antichain{}).String()
	default:
		o.words = rowsString(r.rows)
	}
	return o
}

func (l *listening) outcome() outcome {
	o := l.taking.outcome()
	if l.err != nil || l.cutShort {
		return o
	}
	for _, e := range l.events {
		o.seqnos = append(o.seqnos, e.SeqNo)
		if e.Updates == nil {
			o.words += "; at %s sealed " + e.Sealed.String()
		} else {
			o.words += "; at %s " + rowsString(e.Updates)
		}
	}
	return o
}

func rowsString(rows []Update) string {
	texts := make([]string, len(rows))
	for i, u := range rows {
		texts[i] = updateString(u)
	}
	return "[" + strings.Join(texts, " ") + "]"
}

// text returns the words with the SeqNos in their places.
func (o outcome) text(name func(storage.SeqNo) string) string {
	names := make([]any, len(o.seqnos))
	for i, s := range o.seqnos {
		names[i] = name(s)
	}
	words := o.words
	if len(names) > 0 {
		words = fmt.Sprintf(words, names...)
	}
	return strings.TrimSuffix(string(o.class)+" "+words, " ")
}

// diff returns the lines in which two sorted lists of updates differ, or "".
func diff(want, got []Update) string {
	var lines []string
	for _, u := range want {
		if !slices.Contains(got, u) {
			lines = append(lines, "    - "+updateString(u))
		}
	}
	for _, u := range got {
		if !slices.Contains(want, u) {
			lines = append(lines, "    + "+updateString(u))
		}
	}
	if len(lines) == 0 && !slices.Equal(want, got) {
		lines = append(lines, fmt.Sprintf("    - %s\n    + %s", rowsString(want), rowsString(got)))
	}
	return strings.Join(lines, "\n")
}

// differences returns a line for each row that is there too often or too rarely, or "".
func differences(counts map[string]int64, names map[string]string) string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		switch n := counts[id]; {
		case n < 0:
			lines = append(lines, fmt.Sprintf("    - %s %+d", names[id], -n))
		case n > 0:
			lines = append(lines, fmt.Sprintf("    + %s %+d", names[id], n))
		}
	}
	return strings.Join(lines, "\n")
}
