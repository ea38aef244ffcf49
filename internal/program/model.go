package program

import (
	"cmp"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// Update is an update of the streams that programs write.
type Update = persist.Update[string, string]

// streams is how many streams a program has.
const streams = 3

// world is what a runtime holds. It is never changed: apply returns another one.
type world [streams]stream

type stream struct {
	updates      []Update
	upper, since frontier.Antichain
	// moved is the last since that was not empty: an empty one moves no times.
	moved     frontier.Antichain
	destroyed bool
}

// change is what a command does to one stream; nil is nothing.
type change struct {
	stream              int
	expect, seal, allow *frontier.Antichain
	updates             []Update
	destroy             bool
}

// command is a run of changes that take effect together.
type command []change

// apply returns the world after a command, and the errors that it may be refused
// with: with none it must succeed.
func (w world) apply(c command) (after world, refusals []error) {
	refuse := func(when bool, err error) {
		if when {
			refusals = append(refusals, err)
		}
	}
	after = w
	for _, ch := range c {
		before, s := &w[ch.stream], &after[ch.stream]
		refuse(before.destroyed, persist.ErrDestroyed)
		refuse(ch.expect != nil && *ch.expect != before.upper, persist.ErrUpperMismatch)
		for _, u := range ch.updates {
			refuse(!before.upper.Admits(u.Time), persist.ErrSealed)
		}
		s.updates = slices.Concat(s.updates, ch.updates)
		if ch.seal != nil {
			refuse(ch.seal.LessThan(before.upper), persist.ErrSealRegression)
			s.upper = s.upper.Join(*ch.seal)
		}
		if ch.allow != nil {
			refuse(ch.allow.LessThan(before.since), persist.ErrSinceRegression)
			s.since = s.since.Join(*ch.allow)
			if !ch.allow.IsEmpty() {
				s.moved = s.moved.Join(*ch.allow)
			}
		}
		s.destroyed = s.destroyed || ch.destroy
	}
	if refusals != nil {
		return w, refusals
	}
	return after, nil
}

// contents returns the consolidated updates of a stream.
func (s *stream) contents() []Update { return consolidated(s.updates, s.moved) }

// asOf returns the multiplicities at time t.
func (s *stream) asOf(t uint64) []Update {
	var until []Update
	for _, u := range s.contents() {
		if u.Time <= t {
			until = append(until, u)
		}
	}
	return consolidated(until, frontier.At(t))
}

// consolidated returns updates with times advanced to since, sorted, equal ones added
// up and zeros left out.
func consolidated(updates []Update, since frontier.Antichain) []Update {
	all := slices.Clone(updates)
	for i := range all {
		all[i].Time = since.Advance(all[i].Time)
	}
	slices.SortFunc(all, func(a, b Update) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Val, b.Val), cmp.Compare(a.Time, b.Time))
	})
	sums := []Update{}
	for _, u := range all {
		if i := len(sums) - 1; i >= 0 && sums[i].Key == u.Key && sums[i].Val == u.Val && sums[i].Time == u.Time {
			sums[i].Diff += u.Diff
		} else {
			sums = append(sums, u)
		}
	}
	return slices.DeleteFunc(sums, func(u Update) bool { return u.Diff == 0 })
}
