package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
)

// Summary is what the second stream says about a network on a day.
type Summary struct {
	Count     int64   `json:"count"`
	Strongest float64 `json:"strongest"` // magnitude
}

type (
	// Group is the key of the second stream: network and day.
	Group = string

	writeSummaries = *persist.WriteHandle[Group, Summary]
	readSummaries  = *persist.ReadHandle[Group, Summary]
	summaryUpdate  = persist.Update[Group, Summary]

	quakeBatch   = operators.Batch[string, Quake]
	strengths    = operators.Batch[Group, float64]
	summaryBatch = operators.Batch[Group, Summary]
)

// groupQuakes is the stateless part of the pipeline. It may run in parallel, since a batch
// carries its own interval of times.
func groupQuakes(b quakeBatch) strengths {
	out := strengths{Description: b.Description}
	for _, u := range b.Updates {
		out.Updates = append(out.Updates, persist.Update[Group, float64]{
			Key: groupOf(u.Val), Val: u.Val.Magnitude, Time: u.Time, Diff: u.Diff,
		})
	}
	return out
}

func groupOf(q Quake) Group { return fmt.Sprintf("%-2s %s", q.Network, q.Day()) }

// summaries is the stateful part. Its state is a function of the input before the upper of
// the output. So it needs no storage of its own: restore builds it again.
type summaries struct {
	groups map[Group]map[float64]int64 // magnitude to number of earthquakes
}

// restore builds the state as of the time before upper.
func restore(ctx context.Context, read readQuakes, upper frontier.Antichain) (*summaries, error) {
	s := &summaries{groups: make(map[Group]map[float64]int64)}
	last, ok := upper.Before()
	if !ok {
		return s, nil
	}
	snapshot, err := read.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer snapshot.Close()
	for u, err := range snapshot.AsOf(ctx, last) {
		if err != nil {
			return nil, err
		}
		s.add(groupOf(u.Val), u.Val.Magnitude, u.Diff)
	}
	return s, nil
}

func (s *summaries) add(g Group, magnitude float64, diff int64) {
	counts := s.groups[g]
	if counts == nil {
		counts = make(map[float64]int64)
		s.groups[g] = counts
	}
	if counts[magnitude] += diff; counts[magnitude] == 0 {
		delete(counts, magnitude)
	}
}

// summary returns the summary of a group, and false if it has no earthquakes.
func (s *summaries) summary(g Group) (Summary, bool) {
	var sum Summary
	for magnitude, n := range s.groups[g] {
		if sum.Count == 0 || magnitude > sum.Strongest {
			sum.Strongest = magnitude
		}
		sum.Count += n
	}
	return sum, sum.Count > 0
}

// apply turns changes of the input into changes of the summaries: at each time, it retracts
// the old summary of a group and adds the new one. Batches must come in order.
func (s *summaries) apply(b strengths) summaryBatch {
	out := summaryBatch{Description: b.Description}
	updates := slices.Clone(b.Updates)
	slices.SortStableFunc(updates, func(x, y persist.Update[Group, float64]) int {
		return cmp.Or(cmp.Compare(x.Time, y.Time), cmp.Compare(x.Key, y.Key))
	})
	for len(updates) > 0 {
		n, first := 1, updates[0]
		for n < len(updates) && updates[n].Time == first.Time && updates[n].Key == first.Key {
			n++
		}
		before, had := s.summary(first.Key)
		for _, u := range updates[:n] {
			s.add(u.Key, u.Val, u.Diff)
		}
		after, has := s.summary(first.Key)
		if had && before != after {
			out.Updates = append(out.Updates, summaryUpdate{Key: first.Key, Val: before, Time: first.Time, Diff: -1})
		}
		if has && (!had || before != after) {
			out.Updates = append(out.Updates, summaryUpdate{Key: first.Key, Val: after, Time: first.Time, Diff: +1})
		}
		updates = updates[n:]
	}
	return out
}
