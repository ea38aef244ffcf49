package tidemarktest

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// expectation is an event that a listener has to hear, or may.
type expectation struct {
	event
	may bool
}

type event = persist.ListenEvent[string, string]

// isHeardAs compares with what was heard. A call with an unknown outcome has no SeqNo.
func (e expectation) isHeardAs(heard event) bool {
	return (e.SeqNo == 0 || e.SeqNo == heard.SeqNo) && e.Sealed == heard.Sealed && slices.Equal(e.Updates, heard.Updates)
}

func (e expectation) finishes() bool { return e.Updates == nil && e.Sealed.IsEmpty() }

// expects returns what a listener whose snapshot reflects the first k calls has to
// hear of those up to end.
func (j *judge) expects(h *history, l *listening, k, end int) (events []expectation) {
	if d, err := j.versions[k].Description(l.name); err == nil && d.Upper.IsEmpty() {
		return nil
	}
	if l.reader == nil {
		end = max(k, min(end, l.life.sees))
	}
	for _, c := range h.calls[k:end] {
		if !c.applied && !c.traceless {
			continue
		}
		for _, e := range c.command.Events(l.name) {
			e.SeqNo = c.seqno
			events = append(events, expectation{e, c.traceless})
		}
		if n := len(events); n > 0 && events[n-1].finishes() && !events[n-1].may {
			break
		}
	}
	return events
}

// must returns how many of the events have to be heard.
func must(events []expectation) (n int) {
	for _, e := range events {
		if !e.may {
			n++
		}
	}
	return n
}

// expected returns how many events a listener has to have heard.
func (j *judge) expected(h *history, l *listening, end int) int {
	for _, k := range j.reflects(h, &l.taking) {
		return must(j.expects(h, l, k, end))
	}
	return 0
}

func (j *judge) listening(h *history, l *listening) {
	if l.err != nil {
		return // judged as a snapshot
	}
	var why string
	for _, k := range j.reflects(h, &l.taking) {
		if why = j.hears(h, l, k); why == "" {
			return
		}
	}
	if why != "" {
		h.violate(l.request, "a listener of %s %s", l.name, why)
	}
}

// hears judges what a listener has heard, and returns what is wrong.
func (j *judge) hears(h *history, l *listening, k int) string {
	want := j.expects(h, l, k, len(h.calls))
	left := want
	for i, e := range l.events {
		for len(left) > 0 && left[0].may && !left[0].isHeardAs(e) {
			left = left[1:]
		}
		if len(left) == 0 {
			return fmt.Sprintf("heard %v as event %d, which nobody did", e, i)
		}
		if !left[0].isHeardAs(e) {
			return fmt.Sprintf("heard %v as event %d, want %v", e, i, left[0].event)
		}
		left = left[1:]
	}
	for _, m := range l.marks {
		if n := must(j.expects(h, l, k, m.calls)); m.events < n && !errors.Is(l.end, persist.ErrLagged) {
			return fmt.Sprintf("had heard %d events of %d when request %d was done, long after they were acknowledged; the last of them is %v", m.events, n, m.request, want[n-1].event)
		}
	}
	_, destroyed := j.versions[len(j.versions)-1].live(l.name)
	complete := must(left) == 0
	switch {
	case l.end == nil && !l.close:
		return "did not end"
	case errors.Is(l.end, io.EOF):
		d, err := j.versions[k].Description(l.name)
		if n := len(want); !complete || (err != nil || !d.Upper.IsEmpty()) && (n == 0 || !want[n-1].finishes()) {
			return fmt.Sprintf("came to an end after %d events of %d", len(l.events), len(want))
		}
	case errors.Is(l.end, persist.ErrDestroyed):
		if !complete || !errors.Is(destroyed, persist.ErrDestroyed) {
			return fmt.Sprintf("ended after %d events of %d: %v", len(l.events), len(want), l.end)
		}
	case errors.Is(l.end, persist.ErrStopped):
		if l.reader == nil && !l.life.over() || l.reader != nil && !l.reader.closing {
			return fmt.Sprintf("ended: %v", l.end)
		}
	case errors.Is(l.end, storage.ErrClosed) && (l.close || l.reader != nil && l.reader.closing), errors.Is(l.end, h.ctx.Err()) && h.ctx.Err() != nil:
	case errors.Is(l.end, persist.ErrLagged) && (l.reader != nil || h.opts.Config.MaxListenerLag > 0):
	case l.end != nil:
		return fmt.Sprintf("ended: %v", l.end)
	}
	return ""
}
