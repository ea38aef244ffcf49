package indexed

import (
	"fmt"
	"math"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/brief"
)

// plan is the state as it will be once everything on its way to the log is applied.
// Commands are checked against it. So a command sees the commands before it, whether they
// are durable yet or not. The commit goroutine owns it.
//
// Buried streams are not in it: the plan asks the state for them.
type plan struct {
	st      *state
	streams map[StreamID]*planned
	names   map[string]*planned
	nextID  StreamID
}

type planned struct {
	id                       StreamID
	name, keyCodec, valCodec string
	upper, since             frontier.Antichain
	destroyed                bool
}

// newPlan makes a plan from the applied state. REQUIRES: nothing is on its way to the log.
func newPlan(st *state) *plan {
	st.mu.Lock()
	defer st.mu.Unlock()
	p := &plan{
		st:      st,
		streams: make(map[StreamID]*planned, len(st.names)),
		names:   make(map[string]*planned, len(st.names)),
		nextID:  st.nextID,
	}
	for _, s := range st.names {
		p.add(&planned{
			id: s.id, name: s.name, keyCodec: s.keyCodec, valCodec: s.valCodec,
			upper: s.upper, since: s.since, destroyed: s.destroyed,
		})
	}
	return p
}

func (p *plan) add(s *planned) {
	p.streams[s.id], p.names[s.name] = s, s
	p.nextID = max(p.nextID, s.id+1)
}

// forget removes a stream that was buried.
func (p *plan) forget(id StreamID) {
	if s := p.streams[id]; s != nil {
		delete(p.streams, id)
		delete(p.names, s.name)
	}
}

// register decides a registration. It returns the id, and the operation for the log if the
// stream is new.
func (p *plan) register(name, keyCodec, valCodec string) (id StreamID, ops []op, err error) {
	if s := p.names[name]; s != nil {
		if s.destroyed {
			return 0, nil, destroyedError(name)
		}
		registered := stream{name: s.name, keyCodec: s.keyCodec, valCodec: s.valCodec}
		return s.id, nil, registered.checkCodecs(keyCodec, valCodec)
	}
	if p.st.isBuried(name) {
		return 0, nil, destroyedError(name)
	}
	if err := checkNames(name, keyCodec, valCodec); err != nil {
		return 0, nil, err
	}
	s := &planned{id: p.nextID, name: name, keyCodec: keyCodec, valCodec: valCodec}
	p.add(s)
	return s.id, []op{{kind: opRegister, stream: s.id, registration: &registration{name, keyCodec, valCodec}}}, nil
}

// destroy decides a destroy. destroyed is false if the stream was destroyed before.
func (p *plan) destroy(name string) (destroyed bool, ops []op, err error) {
	s := p.names[name]
	if s == nil && p.st.isBuried(name) {
		return false, nil, nil
	}
	if s == nil {
		return false, nil, streamErrorf(name, ErrUnknownStream, "it was never registered here, so it cannot be destroyed")
	}
	if s.destroyed {
		return false, nil, nil
	}
	s.destroyed = true
	return true, []op{{kind: opDestroy, stream: s.id}}, nil
}

// check decides a command: all of it takes effect, or nothing. idle is true if the command
// is accepted and changes nothing: it has no updates, and its frontiers are in force
// already. Then the log, followers and listeners need not know of it. Whether a command is
// idle may depend on the commands before it, so it is decided in its turn.
func (p *plan) check(c *request) (idle bool, err error) {
	if c.after != nil && c.after.err != nil {
		return false, fmt.Errorf("tidemark: %w: %w", ErrPrevious, c.after.err)
	}
	for i := range c.expected {
		if err := p.checkExpected(&c.expected[i]); err != nil {
			return false, err
		}
	}
	after := uppersAfter{ops: c.ops}
	for i := range c.ops {
		if err := p.checkOp(&c.ops[i], &after); err != nil {
			return false, err
		}
	}
	idle = true
	for i := range c.ops {
		switch o := &c.ops[i]; o.kind {
		case opWrite:
			idle = idle && o.cols.Len() == 0
		case opSeal:
			s := p.streams[o.stream]
			idle = idle && s.upper == o.frontier
			s.upper = o.frontier
		case opAllowCompaction:
			s := p.streams[o.stream]
			idle = idle && s.since == o.frontier
			s.since = o.frontier
		default:
			idle = false
		}
	}
	//museum:idle-is-written
	return idle, nil
}

