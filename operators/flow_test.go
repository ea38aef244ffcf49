package operators_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
)

type batch = operators.Batch[string, int]

func batchOf(lower, upper uint64, updates ...update) batch {
	return batch{Description: frontier.Description{Lower: frontier.At(lower), Upper: frontier.At(upper)}, Updates: updates}
}

// consecutive returns n batches of one time each, with one update.
func consecutive(n int) (all []any) {
	for i := range uint64(n) {
		all = append(all, batchOf(i, i+1, at(strconv.FormatUint(i, 10), int(i), i, 1)))
	}
	return all
}

// Trap 17: our own flow keeps the order, whichever batch is done first.
func TestMapBatchesKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		gates := make([]chan struct{}, 20)
		for i := range gates {
			gates[i] = make(chan struct{})
		}
		f := operators.FlatMap(t.Context(), 8, func(_ context.Context, key string, val int, emit func(int, string)) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-gates[val]
			if val%5 != 0 {
				emit(val, key)
				emit(-val, key)
			}
			return nil
		})
		from(consecutive(20)...).Via(f)
		var all []any
		read := make(chan struct{})
		go func() {
			defer close(read)
			all = drain(f)
		}()
		synctest.Wait()
		for start := 0; start < 20; start += 8 {
			window := gates[start:min(start+8, 20)]
			for _, g := range slices.Backward(window) {
				close(g)
				synctest.Wait()
			}
		}
		<-read
		require.NoError(t, f.Err())
		require.Equal(t, int64(8), most.Load())
		require.Len(t, all, 20)
		for i, e := range all {
			b := e.(operators.Batch[int, string])
			require.Equal(t, frontier.At(uint64(i)), b.Lower)
			require.Equal(t, frontier.At(uint64(i+1)), b.Upper)
			if i%5 == 0 {
				require.Empty(t, b.Updates, "an empty batch is progress")
				continue
			}
			require.Equal(t, []persist.Update[int, string]{at(i, strconv.Itoa(i), uint64(i), 1), at(-i, strconv.Itoa(i), uint64(i), 1)}, b.Updates)
		}
	})
}

// A batch that fails is not passed on, nor is what follows; what precedes is.
func TestBatchFlowFailures(t *testing.T) {
	fails := func(fail func() error) func(context.Context, batch) ([]update, error) {
		return func(_ context.Context, b batch) ([]update, error) {
			if b.Lower == frontier.At(5) {
				if err := fail(); err != nil {
					return nil, err
				}
				return []update{at("moved", 1, 6, 1)}, nil
			}
			return b.Updates, nil
		}
	}
	identity := func(_ context.Context, b batch) ([]update, error) { return b.Updates, nil }
	poisoned := func(e any) []any { return slices.Replace(consecutive(20), 5, 6, e) }
	inOrder := func(ctx context.Context) *operators.BatchFlow {
		return operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{Batches: 3})
	}
	for name, tt := range map[string]struct {
		input []any
		flow  func(ctx context.Context) *operators.BatchFlow
		want  error
		says  string
	}{
		"error": {consecutive(20), func(ctx context.Context) *operators.BatchFlow {
			return operators.MapBatches(ctx, 4, fails(func() error { return errBad }))
		}, errBad, "[{5}, {6})"},
		"panic": {consecutive(20), func(ctx context.Context) *operators.BatchFlow {
			return operators.MapBatches(ctx, 4, fails(func() error { panic(errBad) }))
		}, operators.ErrPanic, "flow_test.go"},
		"time outside": {consecutive(20), func(ctx context.Context) *operators.BatchFlow {
			return operators.MapBatches(ctx, 4, fails(func() error { return nil }))
		}, nil, "time 6"},
		"foreign": {poisoned("x"), func(ctx context.Context) *operators.BatchFlow {
			return operators.MapBatches(ctx, 4, identity)
		}, operators.ErrForeignElement, "string"},
		"nil": {poisoned(nil), func(ctx context.Context) *operators.BatchFlow {
			return operators.MapBatches(ctx, 4, identity)
		}, operators.ErrForeignElement, "<nil>"},
		"foreign, in order":  {poisoned("x"), inOrder, operators.ErrForeignElement, "string"},
		"covers no time":     {poisoned(batchOf(5, 5, update{})), inOrder, persist.ErrInvalid, "[{5}, {5})"},
		"missing":            {slices.Delete(consecutive(20), 5, 6), inOrder, operators.ErrMissing, "[{5}, {6})"},
		"missing at the end": {slices.Delete(consecutive(8), 5, 6), inOrder, operators.ErrMissing, "[{5}, {6})"},
		"overlap":            {poisoned(batchOf(4, 6)), inOrder, operators.ErrOverlap, "[{4}, {6})"},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.flow(testContext(t))
			from(tt.input...).Via(f) // and the upstream can send all of it: goleak tells
			all := drain(f)
			require.Equal(t, consecutive(5), all)
			if tt.want != nil {
				require.ErrorIs(t, f.Err(), tt.want)
			}
			require.ErrorContains(t, f.Err(), tt.says)
			errs := drain(f.Errs())
			require.Len(t, errs, 1)
			require.ErrorContains(t, errs[0].(operators.Error), tt.says)
		})
	}
}

func TestInOrderRestoresAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		start := rapid.IntRange(0, 5).Draw(t, "start")
		want := consecutive(20)[start:]
		input := rapid.Permutation(append(consecutive(20), consecutive(3)...)).Draw(t, "input")
		input = append(input, batchOf(7, 7))
		f := operators.InOrder[string, int](ctx, frontier.At(uint64(start)), operators.Limits{})
		from(input...).Via(f)
		if got := drain(f); !slices.EqualFunc(got, want, func(a, b any) bool { return a.(batch).Description == b.(batch).Description }) {
			t.Fatalf("got %v", got)
		}
		if f.Err() != nil {
			t.Fatal(f.Err())
		}
	})
}

// Every stage ends at once when the context does, although nobody drains; who sends
// to it does not hang (traps 14 and 15); one that is not wired has no goroutine.
func TestBatchFlowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		blocked := operators.MapBatches(ctx, 2, func(ctx context.Context, _ batch) ([]update, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		from(consecutive(20)...).Via(blocked)
		undrained := operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{})
		from(consecutive(20)...).Via(undrained)
		undrained.Out()
		second := undrained.Via(flow.NewPassThrough())
		operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{})
		synctest.Wait()
		require.Empty(t, drain(second))
		require.ErrorIs(t, undrained.Err(), operators.ErrConnected)

		cancel(errBad)
		synctest.Wait()
		for _, f := range []*operators.BatchFlow{blocked, undrained} {
			require.ErrorIs(t, f.Err(), errBad)
			_, open := <-f.Out()
			require.False(t, open)
		}
		late := operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{})
		from(consecutive(3)...).Via(late)
		require.Empty(t, drain(late))
	})
}

// slowCause is a context that, once it has ended, tells why when the gate is open.
type slowCause struct {
	context.Context
	gate chan struct{}
}

// Value is how context.Cause asks.
func (c *slowCause) Value(key any) any {
	if c.Err() != nil {
		<-c.gate
	}
	return c.Context.Value(key)
}

// Who sees that the outlet is closed asks Err, and is told that the context has ended
// and not the input.
func TestBatchFlowKnowsTheCauseWhenItsOutletCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, cancel := context.WithCancelCause(t.Context())
		ctx := &slowCause{inner, make(chan struct{})}
		f := operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{})
		out := f.Out()
		synctest.Wait()
		cancel(errBad)
		synctest.Wait()
		early := false
		select {
		case <-out:
			early = true
		default:
		}
		close(ctx.gate)
		require.False(t, early, "the outlet is closed before it is known why")
		_, open := <-out
		require.False(t, open)
		require.ErrorIs(t, f.Err(), errBad)
		close(f.In()) // its upstream
	})
}

var _ = []streams.Flow{(*operators.BatchFlow)(nil)}

func ExampleFlatMap() {
	ctx := context.Background()
	in := make(chan any, 1)
	in <- operators.Batch[string, int]{
		Description: frontier.Description{Upper: frontier.At(5)},
		Updates:     []persist.Update[string, int]{{Key: "a", Val: 1, Time: 3, Diff: 1}, {Key: "b", Val: 2, Time: 4, Diff: -1}},
	}
	close(in)
	even := operators.FlatMap(ctx, 4, func(_ context.Context, key string, val int, emit func(string, int)) error {
		if val%2 == 0 {
			emit(key, val/2)
		}
		return nil
	})
	from(<-in).Via(even)
	for e := range even.Out() {
		b := e.(operators.Batch[string, int])
		fmt.Println(b.Description, b.Updates)
	}
	fmt.Println(even.Err())
	// Output:
	// [{0}, {5}) since {0} [{b 1 4 -1}]
	// <nil>
}

// gone is a sink that somebody else has closed and that waits for nothing.
type gone struct{ in chan any }

func (g gone) In() chan<- any { return g.in }
func (gone) AwaitCompletion() {}

// Who comes back from To asks Err, and is told that somebody else closed the inlet.
func TestBatchFlowKnowsOfAClosedInletWhenToReturns(t *testing.T) {
	closed := gone{make(chan any)}
	close(closed.in)
	for range 1000 {
		f := operators.InOrder[string, int](t.Context(), frontier.At(0), operators.Limits{})
		close(f.In())
		f.To(closed)
		require.ErrorIs(t, f.Err(), operators.ErrInletClosed)
	}
}

// Err may be asked at any time, also while a second consumer is being refused.
func TestBatchFlowErrBesideARefusal(t *testing.T) {
	for range 3000 {
		f := operators.InOrder[string, int](t.Context(), frontier.At(0), operators.Limits{})
		f.Out()
		go f.Via(flow.NewPassThrough())
		for f.Err() == nil {
			runtime.Gosched()
		}
		require.ErrorIs(t, f.Err(), operators.ErrConnected)
		close(f.In())
	}
}
