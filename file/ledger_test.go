//go:build unix

package file_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-go/tidemark/storage"
)

// row is an update. Its value is made from its key and size, so that it need not be
// written into every line.
type row struct {
	Key  string
	Size int
	Time uint64
	Diff int64
}

// write is what a command adds to one stream. The first row has a key of its own
// and a diff above 0: if the command took effect, it is there.
type write struct {
	Stream string
	Rows   []row
}

// command is what a writer was about to ask for, in its own words.
type command struct {
	ID      string
	Writes  []write           `json:",omitempty"`
	Seals   map[string]uint64 `json:",omitempty"`
	Sinces  map[string]uint64 `json:",omitempty"`
	Create  string            `json:",omitempty"`
	Destroy string            `json:",omitempty"`
	// Races: it expects an upper that another writer may have moved, so it may be
	// refused.
	Races   bool   `json:",omitempty"`
	Expects uint64 `json:",omitempty"` // the upper of the stream "race"

	// What the parent knows of it.
	submitted int           // number of the line that announced it
	returned  int           // number of the line that said that the call had returned; 0: it did not say so
	acked     bool          // it was said to be durable
	refused   bool          // it was said to be refused
	applied   bool          // it took effect
	seqno     storage.SeqNo // if acked
	settledBy storage.SeqNo // if applied: its position is not after this one
}

// view is what somebody saw of a stream.
type view struct {
	Stream string
	SeqNo  storage.SeqNo
	Since  uint64
	Upper  uint64
	Rows   []row
}

// ledger is what the parent of a writer knows: what was acknowledged, what was on
// its way, and so what has to be in the location.
type ledger struct {
	lines   int
	last    storage.SeqNo // newest position known to be taken
	history []*command    // applied, in no order; nil unless kept
	keep    bool
	open    map[string]*command // of this incarnation, by id
	streams map[string]*expected
	gone    map[string]bool // streams that were destroyed

	figures figures
}

// figures count what happened, so that a run that did too little is not taken for
// a good one.
type figures struct {
	acked, refused   int
	survived, lost   int // commands that were on their way when the process was killed
	created, dropped int
}

// expected is what a stream holds.
type expected struct {
	rows         map[row]int64 // by the row with diff 0
	upper, since uint64
}

func newLedger() *ledger {
	l := &ledger{open: map[string]*command{}, streams: map[string]*expected{}, gone: map[string]bool{}}
	l.stream("shared")
	l.stream("race")
	for i := range writers {
		l.stream(ownStream(i))
	}
	return l
}

// check does what settle does, and forgets it: a reader that is not the next writer
// may see less of what was never acknowledged.
func (l *ledger) check(views []*view) error {
	c := &ledger{last: l.last, open: map[string]*command{}, streams: map[string]*expected{}, gone: maps.Clone(l.gone)}
	for id, command := range l.open {
		copied := *command
		c.open[id] = &copied
	}
	for name, e := range l.streams {
		c.streams[name] = &expected{maps.Clone(e.rows), e.upper, e.since}
	}
	return c.settle(views)
}

// hear takes note of a line.
func (l *ledger) hear(s said) error {
	l.lines++
	if s.What == "submit" {
		s.Command.submitted = l.lines
		l.open[s.Command.ID] = s.Command
		return nil
	}
	c := l.open[s.ID]
	if c == nil {
		return nil // not about a command
	}
	switch s.What {
	case "returned":
		c.returned = l.lines
	case "acked":
		if s.SeqNo <= l.last && c.Create == "" && c.Destroy == "" {
			return fmt.Errorf("command %s was given position %s, which was taken when its process began: %s", c.ID, s.SeqNo, l.last)
		}
		c.acked, c.seqno = true, s.SeqNo
	case "cancelled": // before it was taken
		c.refused = true
	case "refused":
		if !c.Races {
			return fmt.Errorf("command %s was refused: %s", c.ID, s.Text)
		}
		c.refused = true
	}
	return nil
}

