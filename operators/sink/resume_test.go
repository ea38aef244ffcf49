package sink_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
)

// A source that starts before the upper: what lies there is dropped, from the middle of
// a batch as well.
func TestStartBeforeTheUpper(t *testing.T) {
	rows := []update{at("a", 1, 1), at("b", 2, 1), at("c", 4, 1), at("d", 5, 1), at("e", 7, 1)}
	for name, tt := range map[string]struct {
		input []any
		want  error
		upper frontier.Antichain
	}{
		"from 0, one batch":    {[]any{batchOf(0, 9, rows...)}, nil, frontier.At(9)},
		"from 3":               {[]any{batchOf(3, 6, rows[2:4]...), batchOf(6, 9, rows[4])}, nil, frontier.At(9)},
		"ends at the upper":    {[]any{batchOf(2, 5, rows[1:3]...), batchOf(5, 9, rows[3:]...)}, nil, frontier.At(9)},
		"later ones first":     {[]any{batchOf(8, 9), batchOf(6, 8, rows[4]), batchOf(3, 6, rows[2:4]...)}, nil, frontier.At(9)},
		"to the end":           {[]any{batch{Description: frontier.Description{Upper: frontier.Empty()}, Updates: rows}}, nil, frontier.Empty()},
		"repeated":             {[]any{batchOf(4, 9, rows[2:]...), batchOf(4, 9, rows[2:]...)}, nil, frontier.At(9)},
		"as of a time before":  {[]any{advanced(3, 4, 9, rows[2:]...)}, nil, frontier.At(9)},
		"as of 0, since later": {[]any{advanced(0, 5, 9, at("a", 5, 1), at("b", 5, 1), at("c", 5, 1), at("d", 5, 1))}, operators.ErrOverlap, frontier.At(5)},
		"as of the upper":      {[]any{advanced(3, 5, 9, at("c", 5, 1), at("d", 5, 1))}, operators.ErrOverlap, frontier.At(5)},
		"as of beyond":         {[]any{advanced(4, 7, 9, at("c", 7, 1))}, operators.ErrOverlap, frontier.At(5)},
		"overlaps its own":     {[]any{batchOf(3, 7, rows[2:4]...), batchOf(3, 9, rows[2:]...)}, operators.ErrOverlap, frontier.At(7)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, persist.Config{})
			feed(sink.New(s.ctx, s.write), batchOf(0, 5, rows[:3]...))
			given := slices.Clone(rows)
			to := sink.New(s.ctx, s.write)
			feed(to, tt.input...)
			require.Equal(t, given, rows, "other branches have the same slice")
			require.ErrorIs(t, to.Err(), tt.want)
			if tt.want != nil && tt.upper == frontier.At(5) {
				require.ErrorContains(t, to.Err(), "source.From")
			}
			require.Equal(t, tt.upper, s.upper())
			want := slices.Clone(rows)
			if upper, ok := tt.upper.Elem(); ok {
				want = slices.DeleteFunc(want, func(u update) bool { return u.Time >= upper })
			}
			for i := range want {
				want[i].Time = s.since().Advance(want[i].Time)
			}
			require.Equal(t, want, s.contents())
		})
	}
}

func advanced(lower, since, upper uint64, updates ...update) batch {
	b := batchOf(lower, upper, updates...)
	b.Since = frontier.At(since)
	return b
}

// One source and several sinks, killed again and again when the sinks have come to
// different times, cut anew and advanced further each time: every output is the input.
func TestSeveralSinksResume(t *testing.T) {
	const times = 20
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		reg := mem.NewRegistry()
		client, err := reg.Runtime(ctx, persist.Config{})
		require.NoError(t, err)
		defer client.Stop()
		outs := make([]*stream, rapid.IntRange(2, 3).Draw(t, "sinks"))
		var outputs []operators.Output
		for i := range outs {
			outs[i] = &stream{ctx: ctx, t: t, client: client}
			outs[i].open(fmt.Sprint(i))
			outputs = append(outputs, outs[i].write)
		}
		var input []update
		for i := range uint64(times) {
			input = append(input, at(fmt.Sprintf("%02d", i), i, 1))
		}
		since := uint64(0)
		for round := 0; ; round++ {
			least, err := operators.Resume(ctx, outputs...)
			require.NoError(t, err)
			from, ok := least.Elem()
			if !ok || from == times {
				break
			}
			from -= rapid.Uint64Range(0, min(from, 2)).Draw(t, "earlier")
			if u, _ := least.Elem(); u > since {
				since = rapid.Uint64Range(since, u-1).Draw(t, "since")
			}
			var batches []any
			for lower := from; lower < times; {
				upper := rapid.Uint64Range(lower+1, min(lower+6, times)).Draw(t, "cut")
				var rows []update
				for _, u := range input {
					if u.Time = max(u.Time, since); u.Time >= lower && u.Time < upper {
						rows = append(rows, u)
					}
				}
				batches = append(batches, advanced(lower, since, upper, rows...))
				lower = upper
			}
			for _, s := range outs {
				n := len(batches)
				if round < 4 {
					n = rapid.IntRange(0, n).Draw(t, "taken")
				}
				to := sink.New(ctx, s.write)
				feed(to, rapid.Permutation(batches[:n]).Draw(t, "order")...)
				require.NoError(t, to.Err())
			}
		}
		for _, s := range outs {
			var want, got []update
			for _, u := range input {
				u.Time = max(u.Time, since)
				want = append(want, u)
			}
			for _, u := range s.contents() {
				u.Time = max(u.Time, since)
				got = append(got, u)
			}
			require.Equal(t, want, got)
		}
	})
}

// The same through operators: a source, FanOut, sinks that end at different times.
func TestFanOutResumes(t *testing.T) {
	in := newStream(t, persist.Config{})
	var want []update
	for i := range uint64(12) {
		want = append(want, at(fmt.Sprintf("%02d", i), i, 1))
	}
	feed(sink.New(in.ctx, in.write), batchOf(0, 12, want...))
	one, two := &stream{ctx: in.ctx, t: t, client: in.client}, &stream{ctx: in.ctx, t: t, client: in.client}
	one.open("one")
	two.open("two")
	feed(sink.New(in.ctx, one.write), batchOf(0, 7, want[:7]...))
	feed(sink.New(in.ctx, two.write), batchOf(0, 2, want[:2]...))
	wait(in, in.write.Finish(in.ctx))

	from, err := operators.Resume(in.ctx, one.write, two.read)
	require.NoError(t, err)
	require.Equal(t, frontier.At(2), from)
	branches := flow.FanOut(source.NewBatches(in.ctx, in.read, source.From(from), source.MaxBatchUpdates(4)), 2)
	first, second := sink.New(in.ctx, one.write), sink.New(in.ctx, two.write)
	go branches[0].To(first)
	branches[1].To(second)
	first.AwaitCompletion()
	for i, s := range []*stream{one, two} {
		require.NoError(t, []*sink.Sink[string, string]{first, second}[i].Err())
		require.Equal(t, want, s.contents())
		require.Equal(t, frontier.Empty(), s.upper())
	}

	_, err = operators.Resume(in.ctx)
	require.ErrorIs(t, err, persist.ErrInvalid)
	_, err = operators.Resume(in.ctx, one.write, new(persist.WriteHandle[string, string]))
	require.ErrorIs(t, err, persist.ErrInvalid)
}
