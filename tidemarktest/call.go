package tidemarktest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// answer is what all that was asked of a runtime have in common. The moments in it
// are numbers of requests.
type answer struct {
	request  int
	life     *life
	reader   *reader // nil: the runtime that writes was asked
	done     <-chan struct{}
	answered int // the moment when the answer was known to be there; -1 until it is
	err      error

	// A read reflects the first k calls, for a k from lo to hi: those that had their
	// place in the order when it began, and some of those made until it ended.
	lo, hi int
}

func (a *answer) settled() bool { return a.answered >= 0 }

// failedWith says whether the answer is one of the given errors.
func (a *answer) failedWith(kinds ...error) bool {
	for _, kind := range kinds {
		if errors.Is(a.err, kind) {
			return true
		}
	}
	return false
}

// call is a mutation. Its index among the calls is its place in the order.
type call struct {
	answer
	kind    Kind
	command Command
	name    string                         // Create and Destroy
	existed bool                           // the answer of Destroy
	future  *persist.Future[storage.SeqNo] // nil once its answer was collected
	seqno   storage.SeqNo

	// carried are the errors of the handles it was called through: with any it was
	// never sent. They were judged with the calls that they come from.
	carried []error

	// The judgement.
	applied bool
	idle    bool // it is applied and changes nothing, so that nothing is heard of it
	// traceless: its outcome is unknown, and what was found after it is the same with
	// and without it. Only a listener of a reader may have seen it.
	traceless bool
}

// apply makes the call take effect on a model, or returns why it cannot.
func (c *call) apply(m *Model) error {
	switch c.kind {
	case Create:
		return m.Create(c.name)
	case Destroy:
		existed, err := m.Destroy(c.name)
		if err == nil && c.err == nil && existed != c.existed {
			return fmt.Errorf("destroy answered %t, want %t", c.existed, existed)
		}
		return err
	default:
		return m.Apply(c.command)
	}
}

// changes says whether the call has to reach the log when it is applied to m.
func (c *call) changes(m *Model) bool {
	switch c.kind {
	case Create, Destroy:
		_, err := m.live(c.name)
		return (err == nil) == (c.kind == Destroy)
	default:
		return c.command == nil || m.Changes(c.command)
	}
}

// taking is a snapshot, alone or of a listener.
type taking struct {
	answer
	name         string
	snapshot     *persist.Snapshot[string, string]
	seqno        storage.SeqNo
	upper, since frontier.Antichain
	closed       bool
	open         sync.WaitGroup // readings under way
}

// set takes the answer of Snapshot in.
func (t *taking) set(s *persist.Snapshot[string, string], err error) {
	t.snapshot, t.err = s, err
	if err == nil {
		t.seqno, t.upper, t.since = s.SeqNo(), s.Upper(), s.Since()
	}
}

// reading is what was read of a snapshot.
type reading struct {
	answer
	of           *taking
	way          way
	lower, upper uint64
	rows         []Update
}

// read reads the snapshot.
func (r *reading) read(ctx context.Context) {
	s := r.of.snapshot
	collect := func(seq func(func(Update, error) bool)) {
		for u, err := range seq {
			if err != nil {
				r.err = err
				return
			}
			r.rows = append(r.rows, u)
		}
	}
	switch r.way {
	case readAll:
		collect(s.All(ctx))
	case readConsolidated:
		collect(s.Consolidated(ctx))
	case readAsOf:
		collect(s.AsOf(ctx, r.lower))
	case readBetween:
		collect(s.Between(ctx, frontier.At(r.lower), frontier.At(r.upper)))
	default:
		r.rows, r.err = s.ReadToEnd(ctx)
	}
	if r.of.since.IsEmpty() && errors.Is(r.err, persist.ErrOverflow) {
		// Which times the updates have then is not said, and so not whether a sum overflows.
		r.rows, r.err = nil, nil
		collect(s.All(ctx))
	}
}

// want returns what the reading must have given if the model was m, or the reason
// why it must have been refused.
func (r *reading) want(m *Model) ([]Update, error) {
	switch r.way {
	case readAsOf:
		return m.AsOf(r.of.name, r.lower)
	case readBetween:
		return m.Between(r.of.name, frontier.At(r.lower), frontier.At(r.upper))
	default:
		return m.Contents(r.of.name)
	}
}

// description is the answer of Description.
type description struct {
	answer
	name string
	got  frontier.Description
}
