package tidemarktest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// judge compares the answers of a history with the model.
//
// Calls are judged in their order: whether they were acknowledged or refused must follow
// from the calls before them that took effect. The calls with an unknown outcome are
// branches. The next opening decides for one branch.
type judge struct {
	versions     []*Model // after the first k calls
	newest       storage.SeqNo
	unsure       []int    // calls with an unknown outcome since the last opening
	branches     []*Model // after the first k of them
	maintenances []*maintenance
}

// refusals are the errors that mean: as things are, this can never be done.
var refusals = []error{
	persist.ErrSealed, persist.ErrSealRegression, persist.ErrSinceRegression, persist.ErrUpperMismatch,
	persist.ErrUnknownStream, persist.ErrDestroyed, persist.ErrInvalid, persist.ErrAsOfBeforeSince, persist.ErrOverflow,
}

// sameRefusal says whether one of the reasons of want is the reason of got.
func sameRefusal(got, want error) bool {
	return slices.ContainsFunc(refusals, func(r error) bool { return errors.Is(got, r) && errors.Is(want, r) })
}

// calls judges the calls that were not judged yet. All must have their answers.
func (j *judge) calls(h *history) {
	j.branch(h)
	j.choose(h, 0)
}

// branch judges the calls that were not judged yet, and leaves the branches open.
func (j *judge) branch(h *history) {
	if j.versions == nil {
		j.versions = []*Model{NewModel()}
	}
	base := len(j.versions) - 1
	j.branches, j.unsure = []*Model{j.versions[base]}, nil
	for _, c := range h.calls[base:] {
		// Collect all answers first: a refused call may share the fate of a call that comes
		// after it.
		if errors.Is(c.collect(), persist.ErrOutcomeUnknown) {
			c.life.failed = true
		}
	}
	for k := base; k < len(h.calls) && h.err == nil; k++ {
		j.call(h, k, h.calls[k])
	}
}

// call judges one call.
func (j *judge) call(h *history, k int, c *call) {
	err := c.collect()
	now := j.branches[len(j.branches)-1]
	after := now.Clone()
	refused := c.apply(after)
	switch {
	case c.carried != nil:
		if !slices.ContainsFunc(c.carried, func(carried error) bool { return errors.Is(err, carried) }) {
			h.violate(c.request, "its handles carry %v, but the answer is: %v", c.carried, err)
		}
	case err == nil && refused != nil:
		h.violate(c.request, "it was acknowledged, but must be refused: %v", refused)
	case err == nil && len(j.unsure) > 0:
		h.violate(c.request, "it was acknowledged after request %d, whose outcome is unknown", h.calls[j.unsure[0]].request)
	case err == nil && c.changes(now) && h.downThroughout(&c.answer):
		h.violate(c.request, "it was acknowledged while the storage was down")
	case err == nil:
		if c.command != nil && (c.seqno < j.newest || c.seqno == j.newest && c.changes(now)) {
			h.violate(c.request, "it was acknowledged at SeqNo %s, after one at %s", c.seqno, j.newest)
		}
		j.newest = max(j.newest, c.seqno)
		c.applied = true
		j.branches[0] = after
	case errors.Is(err, persist.ErrOutcomeUnknown):
		if !h.troubled(&c.answer, Cut) && c.life.crashed < 0 {
			h.violate(c.request, "its outcome is unknown, but nothing was done to the store: %v", err)
		}
		if refused != nil {
			h.violate(c.request, "its outcome is unknown, but it must be refused: %v: %v", refused, err)
		}
		c.life.sees = min(c.life.sees, k)
		j.unsure, j.branches = append(j.unsure, k), append(j.branches, after)
	case errors.Is(err, persist.ErrStopped):
		if l := c.life; !l.failed && l.crashed < 0 && (l.stopped < 0 || l.stopped > c.request) {
			h.violate(c.request, "it was called before the runtime was stopped, but answered: %v", err)
		}
	case errors.Is(err, storage.ErrNoEffect):
		if !h.troubled(&c.answer, Down) {
			h.violate(c.request, "it failed, but the storage was up: %v", err)
		}
	case errors.Is(err, persist.ErrTooLarge) && h.opts.Config.MaxTailBytes > 0:
	case refused == nil && !slices.ContainsFunc(j.branches, func(m *Model) bool { return sameRefusal(err, c.apply(m.Clone())) }):
		h.violate(c.request, "it is legal, but was refused: %v", err)
	case refused != nil && !sameRefusal(err, refused):
		h.violate(c.request, "it must be refused: %v, but the answer is: %v", refused, err)
	}
}

