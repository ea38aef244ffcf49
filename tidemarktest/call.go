package tidemarktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// answer is the common part of everything that is asked of a runtime. The moments in it are
// numbers of requests.
type answer struct {
	request  int
	life     *life
	reader   *reader // nil if the runtime that writes was asked
	done     <-chan struct{}
	answered int // the moment when the answer was seen; -1 before
	err      error

	// A read reflects the first k calls, for a k from lo to hi. lo counts the calls that
	// had their place in the order when the read began. hi counts those made before the
	// read ended, too.
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

	// carried are the errors of the handles that the call was made through. A call with
	// such errors was never sent. The errors were judged with the calls that they come
	// from.
	carried []error

	// The judgement.
	applied bool
	idle    bool // it is applied and changes nothing, so no listener hears of it
	// traceless: its outcome is unknown, and what was found afterwards is the same with and
	// without it. Only a listener of a reader may have seen it.
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

// taking is a snapshot, alone or with a listener.
type taking struct {
	answer
	name         string
	snapshot     *persist.Snapshot[string, string]
	seqno        storage.SeqNo
	upper, since frontier.Antichain
	closed       bool
	open         sync.WaitGroup // readings under way
}

// set stores the answer of Snapshot.
func (t *taking) set(s *persist.Snapshot[string, string], err error) {
	t.snapshot, t.err = s, err
	if err == nil {
		t.seqno, t.upper, t.since = s.SeqNo(), s.Upper(), s.Since()
	}
}

// reading is what was read from a snapshot.
type reading struct {
	answer
	of           *taking
	way          way
	keys         []string
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
	case readKey:
		collect(s.At(r.lower).Get(ctx, r.keys[0]))
	case readKeys:
		collect(s.At(r.lower).Lookup(ctx, slices.Values(r.keys)))
	case readRange:
		collect(s.At(r.lower).Range(ctx, r.keys[0], r.keys[1]))
	case readPrefix:
		collect(s.At(r.lower).Prefix(ctx, []byte(r.keys[0])))
	default:
		r.rows, r.err = s.ReadToEnd(ctx)
	}
	if r.of.since.IsEmpty() && errors.Is(r.err, persist.ErrOverflow) {
		// With an empty since, nothing says which times the updates have, and so whether a
		// sum overflows.
		r.rows, r.err = nil, nil
		collect(s.All(ctx))
	}
}

// want returns what the reading must have given if the model was m, or the reason why it
// must have been refused.
func (r *reading) want(m *Model) ([]Update, error) {
	switch r.way {
	case readAsOf:
		return m.AsOf(r.of.name, r.lower)
	case readBetween:
		return m.Between(r.of.name, frontier.At(r.lower), frontier.At(r.upper))
	case readKey, readKeys, readRange, readPrefix:
		return m.asOf(r.of.name, r.lower, r.covers)
	default:
		return m.Contents(r.of.name)
	}
}

// covers says whether a read by key reads a key.
func (r *reading) covers(key string) bool {
	switch r.way {
	case readRange:
		return r.keys[0] <= key && key < r.keys[1]
	case readPrefix:
		return strings.HasPrefix(key, r.keys[0])
	default:
		return slices.Contains(r.keys, key)
	}
}

// description is the answer of Description.
type description struct {
	answer
	name string
	got  frontier.Description
}
