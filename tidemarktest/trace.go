package tidemarktest

import (
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// trace returns a line for each request with its whole outcome: what was acknowledged or
// refused, every row that was read, every event that was heard.
//
// SeqNos are replaced by their rank among those of the trace, so that stores that count
// differently can be compared. In a calm history, the trace leaves out what depends on the
// store's schedule:
//
//   - the words of a failure, which are the store's own;
//   - the outcome of a read, or of maintenance, while the storage was down: a cache may
//     help;
//   - the outcome of a read of a snapshot after the end of its runtime: a cache may help.
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
		if k := h.requests[i].kind; h.opts.calm && (k == Maintain || k == Read) && h.downWhile(i) {
			text = "while the storage was down"
		}
		if rd, ok := h.results[i].(*reading); ok && h.opts.calm && rd.afterItsRuntime() {
			text = "after the runtime of the snapshot"
		}
		lines[i] = fmt.Sprintf("%s -> %s", h.requests[i], text)
	}
	return lines
}

// afterItsRuntime says whether the snapshot was read after the end of its runtime. What is
// in a cache can still be read then.
func (r *reading) afterItsRuntime() bool {
	if r.reader != nil {
		return r.reader.closing
	}
	return r.life.stopped >= 0 && r.life.stopped <= r.answered || r.life.crashed >= 0 && r.life.crashed <= r.answered || r.life.failed
}

// downWhile says whether the storage was down at some time between a request and its
// answer.
func (h *history) downWhile(request int) bool {
	until := request
	switch r := h.results[request].(type) {
	case *reading:
		until = max(until, r.answered)
	case *maintenance:
		until = max(until, r.answered)
	}
	for _, t := range h.troubles {
		if t.kind == Down && t.from <= until && (t.to < 0 || request <= t.to) {
			return true
		}
	}
	return false
}