// choose takes the first n of the calls with an unknown outcome as having happened, and
// stores what the model was after each call. More of those calls may have happened without
// a trace: as many as lead back to what was found, in order from the first.
func (j *judge) choose(h *history, n int) {
	traceless := n
	for i := n + 1; i < len(j.branches); i++ {
		if sameModels(j.branches[n], j.branches[i]) {
			traceless = i
		}
	}
	for i, k := range j.unsure {
		h.calls[k].applied = i < n
		h.calls[k].traceless = i >= n && i < traceless
	}
	m := j.versions[len(j.versions)-1]
	for _, c := range h.calls[len(j.versions)-1:] {
		if c.applied {
			c.idle = !c.changes(m)
			m = m.Clone()
			if err := c.apply(m); err != nil {
				h.violate(c.request, "it cannot have happened: %v", err)
			}
		}
		j.versions = append(j.versions, m)
	}
	j.unsure, j.branches = nil, nil
}

// settle judges all calls, and reads everything from a runtime that was just opened. It
// must find what was acknowledged, and the first of the calls whose outcome is unknown.
func (j *judge) settle(h *history) {
	j.branch(h)
	if h.err != nil {
		return
	}
	var differences []string
	for n, m := range j.branches {
		difference, err := h.differs(m)
		if err != nil {
			h.violate(h.now, "after opening: %v", err)
			return
		}
		if difference == "" {
			j.choose(h, n)
			return
		}
		differences = append(differences, difference)
	}
	text := "what was opened is not what was acknowledged:\n" + differences[0]
	for n := range j.unsure {
		text += fmt.Sprintf("\nnor that with request %d, whose outcome is unknown, and those before it:\n%s", h.calls[j.unsure[n]].request, differences[n+1])
	}
	h.violate(h.now, "%s", text)
}

// differs compares a runtime that was just opened with a model.
func (h *history) differs(m *Model) (string, error) {
	infos, err := h.life.client.Streams(h.ctx)
	if err != nil {
		return "", err
	}
	var live []string
	for _, info := range infos {
		live = append(live, info.Name)
	}
	slices.Sort(live)
	if want := m.Names(); !slices.Equal(live, want) {
		return fmt.Sprintf("the streams are %q, want %q", live, want), nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.streams)) {
		w, r, err := persist.CreateOrLoad(h.ctx, h.life.client, name, codec.String, codec.String)
		if m.streams[name].destroyed {
			if !errors.Is(err, persist.ErrDestroyed) {
				return "", fmt.Errorf("stream %s was destroyed, and can be created again, or fails otherwise: %w", name, errOrNil{err})
			}
		} else if err != nil {
			return "", err
		}
		ready := make(chan struct{})
		close(ready)
		h.life.streams[name] = &handles{write: w, read: r, err: err, ready: ready}
		if err != nil {
			continue
		}
		s, err := r.Snapshot(h.ctx)
		if err != nil {
			return "", err
		}
		whole := reading{of: &taking{snapshot: s, since: s.Since()}, way: readToEnd}
		whole.read(h.ctx)
		upper, since := s.Upper(), s.Since()
		want, overflows := m.Contents(name)
		refused := errors.Is(whole.err, persist.ErrOverflow) // perhaps because of a command whose outcome is unknown
		all := reading{of: whole.of, way: readAll}
		if overflows != nil || refused {
			all.read(h.ctx) // what is stored must be exact all the same
		}
		_ = s.Close()
		err = whole.err
		if refused {
			err = nil
		}
		if err := errors.Join(err, all.err); err != nil {
			return "", err
		}
		d, _ := m.Description(name)
		if upper != d.Upper || since != d.Since {
			return fmt.Sprintf("stream %s has upper %s and since %s, want %s and %s", name, upper, since, d.Upper, d.Since), nil
		}
		got := whole.rows
		if overflows != nil || refused {
			if have, is := m.streams[name].sums(all.rows), m.streams[name].sums(m.streams[name].updates); !have.equal(is) {
				return fmt.Sprintf("stream %s has %s, want %s", name, have, is), nil
			}
			if overflows == nil {
				return fmt.Sprintf("stream %s has no sum that overflows, but: %v", name, whole.err), nil
			}
			if !refused && !since.IsEmpty() {
				return fmt.Sprintf("stream %s reads %s, but a sum overflows", name, rowsString(got)), nil
			}
			continue
		}
		if since.IsEmpty() { // times may have been moved or not
			if got, err = m.Advance(name, got); errors.Is(err, persist.ErrOverflow) {
				return fmt.Sprintf("stream %s has no sum that overflows, but %s has", name, rowsString(whole.rows)), nil
			}
		}
		if difference := diff(want, got); difference != "" {
			return fmt.Sprintf("stream %s (- expected, + found):\n%s", name, difference), nil
		}
	}
	return "", nil
}

