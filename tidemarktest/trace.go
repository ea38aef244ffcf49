package tidemarktest

import (
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// trace returns a line for each request with all of its outcome: what was
// acknowledged or refused, every row that was read, every event that was heard.
//
// SeqNos are replaced by their rank among those of the trace, so that stores which
// count differently can be compared. Of a calm history it leaves out what depends on
// the store's schedule: what was asked while the storage was down may fail or not, a
// cache may help, and the words of such a failure are the store's own.
func (h *history) trace() []string {
	var seen []storage.SeqNo
	for i := range h.results {
		seen = append(seen, h.outcome(i).seqnos...)
	}
	slices.Sort(seen)
	seen = slices.Compact(seen)
	rank := func(s storage.SeqNo) string {
		i, _ := slices.BinarySearch(seen, s)
		return fmt.Sprintf("#%d", i)
	}
	lines := make([]string, len(h.results))
	for i := range h.results {
		o := h.outcome(i)
		text := o.text(rank)
		if h.opts.calm && o.class == failed {
			text = string(failed)
		}
		if k := h.requests[i].kind; h.opts.calm && (k == Maintain || k == Read) && h.downAt(i) {
			text = "while the storage was down"
		}
		lines[i] = fmt.Sprintf("%s -> %s", h.requests[i], text)
	}
	return lines
}

func (h *history) downAt(request int) bool {
	for _, t := range h.troubles {
		if t.kind == Down && t.from <= request && (t.to < 0 || request <= t.to) {
			return true
		}
	}
	return false
}