// settle decides from what is in a location, after its writer has ended, which
// commands took effect, and checks that this is what was promised. views are all
// live streams. From here on the ledger expects exactly that.
func (l *ledger) settle(views []*view) error {
	seen := map[string]*view{}
	for _, v := range views {
		seen[v.Stream] = v
	}
	if err := l.decide(seen); err != nil {
		return err
	}
	var position storage.SeqNo
	for _, v := range views {
		position = max(position, v.SeqNo)
	}
	taken := map[storage.SeqNo]string{}
	for _, c := range l.inOrder() {
		if c.acked && c.seqno > 0 {
			// One that changes nothing, a frontier alone that is in force, has the position of
			// one before it.
			if other, ok := taken[c.seqno]; ok && len(c.Writes) > 0 {
				return fmt.Errorf("commands %s and %s were both given position %s", other, c.ID, c.seqno)
			}
			if len(c.Writes) > 0 {
				taken[c.seqno] = c.ID
			}
			if c.seqno > position {
				return fmt.Errorf("command %s was acknowledged at position %s, and the location ends at %s", c.ID, c.seqno, position)
			}
		}
		l.count(c)
		if c.applied {
			c.settledBy = position
			l.apply(c)
			if l.keep {
				l.history = append(l.history, c)
			}
		}
	}
	clear(l.open)
	if position < l.last {
		return fmt.Errorf("the location ends at position %s, and ended at %s before", position, l.last)
	}
	l.last = position
	for name, e := range l.streams {
		v := seen[name]
		if v == nil {
			return fmt.Errorf("stream %q is not there", name)
		}
		if err := e.compare(v); err != nil {
			return err
		}
	}
	for name := range seen {
		if l.streams[name] == nil {
			return fmt.Errorf("stream %q is there, and was never created or was destroyed", name)
		}
	}
	return nil
}

func (l *ledger) count(c *command) {
	f := &l.figures
	switch {
	case c.acked:
		f.acked++
	case c.refused:
		f.refused++
	case c.applied:
		f.survived++
	default:
		f.lost++
	}
	if c.applied && c.Create != "" {
		f.created++
	}
	if c.applied && c.Destroy != "" {
		f.dropped++
	}
}

func (l *ledger) inOrder() []*command {
	return slices.SortedFunc(maps.Values(l.open), func(a, b *command) int { return a.submitted - b.submitted })
}

// decide sets applied for every command of the incarnation. A command that nobody
// answered did take effect if its rows are there; if it has none, if a frontier is
// where only it can have put it, or if a command took effect that was submitted
// after its call had returned.
func (l *ledger) decide(seen map[string]*view) error {
	commands := l.inOrder()
	keys := map[string]bool{}
	for name, v := range seen {
		for _, r := range v.Rows {
			keys[name+" "+r.Key] = true
		}
	}
	for _, c := range commands {
		c.applied = c.acked
		if c.acked || c.refused {
			continue
		}
		there := 0
		for _, w := range c.Writes {
			if keys[w.Stream+" "+w.Rows[0].Key] {
				there++
			}
		}
		if there != 0 && there != len(c.Writes) {
			return fmt.Errorf("command %s took effect on %d of its %d streams: %+v", c.ID, there, len(c.Writes), c)
		}
		c.applied = there > 0 || c.Create != "" && seen[c.Create] != nil || c.Destroy != "" && seen[c.Destroy] == nil
	}
	for name, v := range seen {
		if err := l.explain(commands, name, "upper", v.Upper, func(c *command) (uint64, bool) { t, ok := c.Seals[name]; return t, ok }); err != nil {
			return err
		}
		if err := l.explain(commands, name, "since", v.Since, func(c *command) (uint64, bool) { t, ok := c.Sinces[name]; return t, ok }); err != nil {
			return err
		}
	}
	// Whatever was submitted after a call had returned is after it in the log.
	newest := 0 // line that submitted the newest command that took effect
	for _, c := range commands {
		if c.applied {
			newest = c.submitted
		}
	}
	for _, c := range commands {
		if c.applied || c.refused || c.returned == 0 || c.returned > newest || c.Races {
			continue
		}
		if len(c.Writes) > 0 || c.Create != "" || c.Destroy != "" {
			return fmt.Errorf("command %s is lost, and one that was submitted after its call had returned is there: %+v", c.ID, c)
		}
		c.applied = true
	}
	return nil
}