// judgeAll judges what was read, after all calls were judged.
func (h *history) judgeAll() {
	j := &h.judge
	for _, t := range h.all {
		j.taking(h, t)
	}
	for _, r := range h.readings {
		j.reading(h, r)
	}
	for _, d := range h.describe {
		j.description(h, d)
	}
	for _, l := range h.heard {
		j.listening(h, l)
	}
	for _, m := range j.maintenances {
		if m.err != nil {
			j.failedRead(h, &m.answer, "")
		}
	}
}

// failedRead judges a read that failed.
func (j *judge) failedRead(h *history, a *answer, name string) {
	switch {
	case a.failedWith(persist.ErrStopped, storage.ErrClosed):
		if a.reader != nil && !a.reader.closing || a.reader == nil && !a.life.over() {
			h.violate(a.request, "the runtime was running, but it failed: %v", a.err)
		}
	case a.failedWith(persist.ErrOutcomeUnknown) && a.reader == nil && a.life.failed: // the handle's
	case a.failedWith(mem.ErrUnavailable):
		if !h.troubled(a, Down) {
			h.violate(a.request, "the storage was up, but it failed: %v", a.err)
		}
	case name != "" && j.exists(a, func(m *Model) bool {
		_, err := m.live(name)
		return err != nil && errors.Is(a.err, err)
	}):
	default:
		h.violate(a.request, "it failed: %v", a.err)
	}
}

// window returns the least and the greatest k for which a read may reflect the first
// k calls.
func (j *judge) window(a *answer) (lo, hi int) {
	last := len(j.versions) - 1
	if a.reader == nil {
		last = min(last, a.life.sees)
	}
	return min(a.lo, last), min(a.hi, last)
}

// exists says whether a condition holds for one of the models that a read may reflect.
func (j *judge) exists(a *answer, condition func(*Model) bool) bool {
	lo, hi := j.window(a)
	for k := lo; k <= hi; k++ {
		if condition(j.versions[k]) {
			return true
		}
	}
	return false
}

// reflects returns the ks for which a snapshot reflects the first k calls.
func (j *judge) reflects(h *history, t *taking) (ks []int) {
	lo, hi := j.window(&t.answer)
	for k := lo; k <= hi; k++ {
		last, next := h.seqnosAt(k)
		d, err := j.versions[k].Description(t.name)
		if last <= t.seqno && t.seqno < next && err == nil && d.Upper == t.upper && d.Since == t.since {
			ks = append(ks, k)
		}
	}
	return ks
}