func (p *plan) checkExpected(e *expectedUpper) error {
	name, upper := e.name, frontier.Antichain{}
	if name != "" {
		if s := p.names[name]; s != nil && !s.destroyed {
			upper = s.upper
		}
	} else {
		s, err := p.live(e.stream)
		if err != nil {
			return err
		}
		name, upper = s.name, s.upper
	}
	//museum:expected-upper-ignored
	if upper != e.upper {
		return &UpperMismatchError{Stream: name, Expected: e.upper, Upper: upper}
	}
	return nil
}

func (p *plan) checkOp(o *op, after *uppersAfter) error {
	s, err := p.live(o.stream)
	if err != nil {
		return err
	}
	switch o.kind {
	case opWrite:
		if o.cols.Len() == 0 {
			return nil
		}
		t, _ := o.cols.TimeRange()
		if s.upper.IsEmpty() {
			return streamErrorf(s.name, ErrSealed, "update of key %s at time %d, but the stream is finished (upper {}): nothing can be written any more", brief.Bytes(o.cols.KeyAt(t)), t)
		}
		if !s.upper.Admits(t) {
			return streamErrorf(s.name, ErrSealed, "update of key %s at time %d is before the upper %s: write at the upper or later", brief.Bytes(o.cols.KeyAt(t)), t, s.upper)
		}
	case opSeal:
		//museum:seal-goes-back
		if o.frontier.LessThan(s.upper) {
			return streamErrorf(s.name, ErrSealRegression, "seal to %s is before the upper %s: an upper never goes back", o.frontier, s.upper)
		}
	case opAllowCompaction:
		if o.frontier.LessThan(s.since) {
			return streamErrorf(s.name, ErrSinceRegression, "compaction to %s is before the since %s: a since never goes back", o.frontier, s.since)
		}
		if o.frontier != s.since && tooFar(o.frontier, s.upper) && tooFar(o.frontier, after.of(s)) {
			return streamErrorf(s.name, ErrInvalid, "compaction to %s while the upper is %s: that is more than half of all times in advance, as a difference is that has wrapped below 0, and would keep no time apart for good. While the upper is below what is to be kept there is nothing to compact; that nobody reads any more is frontier.Empty()", o.frontier, after.of(s))
		}
	}
	return nil
}

// uppersAfter tells the uppers of streams as they are after a command.
type uppersAfter struct {
	ops   []op
	seals map[StreamID]frontier.Antichain // made when first needed, which is rare
}

func (u *uppersAfter) of(s *planned) frontier.Antichain {
	if u.seals == nil {
		u.seals = make(map[StreamID]frontier.Antichain)
		for i := range u.ops {
			if o := &u.ops[i]; o.kind == opSeal {
				u.seals[o.stream] = o.frontier
			}
		}
	}
	if upper, ok := u.seals[s.id]; ok {
		return upper
	}
	return s.upper
}

// tooFar reports whether a since is so far after the upper that it can only be a number
// that has wrapped: upper-1 for an upper of 0 is the last of all times. Such a seal would
// be noticed, at the latest by the next write. Such a since would silently remove all times
// from later data.
func tooFar(since, upper frontier.Antichain) bool {
	s, ok := since.Elem()
	u, unfinished := upper.Elem()
	//museum:since-wrapped
	return ok && unfinished && s > u && s-u > math.MaxInt64
}

func (p *plan) live(id StreamID) (*planned, error) {
	s := p.streams[id]
	if s == nil {
		if name, ok := p.st.buried(id); ok {
			return nil, destroyedError(name)
		}
		return nil, streamErrorf(id.String(), ErrUnknownStream, "no stream has this id here")
	}
	if s.destroyed {
		return nil, destroyedError(s.name)
	}
	return s, nil
}
