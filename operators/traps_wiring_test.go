package operators_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/source"
)

// Trap 1: go-streams' operators start to work when they are built. Ours do when they
// are wired: of those that are built and forgotten no goroutine is left, though no
// context ever ends. The bubble tells.
func TestTrap01BuiltAndNeverWired(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		ctx := context.Background()
		src := source.New(ctx, p.readIn)
		p.source(ctx)
		p.sink(ctx)
		identity(ctx)
		operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{})
		operators.SplitOkErr[string, int](src)
		edge.NewErrors[operators.Error](nil, "nobody's").Report(operators.Error{Err: errBad})
		synctest.Wait()
	})
}

// Trap 2: an edge of go-streams is a goroutine that has taken the next element
// already. Of ours it is the consumer's channel itself: the probe knows exactly what
// was taken, and nothing is under way between two operators.
func TestTrap02AnEdgeHoldsNothing(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		consumer := &stuck{}
		src := p.source(context.Background())
		src.Via(consumer)
		for i := range uint64(times) {
			synctest.Wait()
			require.Equal(t, frontier.At(i), src.Probe().Frontier())
			require.Equal(t, frontier.At(i), (<-consumer.in).(batch).Lower)
		}
		p.finish()
		<-consumer.in
		_, open := <-consumer.in
		require.False(t, open)
	})
}

// Trap 3 and 29: a sink, and a source, are for one pipeline. Using one again is an
// error that says so, and not a hang.
func TestTrap03UsedAgain(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		p.finish()
		to := p.sink(context.Background())
		src := p.source(context.Background())
		src.To(to)
		require.NoError(t, to.Err())

		again := p.source(context.Background())
		again.To(to)
		require.ErrorIs(t, again.Err(), operators.ErrInletClosed)
		require.NoError(t, to.Err())

		src.To(to) // one source, one sink, wired already: it has ended
		other := p.sink(context.Background())
		src.To(other)
		require.NoError(t, other.Probe().Wait(context.Background(), times+1), "what is durable is known, whoever has written it")
		ignored := src.Via(flow.NewPassThrough())
		require.Empty(t, drain(ignored))
		p.requireSealed(t, frontier.Empty())
	})
}

// Trap 4: In is called for every element, by several goroutines perhaps.
func TestTrap04InIsOneChannel(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		f := identity(context.Background())
		to := p.sink(context.Background())
		src := source.New(context.Background(), p.readIn)
		ok, errs := operators.SplitOkErr[string, int](src)
		for _, inlet := range []streams.Inlet{f, to, ok, errs} {
			want := inlet.In()
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() { require.Equal(t, want, inlet.In()) })
			}
			callers.Wait()
			close(want)
		}
		require.Empty(t, drain(f))
		to.AwaitCompletion()
	})
}

// Trap 5: a second consumer of one outlet does not share what comes out: the first
// has all of it, the second nothing, and an error says so. Out is one channel, so
// who takes it by hand, RoundRobin for one, does share it.
func TestTrap05TwoConsumersOfOneOutlet(t *testing.T) {
	t.Run("two wired", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			src, f := p.source(context.Background()), identity(context.Background())
			to, idle := p.sink(context.Background()), p.sink(context.Background())
			src.Via(f)
			second := src.Via(flow.NewPassThrough())
			done := run(func() { f.To(to) })
			f.To(idle)
			require.Empty(t, drain(second))
			done()
			require.ErrorIs(t, (<-src.Errs().Out()).(operators.Error), operators.ErrConnected)
			require.ErrorIs(t, f.Err(), operators.ErrConnected)
			require.NoError(t, to.Err())
			p.requireSealed(t, frontier.Empty())
		})
	})
	t.Run("taken by hand", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			to := p.sink(context.Background())
			flow.Merge(flow.RoundRobin(p.source(context.Background()), 3)...).To(to)
			require.NoError(t, to.Err())
			p.requireSealed(t, frontier.Empty())
		})
	})
}

// Trap 6: To blocks until all is over. With go-streams' Split the other branch must
// be under way by then. The err side of ours need not be; and To twice is refused at
// once.
func TestTrap06ToBlocks(t *testing.T) {
	t.Run("the ok side before the err side", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			bad := operators.Result[string, int]{Update: update{Time: 3, Diff: 1}, Err: errBad}
			elements := []any{bad, result{Update: original(1)}, bad, "foreign"}
			ok, errs := operators.SplitOkErr[string, int](from(elements...))
			to := p.sink(context.Background())
			ok.To(to)
			require.NoError(t, to.Err())
			require.Equal(t, []update{original(1)}, p.contents(t))
			require.Len(t, drain(errs), 3, "two bad ones and a foreign one")
		})
	})
	t.Run("twice", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			src := source.New(context.Background(), p.readIn)
			first, second := p.sink(context.Background()), p.sink(context.Background())
			done := run(func() { src.To(first) })
			synctest.Wait()
			src.To(second) // returns although the source goes on
			require.ErrorIs(t, second.Err(), operators.ErrConnected)
			p.finish()
			done()
			require.NoError(t, first.Err())
			require.Len(t, p.contents(t), times)
			require.Equal(t, frontier.At(0), p.upper(t), "records are never sealed")
		})
	})
}

// Trap 29: a pipeline is for once. Built by a function it can be run again, and goes
// on where the last one was stopped, wherever that was.
func TestTrap29RunAgain(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		p.finish()
		rounds := 0
		for ; !p.upper(t).IsEmpty(); rounds++ {
			ctx, cancel := context.WithCancelCause(context.Background())
			src := p.source(ctx, source.From(p.upper(t)))
			to := p.sink(ctx)
			taken := 0
			stop := 1 + p.rng.IntN(3)
			reorder := flow.NewMap(p.slowly(0), 3)
			count := flow.NewMap(func(b batch) batch {
				if taken++; taken == stop {
					cancel(errEnough)
				}
				return b
			}, 1)
			src.Via(reorder).Via(count).To(to)
			<-src.Probe().Done()
			if to.Err() != nil {
				require.ErrorIs(t, to.Err(), errEnough)
			}
			p.requireSealed(t, p.upper(t))
			cancel(nil)
			require.Less(t, rounds, 100)
		}
		require.Greater(t, rounds, 1)
	})
}