// seqnosAt returns two SeqNos: that of the last acknowledged command among the first k
// calls, and that of the first acknowledged command after them.
func (h *history) seqnosAt(k int) (last, next storage.SeqNo) {
	next = math.MaxUint64
	for i, c := range h.calls {
		switch {
		case c.err != nil || c.seqno == 0 || c.idle: // an idle call has the position of one before it
		case i < k:
			last = c.seqno
		default:
			return last, c.seqno
		}
	}
	return last, next
}

func (j *judge) taking(h *history, t *taking) {
	if t.err != nil {
		j.failedRead(h, &t.answer, t.name)
		return
	}
	if len(j.reflects(h, t)) == 0 {
		h.violate(t.request, "a snapshot of %s at SeqNo %s has upper %s and since %s, which it had at no time from call %d to %d%s",
			t.name, t.seqno, t.upper, t.since, t.lo, t.hi, j.around(h, t))
	}
}

// around says what a snapshot could have reflected.
func (j *judge) around(h *history, t *taking) (text string) {
	lo, hi := j.window(&t.answer)
	for k := max(lo-1, 0); k <= hi; k++ {
		d, err := j.versions[k].Description(t.name)
		seqno := storage.SeqNo(0)
		if k > 0 {
			seqno = h.calls[k-1].seqno
		}
		text += fmt.Sprintf("\n    after call %d, at SeqNo %s: upper %s, since %s %v", k, seqno, d.Upper, d.Since, err)
	}
	return text
}

func (j *judge) reading(h *history, r *reading) {
	var want []Update
	var refused error
	for _, k := range j.reflects(h, r.of) {
		m := j.versions[k]
		want, refused = r.want(m)
		if r.err != nil {
			if refused != nil && sameRefusal(r.err, refused) {
				return
			}
			continue
		}
		got := r.rows
		readable := refused == nil || errors.Is(refused, persist.ErrOverflow)
		switch s := m.streams[r.of.name]; {
		case !readable:
		case r.of.since.IsEmpty(): // times may have been moved or not
			if s.sums(got).equal(s.sums(s.updates)) {
				return
			}
		case r.way == readAll: // this way advances times, and adds nothing up
			if add(got, frontier.Antichain{}).equal(s.sums(s.updates)) {
				return
			}
		case refused == nil && slices.Equal(got, want):
			return
		}
	}
	switch {
	case r.err != nil && (refused == nil || errors.Is(refused, persist.ErrOverflow)): // an overflow is known only after the read
		j.failedRead(h, &r.answer, "")
	case refused != nil:
		h.violate(r.request, "reading %s of %s, since %s, must be refused: %v, but the answer is: %v %v", r.way, r.of.name, r.of.since, refused, r.rows, r.err)
	default:
		h.violate(r.request, "reading the snapshot that request %d took of %s at SeqNo %s, upper %s, since %s, %s %q from %d to %d (- expected, + found):\n%s",
			r.of.request, r.of.name, r.of.seqno, r.of.upper, r.of.since, r.way, r.keys, r.lower, r.upper, diff(want, r.rows))
	}
}

func (j *judge) description(h *history, d *description) {
	if d.err != nil {
		j.failedRead(h, &d.answer, d.name)
		return
	}
	if !j.exists(&d.answer, func(m *Model) bool {
		want, err := m.Description(d.name)
		return err == nil && want == d.got
	}) {
		want, err := j.versions[d.lo].Description(d.name)
		h.violate(d.request, "%s is %s, want %s %v", d.name, d.got, want, err)
	}
}

// sameModels says whether no read can tell two models apart.
func sameModels(a, b *Model) bool {
	if !slices.Equal(a.Names(), b.Names()) {
		return false
	}
	for _, name := range a.Names() {
		da, _ := a.Description(name)
		db, _ := b.Description(name)
		sa, sb := a.streams[name], b.streams[name]
		if da != db || !sa.sums(sa.updates).equal(sb.sums(sb.updates)) {
			return false
		}
	}
	return true
}
