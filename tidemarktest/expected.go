package tidemarktest

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// expectation is an event that a listener must hear, or may hear.
type expectation struct {
	event
	// The SeqNo is that of the event. It is not known if the outcome of the call is
	// unknown. Then it lies between after and before, the SeqNos of its neighbours.
	after, before storage.SeqNo
	// may is not nil if the event may have left no other trace. Of such events of one life,
	// the first ones happened, if any.
	may *life
}

type event = persist.ListenEvent[string, string]

func (e expectation) isHeardAs(heard event) bool {
	position := e.SeqNo == heard.SeqNo || e.SeqNo == 0 && e.after < heard.SeqNo && heard.SeqNo < e.before
	return position && e.Sealed == heard.Sealed && slices.Equal(e.Updates, heard.Updates)
}

func (e expectation) finishes() bool { return e.Updates == nil && e.Sealed.IsEmpty() }

// expects returns what a listener has to hear of the calls up to end, if its snapshot
// reflects the first k calls.
func (j *judge) expects(h *history, l *listening, k, end int) (events []expectation) {
	if d, err := j.versions[k].Description(l.name); err == nil && d.Upper.IsEmpty() {
		return nil
	}
	if l.reader == nil {
		end = max(k, min(end, l.life.sees))
	}
	for i, c := range h.calls[k:end] {
		if !c.applied && !c.traceless || c.idle {
			continue
		}
		for _, e := range c.command.Events(l.name) {
			want := expectation{event: e}
			if want.SeqNo = c.seqno; c.seqno == 0 {
				want.after, want.before = h.seqnosAt(k + i)
			}
			if c.traceless {
				want.may = c.life
			}
			events = append(events, want)
		}
		if n := len(events); n > 0 && events[n-1].finishes() {
			break
		}
	}
	return events
}

// hear returns the ways in which the listening can go on after one more event. Each way is
// what is left to hear then. No way means that the event was not due.
func hear(lefts [][]expectation, heard event) (ways [][]expectation) {
	for _, left := range lefts {
		for len(left) > 0 {
			// Two ways with equally many events left are the same.
			if left[0].isHeardAs(heard) && !slices.ContainsFunc(ways, func(w []expectation) bool { return len(w) == len(left)-1 }) {
				ways = append(ways, left[1:])
			}
			of := left[0].may
			if of == nil {
				break
			}
			for len(left) > 0 && left[0].may == of { // these did not happen
				left = left[1:]
			}
		}
	}
	return ways
}

// must returns how many of the events have to be heard.
func must(events []expectation) (n int) {
	for _, e := range events {
		if e.may == nil {
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
	lefts := [][]expectation{want}
	for i, e := range l.events {
		ways := hear(lefts, e)
		if len(ways) == 0 {
			left := lefts[0]
			if at := slices.IndexFunc(left, func(e expectation) bool { return e.may == nil }); at >= 0 {
				return fmt.Sprintf("heard %v as event %d, want %v", e, i, left[at].event)
			}
			return fmt.Sprintf("heard %v as event %d, which nobody did", e, i)
		}
		lefts = ways
	}
	for _, m := range l.marks {
		soon := j.expects(h, l, k, m.calls)
		if n := must(soon); m.events < n && !errors.Is(l.end, persist.ErrLagged) {
			return fmt.Sprintf("had heard %d events of %d when request %d was done, long after they were acknowledged; the last of them is %v", m.events, n, m.request, soon[len(soon)-1].event)
		}
	}
	_, destroyed := j.versions[len(j.versions)-1].live(l.name)
	complete := slices.ContainsFunc(lefts, func(left []expectation) bool { return must(left) == 0 })
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
