package concurrent_test

import (
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

type (
	history = concurrent.History
	command = concurrent.Command
	effect  = concurrent.Effect
	update  = concurrent.Update
	event   = concurrent.Event
	tail    = concurrent.Tail
	read    = concurrent.Read
)

func up(key string, time uint64, diff int64) update { return update{Key: key, Time: time, Diff: diff} }

func at(t uint64) *frontier.Antichain {
	a := frontier.At(t)
	return &a
}

// good is a history that has every property: what two clients write to two streams,
// one command every ten ticks and ten SeqNos, a tail of each stream whose reader is
// always waiting, and a snapshot of the first one at the end.
func good() *history {
	h := &history{}
	add := func(effects ...effect) {
		n := int64(len(h.Commands) + 1)
		h.Commands = append(h.Commands, command{Call: 10 * n, Return: 10*n + 5, SeqNo: storage.SeqNo(10 * n), Effects: effects})
	}
	add(effect{Stream: "s", Updates: []update{up("a", 1, 1)}})                               // 10
	add(effect{Stream: "s", Updates: []update{up("b", 2, 1), up("c", 2, 1)}})                // 20
	add(effect{Stream: "s", Seal: at(3)})                                                    // 30
	add(effect{Stream: "s", Updates: []update{up("d", 4, 1)}})                               // 40
	add(effect{Stream: "s", Updates: []update{up("a", 4, -1)}})                              // 50
	add(effect{Stream: "s", Since: at(4)})                                                   // 60
	add(effect{Stream: "s", Expected: at(3), Updates: []update{up("e", 5, 1)}, Seal: at(6)}) // 70
	add(effect{Stream: "s", Updates: []update{up("f", 7, 1)}}, effect{Stream: "other", Updates: []update{up("g", 1, 1)}})
	h.Tails = []tail{
		{Start: read{Stream: "s", Reader: "one", Call: 16, Return: 17, SeqNo: 10, Updates: []update{up("a", 1, 1)}}, Asked: 90},
		{Start: read{Stream: "other", Reader: "two", Call: 16, Return: 17, SeqNo: 10}, Asked: 90},
	}
	for _, c := range h.Commands[1:] {
		for _, e := range c.Effects {
			t := &h.Tails[0]
			if e.Stream == "other" {
				t = &h.Tails[1]
			}
			if e.Updates != nil {
				t.Events = append(t.Events, event{SeqNo: c.SeqNo, Updates: e.Updates, Asked: c.Call - 1, Heard: c.Return + 1})
			}
			if e.Seal != nil {
				t.Events = append(t.Events, event{SeqNo: c.SeqNo, Sealed: *e.Seal, Asked: c.Call - 1, Heard: c.Return + 1})
			}
		}
	}
	h.Reads = []read{{
		Stream: "s", Reader: "three", Call: 91, Return: 92, SeqNo: 80, Upper: frontier.At(6), Since: frontier.At(4),
		Updates: []update{up("b", 4, 1), up("c", 4, 1), up("d", 4, 1), up("e", 5, 1), up("f", 7, 1)},
	}}
	return h
}

// index returns the place of the first event at a SeqNo.
func index(t *tail, at storage.SeqNo) int {
	return slices.IndexFunc(t.Events, func(e event) bool { return e.SeqNo == at })
}

// without drops the first event at a SeqNo, so that the reader gets the next one in
// its place, and the snapshot that has it.
func without(h *history, at storage.SeqNo) {
	t := &h.Tails[0]
	i := index(t, at)
	t.Events[i+1].Asked = t.Events[i].Asked
	t.Events = slices.Delete(t.Events, i, i+1)
	h.Reads = nil
}

// TestProperties has for every property histories that violate it and no other one.
func TestProperties(t *testing.T) {
	require.NoError(t, concurrent.CheckTails(good()))
	require.NoError(t, concurrent.OrderOfCalls(good()))
	require.NoError(t, concurrent.Linearizable(good(), 0))

	bad := []struct {
		property, name string
		spoil          func(h *history, one, other *tail)
	}{
		{"in order", "events change places", func(_ *history, one, _ *tail) {
			i := index(one, 40)
			one.Events[i], one.Events[i+1] = one.Events[i+1], one.Events[i]
		}},
		{"unique", "an event comes twice", func(h *history, one, _ *tail) {
			one.Events = slices.Insert(one.Events, index(one, 40), one.Events[index(one, 40)])
			h.Reads = nil
		}},
		{"unique", "a seal comes twice", func(_ *history, one, _ *tail) {
			one.Events = slices.Insert(one.Events, index(one, 30), one.Events[index(one, 30)])
		}},
		{"unique", "a row comes twice in its event", func(h *history, one, _ *tail) {
			one.Events[index(one, 40)].Updates = []update{up("d", 4, 1), up("d", 4, 1)}
			h.Reads = nil
		}},
		{"unique", "what may have been written comes twice", func(h *history, one, _ *tail) {
			h.Commands = append(h.Commands, command{Outcome: concurrent.Unknown, Call: 85, Return: 99, Effects: []effect{{Stream: "s", Updates: []update{up("x", 9, 1)}}}})
			one.Events = append(one.Events, event{SeqNo: 90, Updates: []update{up("x", 9, 1)}}, event{SeqNo: 91, Updates: []update{up("x", 9, 1)}})
		}},
		{"complete", "a gap while the reader waits", func(h *history, _, _ *tail) { without(h, 40) }},
		{"complete", "a seal is missing", func(h *history, _, _ *tail) { without(h, 30) }},
		{"complete", "nobody wrote it", func(h *history, one, _ *tail) {
			one.Events = slices.Insert(one.Events, index(one, 40), event{SeqNo: 35, Updates: []update{up("ghost", 9, 1)}})
			h.Reads = nil
		}},
		{"complete", "nobody sealed it", func(_ *history, one, _ *tail) {
			one.Events = slices.Insert(one.Events, index(one, 40), event{SeqNo: 35, Sealed: frontier.At(4)})
		}},
		{"complete", "sealed to another time", func(_ *history, one, _ *tail) {
			one.Events[index(one, 30)].Sealed = frontier.At(2)
		}},
		{"complete", "a seal at another place", func(_ *history, one, _ *tail) {
			one.Events[index(one, 30)].SeqNo = 31
		}},
		{"complete", "the seal of a compare-and-append is missing", func(h *history, one, _ *tail) {
			i := index(one, 70) + 1
			one.Events[i+1].Asked = one.Events[i].Asked
			one.Events = slices.Delete(one.Events, i, i+1)
			h.Reads = nil
		}},
		{"complete", "an end that is none", func(_ *history, one, _ *tail) { one.Ended = io.EOF }},
		{"complete", "nothing more comes", func(h *history, one, _ *tail) {
			one.Events, one.Ended, one.Asked = one.Events[:index(one, 80)], concurrent.ErrSilent, 77
			h.Reads = nil
		}},
		{"atomic", "a command in two events", func(_ *history, one, _ *tail) {
			e := one.Events[index(one, 20)]
			first, second := e, e
			first.Updates, second.Updates = e.Updates[:1], e.Updates[1:]
			one.Events = slices.Replace(one.Events, 0, 1, first, second)
		}},
		{"atomic", "half of a command", func(h *history, one, _ *tail) {
			one.Events[index(one, 20)].Updates = []update{up("b", 2, 1)}
			h.Reads = nil
		}},
		{"atomic", "one stream has it before the other", func(h *history, one, _ *tail) {
			one.Events[index(one, 80)].SeqNo = 79
		}},
		{"atomic", "one stream has it and the other does not", func(h *history, one, other *tail) {
			h.Commands = append(h.Commands,
				command{Outcome: concurrent.Unknown, Call: 85, Return: 99, Effects: []effect{
					{Stream: "s", Updates: []update{up("x", 9, 1)}}, {Stream: "other", Updates: []update{up("y", 9, 1)}},
				}},
				command{Call: 100, Return: 105, SeqNo: 100, Effects: []effect{{Stream: "other", Seal: at(1)}}})
			one.Events = append(one.Events, event{SeqNo: 90, Updates: []update{up("x", 9, 1)}})
			other.Events = append(other.Events, event{SeqNo: 100, Sealed: frontier.At(1)})
		}},
		{"atomic", "each stream has it at another place", func(h *history, one, other *tail) {
			h.Commands = append(h.Commands, command{Outcome: concurrent.Unknown, Call: 85, Return: 99, Effects: []effect{
				{Stream: "s", Updates: []update{up("x", 9, 1)}}, {Stream: "other", Updates: []update{up("y", 9, 1)}},
			}})
			one.Events = append(one.Events, event{SeqNo: 90, Updates: []update{up("x", 9, 1)}})
			other.Events = append(other.Events, event{SeqNo: 91, Updates: []update{up("y", 9, 1)}})
		}},
		{"progress after data", "a time before the seal", func(h *history, one, _ *tail) {
			h.Commands[3].Effects[0].Updates = []update{up("d", 2, 1)}
			one.Events[index(one, 40)].Updates = []update{up("d", 2, 1)}
		}},
		{"progress after data", "a seal before the data of its command", func(_ *history, one, _ *tail) {
			i := index(one, 70)
			one.Events[i], one.Events[i+1] = one.Events[i+1], one.Events[i]
		}},
		{"progress after data", "a seal that goes back", func(h *history, one, _ *tail) {
			h.Commands[6].Effects[0].Seal = at(2)
			one.Events[index(one, 70)+1].Sealed = frontier.At(2)
			h.Reads = nil
		}},
		{"resumable", "a snapshot lacks what the tail has", func(h *history, _, _ *tail) {
			h.Reads[0].Updates = h.Reads[0].Updates[:4]
		}},
		{"resumable", "a snapshot has more", func(h *history, _, _ *tail) {
			h.Reads[0].Updates = append(h.Reads[0].Updates, up("a", 4, 1))
		}},
		{"resumable", "a listener resumes with another upper", func(h *history, _, _ *tail) {
			h.Reads = nil
			h.Tails = append(h.Tails, tail{Start: read{Stream: "s", SeqNo: 30, Upper: frontier.At(2), Updates: []update{up("a", 1, 1), up("b", 2, 1), up("c", 2, 1)}}})
		}},
		{"nothing before the snapshot", "an event of the snapshot", func(_ *history, one, _ *tail) {
			one.Events = slices.Insert(one.Events, 0, event{SeqNo: 10, Updates: []update{up("a", 1, 1)}})
		}},
		{"nothing lost under compaction", "what the since has passed is left out", func(h *history, one, _ *tail) {
			for i := range one.Events { // the reader comes late
				one.Events[i].Heard += 70
			}
			without(h, 20)
		}},
		{"nothing lost under compaction", "times are advanced", func(_ *history, one, _ *tail) {
			one.Events[index(one, 20)].Updates = []update{up("b", 4, 1), up("c", 4, 1)}
		}},
		{"nothing lost under compaction", "rows that cancel are left out", func(h *history, one, _ *tail) {
			h.Commands[3].Effects[0].Updates = []update{up("d", 4, 1), up("q", 4, 1), up("q", 5, -1)}
			h.Reads = nil
		}},
		{"nothing lost for a slow reader", "the reader skips to the newest", func(h *history, one, _ *tail) {
			for i := range one.Events {
				one.Events[i].Asked, one.Events[i].Heard = 86, 87
			}
			h.Commands[5].Effects[0].Since = at(3)
			without(h, 40)
		}},
		{"nothing lost for a slow reader", "it does not say what to do", func(_ *history, one, _ *tail) { one.Ended = io.ErrUnexpectedEOF }},
		{"stable", "an open snapshot changes", func(_ *history, one, _ *tail) {
			one.Start.Reread, one.Start.Again = true, []update{up("a", 4, 1)}
		}},
	}
	violated := make(map[string]bool)
	for _, b := range bad {
		t.Run(b.property+"/"+b.name, func(t *testing.T) {
			h := good()
			b.spoil(h, &h.Tails[0], &h.Tails[1])
			err := concurrent.CheckTails(h)
			require.ErrorIs(t, err, concurrent.ErrViolated)
			var v *concurrent.Violation
			require.ErrorAs(t, err, &v)
			require.Equal(t, b.property, v.Property, "%v", err)
			joined, ok := err.(interface{ Unwrap() []error })
			require.True(t, ok)
			require.Len(t, joined.Unwrap(), 1, "more than one property: %v", err)
		})
		violated[b.property] = true
	}
	for _, p := range concurrent.Properties {
		require.True(t, violated[p.Name], "no history violates %q", p.Name)
	}
}

// TestPositionOfAnUnknownCommand: a command that changes nothing is answered with the
// position before it, which may be that of a command of which nobody was told.
func TestPositionOfAnUnknownCommand(t *testing.T) {
	with := func(told effect) *history {
		h := good()
		h.Commands = append(h.Commands,
			command{Outcome: concurrent.Unknown, Call: 85, Return: 99, Effects: []effect{
				{Stream: "s", Expected: at(6), Updates: []update{up("x", 9, 1)}, Seal: at(10)},
			}},
			command{Call: 100, Return: 105, SeqNo: 90, Effects: []effect{told}})
		one := &h.Tails[0]
		one.Events = append(one.Events, event{SeqNo: 90, Updates: []update{up("x", 9, 1)}}, event{SeqNo: 90, Sealed: frontier.At(10)})
		return h
	}
	require.NoError(t, concurrent.CheckTails(with(effect{Stream: "s", Since: at(4)})))
	require.NoError(t, concurrent.CheckTails(with(effect{Stream: "s", Seal: at(10)})))
	require.ErrorIs(t, concurrent.CheckTails(with(effect{Stream: "s", Seal: at(11)})), concurrent.ErrViolated)
}

// TestReasonsToEnd: a tail may end with any of the reasons a listener has.
func TestReasonsToEnd(t *testing.T) {
	for _, err := range []error{nil, persist.ErrLagged, persist.ErrStopped, persist.ErrDestroyed, persist.ErrClosed, concurrent.ErrSilent} {
		h := good()
		h.Tails[0].Ended, h.Tails[0].Asked = err, 90
		require.NoError(t, concurrent.CheckTails(h), "%v", err)
	}
}

// TestOrderOfCalls has histories in which a command or a snapshot comes too early.
func TestOrderOfCalls(t *testing.T) {
	for name, spoil := range map[string]func(h *history){
		"a command overtakes one that was handed over": func(h *history) {
			h.Commands[1].Submitted, h.Commands[1].Return = 25, 38
			h.Commands[2].SeqNo, h.Commands[1].SeqNo = 20, 30
		},
		"a snapshot at the owner misses what was handed over": func(h *history) {
			h.Commands[7].Submitted, h.Commands[7].Return = 82, 99
			h.Reads[0].SeqNo = 70
		},
		"a snapshot of a follower misses what was acknowledged": func(h *history) {
			h.Reads[0].Follower, h.Reads[0].SeqNo = true, 70
		},
		"two commands at one place": func(h *history) { h.Commands[1].SeqNo = 10 },
	} {
		t.Run(name, func(t *testing.T) {
			h := good()
			spoil(h)
			require.ErrorIs(t, concurrent.OrderOfCalls(h), concurrent.ErrViolated)
		})
	}
	h := good()
	h.Commands[7].Submitted, h.Commands[7].Return = 82, 99
	h.Reads[0].Follower, h.Reads[0].SeqNo = true, 70
	require.NoError(t, concurrent.OrderOfCalls(h), "a follower sees what was acknowledged only")
	h.Reads[0].Follower, h.Reads[0].Detached = false, true
	require.NoError(t, concurrent.OrderOfCalls(h))
}
