package sink_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
)

func TestRecordsAreWrittenAndNotSealed(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	var elements []any
	var want []update
	for i := range uint64(2000) {
		u := at(fmt.Sprintf("%05d", i), i, 1)
		want = append(want, u)
		switch i % 3 {
		case 0:
			elements = append(elements, u)
		case 1:
			elements = append(elements, []update{u})
		default:
			elements = append(elements, result{Update: u})
		}
	}
	feed(to, append(elements, []update(nil))...)
	require.NoError(t, to.Err())
	require.Equal(t, want, s.contents())
	require.Equal(t, frontier.At(0), s.upper())
	require.ErrorIs(t, to.Probe().Wait(s.ctx, 1), operators.ErrEnded)
}

// While one command is on its way, further records gather for the next.
func TestSmallRecordsShareACommand(t *testing.T) {
	s := newStream(t, persist.Config{})
	before := s.unreliable.Calls(mem.OpAppend)
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to := sink.New(s.ctx, s.write)
	to.In() <- at("first", 0, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	for range 1000 {
		to.In() <- at("more", 0, 1)
	}
	gate.Open()
	close(to.In())
	to.AwaitCompletion()
	require.NoError(t, to.Err())
	require.Equal(t, []update{at("first", 0, 1), at("more", 0, 1000)}, s.contents())
	require.LessOrEqual(t, s.unreliable.Calls(mem.OpAppend)-before, 3)
}

// A record that is refused does not take others with it, and is not sealed over.
func TestBadRecords(t *testing.T) {
	s := newStream(t, persist.Config{MaxTailBytes: 1 << 20})
	_, err := s.write.Seal(s.ctx, 5).Wait(s.ctx)
	require.NoError(t, err)
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to := sink.New(s.ctx, s.write)
	to.In() <- at("a", 5, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	for _, e := range []any{
		at("b", 6, 1), at("late", 4, 1), []update{at("c", 7, 1), at("late too", 3, 1)}, at("d", 8, 1),
		at(string(make([]byte, 2<<20)), 9, 1), "foreign", nil, (*update)(nil),
		result{Update: update{Time: 7, Diff: 1}, Err: errBad}, operators.Error{Err: errBad, Time: 8},
		at("e", 9, 1), batchOf(5, 20),
	} {
		to.In() <- e
	}
	gate.Open()
	close(to.In())
	to.AwaitCompletion()
	require.Equal(t, []update{at("a", 5, 1), at("b", 6, 1), at("d", 8, 1), at("e", 9, 1)}, s.contents())
	require.Equal(t, frontier.At(5), s.upper(), "what is incomplete is not sealed")
	for _, want := range []error{persist.ErrSealed, persist.ErrTooLarge, operators.ErrForeignElement, errBad} {
		require.ErrorIs(t, to.Err(), want)
	}
	for _, want := range []string{"string", "<nil>", "time 4", "at time 7"} {
		require.ErrorContains(t, to.Err(), want)
	}

	many := sink.New(s.ctx, s.write)
	for range 100 {
		many.In() <- nil
	}
	close(many.In())
	many.AwaitCompletion()
	require.ErrorContains(t, many.Err(), "84 more")
}

// A record before a batch is written before the batch's seal.
func TestRecordsBeforeABatch(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	to.In() <- batchOf(0, 1)
	require.NoError(t, to.Probe().Wait(s.ctx, 1))
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to.In() <- at("a", 1, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	to.In() <- at("b", 2, 1)
	to.In() <- batchOf(1, 5, at("c", 3, 1))
	to.In() <- []update(nil) // so the batch has been received
	gate.Open()
	feed(to, at("d", 6, 1), batchOf(5, 9))
	require.NoError(t, to.Err())
	require.Equal(t, []update{at("a", 1, 1), at("b", 2, 1), at("c", 3, 1), at("d", 6, 1)}, s.contents())
	require.Equal(t, frontier.At(9), s.upper())
	require.Equal(t, frontier.At(9), to.Probe().Frontier())
}
