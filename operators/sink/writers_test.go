package sink_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
)

// Once a sink has read the upper, it alone moves it. Whatever another writer has sealed,
// before a batch, to its end, beyond it or in its middle, the sink stops and says so.
func TestAnotherWriter(t *testing.T) {
	for name, seal := range map[string]func(s *stream) error{
		"to the end of a batch": func(s *stream) error { return wait(s, s.write.Seal(s.ctx, 4)) },
		"in the middle":         func(s *stream) error { return wait(s, s.write.Seal(s.ctx, 3)) },
		"beyond":                func(s *stream) error { return wait(s, s.write.Seal(s.ctx, 6)) },
		"for good":              func(s *stream) error { return wait(s, s.write.Finish(s.ctx)) },
		"with a batch":          func(s *stream) error { return feedOther(s, batchOf(2, 4, at("other", 3, 1))) },
	} {
		for _, written := range []bool{true, false} { // by this sink, before
			t.Run(fmt.Sprintf("%s, %t", name, written), func(t *testing.T) {
				s := newStream(t, persist.Config{})
				to := sink.New(s.ctx, s.write)
				if written {
					to.In() <- batchOf(0, 2)
					require.NoError(t, to.Probe().Wait(s.ctx, 2))
				} else {
					feed(sink.New(s.ctx, s.write), batchOf(0, 2)) // after the sink was built
				}
				require.NoError(t, seal(s))
				upper, contents := s.upper(), s.contents()
				feed(to, batchOf(0, 2), batchOf(2, 4, at("mine", 3, 1)), batchOf(4, 6, at("mine", 5, 1)), batchOf(6, 8))
				require.ErrorIs(t, to.Err(), persist.ErrUpperMismatch)
				require.ErrorContains(t, to.Err(), "another writer")
				require.ErrorContains(t, to.Err(), `"out"`)
				require.Equal(t, upper, s.upper(), "the other one goes on")
				require.Equal(t, contents, s.contents())
			})
		}
	}
}

func wait[T any](s *stream, f *persist.Future[T]) error {
	_, err := f.Wait(s.ctx)
	return err
}

func feedOther(s *stream, elements ...any) error {
	other := sink.New(s.ctx, s.write)
	feed(other, elements...)
	return other.Err()
}

// Two pipelines with one output, many commands of each on their way: one goes on, and
// what is there is its own; the other says why it does not.
func TestTwoSinksOverOneStream(t *testing.T) {
	const batches = 60
	rows := func(who string) (input []any, want []update) {
		for i := range uint64(batches) {
			u := at(fmt.Sprintf("%s%02d", who, i), i, 1)
			input, want = append(input, batchOf(i, i+1, u)), append(want, u)
		}
		return input, want
	}
	for round := range 20 {
		s := newStream(t, persist.Config{})
		to := []*sink.Sink[string, string]{sink.New(s.ctx, s.write), sink.New(s.ctx, s.write)}
		gate := s.unreliable.GateBefore(mem.OpAppend)
		if round%2 == 1 {
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 1 + round/2})
		}
		var running errgroup.Group
		for i, who := range []string{"a", "b"} {
			input, _ := rows(who)
			running.Go(func() error { feed(to[i], input...); return nil })
		}
		require.NoError(t, gate.Wait(s.ctx, 1))
		gate.Open()
		require.NoError(t, running.Wait())
		winner := 0
		if to[0].Err() != nil {
			winner = 1
		}
		require.NoError(t, to[winner].Err())
		require.ErrorIs(t, to[1-winner].Err(), persist.ErrUpperMismatch)
		require.ErrorContains(t, to[1-winner].Err(), "another writer")
		_, want := rows([]string{"a", "b"}[winner])
		require.Equal(t, want, s.contents())
		require.Equal(t, frontier.At(batches), s.upper())
	}
}

// A second pipeline begins at the upper of the first while that has commands on their
// way: whichever comes first, no batch of the other is sealed after it.
func TestSecondSinkWhileTheFirstIsWriting(t *testing.T) {
	for _, fails := range []bool{false, true} {
		s := newStream(t, persist.Config{})
		first := sink.New(s.ctx, s.write)
		first.In() <- batchOf(0, 1, at("a", 0, 1))
		require.NoError(t, first.Probe().Wait(s.ctx, 1))
		second := sink.New(s.ctx, s.write)
		if fails {
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend})
		}
		gate := s.unreliable.GateBefore(mem.OpAppend)
		first.In() <- batchOf(1, 2, at("a", 1, 1))
		require.NoError(t, gate.Wait(s.ctx, 1))
		second.In() <- batchOf(1, 2, at("b", 1, 1)) // decided before what comes now
		second.In() <- batchOf(1, 1)
		for i := range uint64(5) {
			first.In() <- batchOf(i+2, i+3, at("a", i+2, 1))
		}
		first.In() <- batchOf(1, 1)
		gate.Open()
		close(first.In())
		first.AwaitCompletion()
		feed(second, batchOf(2, 3, at("b", 2, 1)))
		if fails {
			require.ErrorIs(t, first.Err(), persist.ErrUpperMismatch)
			require.NoError(t, second.Err())
			require.Equal(t, []update{at("a", 0, 1), at("b", 1, 1), at("b", 2, 1)}, s.contents())
		} else {
			require.NoError(t, first.Err())
			require.ErrorIs(t, second.Err(), persist.ErrUpperMismatch)
			require.Len(t, s.contents(), 7)
		}
		require.NotErrorIs(t, first.Err(), context.Canceled)
	}
}