// explain finds the command that moved a frontier to where it is, if none that is
// known to have taken effect did. Each writer moves the frontiers of its streams
// forward only, so its earlier commands took effect as well.
func (l *ledger) explain(commands []*command, name, what string, at uint64, moves func(*command) (uint64, bool)) error {
	had := uint64(0)
	if e := l.streams[name]; e != nil {
		had = e.upper
		if what == "since" {
			had = e.since
		}
	}
	var candidate *command
	for _, c := range commands {
		t, ok := moves(c)
		switch {
		case !ok || c.refused:
		case c.applied:
			had = max(had, t)
		case t == at && len(c.Writes) == 0 && candidate == nil:
			candidate = c
		}
	}
	switch {
	case at == had:
		return nil
	case at < had:
		return fmt.Errorf("stream %q: its %s is %d, and was said to be %d", name, what, at, had)
	case candidate == nil:
		return fmt.Errorf("stream %q: its %s is %d, and nobody has moved it beyond %d", name, what, at, had)
	}
	candidate.applied = true
	return nil
}

// apply makes a command part of what is expected.
func (l *ledger) apply(c *command) {
	if c.Create != "" && !l.gone[c.Create] {
		l.stream(c.Create)
	}
	for _, w := range c.Writes {
		for _, r := range w.Rows {
			l.stream(w.Stream).add(r)
		}
	}
	for name, t := range c.Seals {
		l.stream(name).upper = max(l.stream(name).upper, t)
	}
	for name, t := range c.Sinces {
		l.stream(name).since = max(l.stream(name).since, t)
	}
	if c.Destroy != "" {
		l.gone[c.Destroy] = true
	}
	for name := range l.gone {
		delete(l.streams, name)
	}
}

func (l *ledger) stream(name string) *expected {
	if l.streams[name] == nil {
		l.streams[name] = &expected{rows: map[row]int64{}}
	}
	return l.streams[name]
}

func (e *expected) add(r row) {
	r.Time = max(r.Time, e.since)
	at := r
	at.Diff = 0
	if e.rows[at] += r.Diff; e.rows[at] == 0 {
		delete(e.rows, at)
	}
}

// compare advances what is expected to the since and compares it with what is there.
func (e *expected) compare(v *view) error {
	if e.upper != v.Upper || e.since != v.Since {
		return fmt.Errorf("stream %q: want upper %d and since %d, found %d and %d", v.Stream, e.upper, e.since, v.Upper, v.Since)
	}
	old := e.rows
	e.rows = make(map[row]int64, len(old))
	for r, diff := range old {
		r.Diff = diff
		e.add(r)
	}
	return sameRows(v.Stream, e.rows, v.Rows)
}

// sameRows compares rows with those of a snapshot, which are consolidated.
func sameRows(stream string, want map[row]int64, found []row) error {
	var wrong []string
	have := make(map[row]bool, len(found))
	for _, r := range found {
		at := r
		at.Diff = 0
		if have[at] {
			wrong = append(wrong, fmt.Sprintf("twice: %+v", r))
		}
		have[at] = true
		if want[at] != r.Diff {
			wrong = append(wrong, fmt.Sprintf("found %+v, want diff %d", r, want[at]))
		}
	}
	for at, diff := range want {
		if !have[at] {
			wrong = append(wrong, fmt.Sprintf("missing: %+v with diff %d", at, diff))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("stream %q: %d rows are wrong: %s", stream, len(wrong), strings.Join(wrong[:min(5, len(wrong))], "; "))
}
