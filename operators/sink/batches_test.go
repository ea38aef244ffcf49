package sink_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
)

// Batches in any order, repeated, some written before: the stream is the same.
func TestBatchesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		s := openStream(ctx, t, mem.NewRegistry(), "out", persist.Config{})
		defer s.client.Stop()
		var batches []any
		var want []update
		for i := range uint64(12) {
			u := at(fmt.Sprintf("%02d", i), 3*i, 1)
			want = append(want, u)
			batches = append(batches, batchOf(3*i, 3*i+3, u))
		}
		written := rapid.IntRange(0, 11).Draw(t, "written before")
		feed(sink.New(ctx, s.write), batches[:written]...)
		require.Equal(t, frontier.At(uint64(3*written)), s.upper())

		input := append(slices.Clone(batches), batches[:rapid.IntRange(0, 12).Draw(t, "repeated")]...)
		input = append(input, batchOf(4, 4))
		to := sink.New(ctx, s.write, sink.InFlight(rapid.SampledFrom([]int{1, 2, 0}).Draw(t, "in flight")))
		feed(to, rapid.Permutation(input).Draw(t, "input")...)
		require.NoError(t, to.Err())
		require.Equal(t, want, s.contents())
		require.Equal(t, frontier.At(36), s.upper())
		require.NoError(t, to.Probe().Wait(ctx, 36))
	})
}

// Batches that are held back when an element fails are not another error.
func TestFailedElementAmongBatchesHeldBack(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	feed(to, batchOf(0, 2), batchOf(4, 6), result{Err: errBad}, batchOf(2, 4))
	require.ErrorIs(t, to.Err(), errBad)
	require.NotErrorIs(t, to.Err(), operators.ErrMissing)
	require.Equal(t, frontier.At(2), s.upper())
}

// A repetition of what is durable takes no room among what is held back.
func TestRepetitionsAreNotHeldBack(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write, sink.HoldBack(operators.Limits{Batches: 1}))
	feed(to, batchOf(0, 2), batchOf(4, 6), batchOf(0, 2), batchOf(2, 4))
	require.NoError(t, to.Err())
	require.Equal(t, frontier.At(6), s.upper())
}

// Trap 8: another branch changes the slice that it was given too.
func TestElementsAreCopied(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	to.In() <- batchOf(0, 1)
	require.NoError(t, to.Probe().Wait(s.ctx, 1))
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to.In() <- at("a", 1, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	records, held := []update{at("b", 1, 1)}, []update{at("c", 4, 1)}
	to.In() <- records
	to.In() <- batchOf(3, 5, held...)
	to.In() <- batchOf(7, 8) // so the ones before it have been received
	records[0].Key, held[0].Key = "changed", "changed"
	gate.Open()
	feed(to, batchOf(1, 3), batchOf(5, 7))
	require.NoError(t, to.Err())
	require.Equal(t, frontier.At(8), s.upper())
	require.Equal(t, []update{at("a", 1, 1), at("b", 1, 1), at("c", 4, 1)}, s.contents())
}

// Each of these is fatal: input is discarded until it is closed, what came before
// is durable and sealed, and nothing after it is.
func TestBatchFailures(t *testing.T) {
	good := []any{batchOf(0, 2, at("a", 1, 1)), batchOf(2, 4, at("b", 3, 1))}
	after := []any{batchOf(6, 8), batchOf(8, 9)}
	for name, tt := range map[string]struct {
		element any
		opts    []sink.Option
		want    error
		says    string
	}{
		"missing":           {batchOf(10, 12), nil, operators.ErrMissing, "[{4}, {6})"},
		"held back in full": {batchOf(9, 10), []sink.Option{sink.HoldBack(operators.Limits{Batches: 2})}, operators.ErrMissing, "[{4}, {6})"},
		"held in updates":   {batchOf(9, 10, at("x", 9, 1), at("y", 9, 1)), []sink.Option{sink.HoldBack(operators.Limits{Updates: 1})}, operators.ErrMissing, "[{4}, {6})"},
		"overlap":           {batchOf(3, 6), nil, operators.ErrOverlap, "[{3}, {6})"},
		"overlap, held":     {batchOf(7, 9), nil, operators.ErrOverlap, "[{7}, {9})"},
		"update outside":    {batchOf(4, 6, at("x", 6, 1)), nil, persist.ErrInvalid, "time 6"},
		"backwards":         {batchOf(6, 4), nil, persist.ErrInvalid, "[{6}, {4})"},
		"foreign":           {"x", nil, operators.ErrForeignElement, "string"},
		"nil":               {nil, nil, operators.ErrForeignElement, "nil"},
		"error":             {operators.Error{Err: errBad}, nil, errBad, "bad"},
		"too large":         {batchOf(4, 6, at(string(make([]byte, 2<<20)), 5, 1)), nil, persist.ErrTooLarge, "[{4}, {6})"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, persist.Config{MaxTailBytes: 1 << 20})
			to := sink.New(s.ctx, s.write, tt.opts...)
			feed(to, slices.Concat(good, []any{tt.element}, after)...)
			require.ErrorIs(t, to.Err(), tt.want)
			require.ErrorContains(t, to.Err(), tt.says)
			require.Equal(t, frontier.At(4), s.upper())
			require.Equal(t, []update{at("a", 1, 1), at("b", 3, 1)}, s.contents())
			require.Equal(t, frontier.At(4), to.Probe().Frontier())
			require.Error(t, to.Probe().Wait(s.ctx, 5))
		})
	}
}
