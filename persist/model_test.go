package persist_test

import (
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// The model of a runtime is a slice of updates and two frontiers for each stream.
// Random histories of commands, reads, maintenance, failures, restarts and crashes
// are held against it.

// modelled is the model of one stream.
type modelled struct {
	updates      []update
	upper, since frontier.Antichain
	moved        frontier.Antichain // the last since that was not empty: one that is moves no times
	destroyed    bool
}

func (m modelled) contents() []update { return consolidated(m.updates, m.moved) }

// change is what a command does to one stream. Those that are not there are nil.
type change struct {
	stream               int
	updates              []update
	seal, allow, expects *frontier.Antichain // with expects and seal it is a compare-and-append
}

// command is a run of changes that take effect together.
type command []change

// model is what a prefix of the history amounts to; apply leaves it as it is.
type model []modelled

// apply returns the model after a command, or the errors that refuse it.
func (m model) apply(c command) (model, []error) {
	var refusals []error
	refuse := func(when bool, err error) {
		if when {
			refusals = append(refusals, err)
		}
	}
	after := slices.Clone(m)
	for _, ch := range c {
		before, s := &m[ch.stream], &after[ch.stream]
		refuse(before.destroyed, persist.ErrDestroyed)
		refuse(ch.expects != nil && *ch.expects != before.upper, persist.ErrUpperMismatch)
		for _, u := range ch.updates {
			refuse(!before.upper.Admits(u.Time), persist.ErrSealed)
		}
		s.updates = slices.Concat(s.updates, ch.updates)
		if ch.seal != nil {
			s.upper = s.upper.Join(*ch.seal)
		}
		if ch.allow != nil {
			s.since = s.since.Join(*ch.allow)
			if !ch.allow.IsEmpty() {
				s.moved = s.moved.Join(*ch.allow)
			}
		}
	}
	// Of several frontiers for one stream the last in time counts.
	for i := range after {
		var seal, allow *frontier.Antichain
		for _, ch := range c {
			if ch.stream == i {
				seal, allow = latest(seal, ch.seal), latest(allow, ch.allow)
			}
		}
		refuse(seal != nil && seal.LessThan(m[i].upper), persist.ErrSealRegression)
		refuse(allow != nil && allow.LessThan(m[i].since), persist.ErrSinceRegression)
	}
	if refusals != nil {
		return m, refusals
	}
	return after, nil
}

func latest(a, b *frontier.Antichain) *frontier.Antichain {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	join := a.Join(*b)
	return &join
}

// events returns what a listener of a stream hears of a command.
func (c command) events(stream int, seqno storage.SeqNo) []event {
	var updates []update
	var seal *frontier.Antichain
	for _, ch := range c {
		if ch.stream == stream {
			updates, seal = append(updates, ch.updates...), latest(seal, ch.seal)
		}
	}
	var events []event
	if len(updates) > 0 {
		events = append(events, event{Updates: updates, SeqNo: seqno})
	}
	if seal != nil {
		events = append(events, event{Sealed: *seal, SeqNo: seqno})
	}
	return events
}
