package operators_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// slowCall feeds batches of one update, a thousand a second, through parallel calls of which
// the fifth takes long, to a sink, over what is given. What the upstream was let to send
// meanwhile is returned, beside the sink.
func slowCall(t *testing.T, workers int, long time.Duration, row string, limits operators.Limits, between func(context.Context) streams.Flow) (ahead int64, to *sink.Sink[string, int]) {
	const batches = 5000
	client, err := mem.NewRegistry().Runtime(t.Context(), persist.Config{})
	require.NoError(t, err)
	defer client.Stop()
	out, _, err := persist.CreateOrLoad(t.Context(), client, "out", codec.String, intCodec)
	require.NoError(t, err)
	to = sink.New(t.Context(), out, sink.HoldBack(limits))
	var sent atomic.Int64
	input := make(chan any)
	go func() {
		defer close(input)
		for i := range uint64(batches) {
			<-time.After(time.Millisecond)
			input <- batchOf(i, i+1, at(row, 1, i, 1))
			sent.Add(1)
		}
	}()
	in := flow.NewPassThrough()
	go func() {
		for e := range input {
			in.In() <- e
		}
		close(in.In())
	}()
	mapped := in.Via(flow.NewMap(func(b batch) batch {
		if lowerOf(b) == 5 {
			<-time.After(long)
			ahead = sent.Load()
		}
		return b
	}, workers))
	if between != nil {
		mapped = mapped.Via(between(t.Context()))
	}
	mapped.To(to)
	require.NoError(t, to.Err())
	require.Equal(t, frontier.At(batches), to.Probe().Frontier())
	return ahead, to
}

// A call that takes long is not missing, whatever came meanwhile: its upstream waits, and
// what is held in the meantime is bounded, in batches, updates and bytes.
func TestSlowIsNotMissing(t *testing.T) {
	inOrder := func(limits operators.Limits) func(context.Context) streams.Flow {
		return func(ctx context.Context) streams.Flow {
			return operators.InOrder[string, int](ctx, frontier.At(0), limits)
		}
	}
	few := operators.Limits{Batches: 100}
	for name, tt := range map[string]struct {
		workers int
		long    time.Duration
		row     string
		limits  operators.Limits
		between func(context.Context) streams.Flow
		ahead   int64 // at most
	}{
		"batches":           {workers: 4, long: 2 * time.Second, limits: few, ahead: 500},
		"updates":           {workers: 4, long: 2 * time.Second, limits: operators.Limits{Updates: 100}, ahead: 500},
		"bytes":             {workers: 4, long: 2 * time.Second, row: strings.Repeat("x", 1000), limits: operators.Limits{Bytes: 100_000}, ahead: 500},
		"large batches":     {workers: 4, long: 2 * time.Second, row: strings.Repeat("x", 5000), limits: operators.Limits{Bytes: 25_000}, ahead: 60},
		"an hour":           {workers: 4, long: time.Hour, limits: few, ahead: 2000},
		"many workers":      {workers: 64, long: 2 * time.Second, limits: few, ahead: 600},
		"in order":          {workers: 4, long: 2 * time.Second, between: inOrder(few), ahead: 500},
		"in order, bytes":   {workers: 4, long: 2 * time.Second, row: strings.Repeat("x", 1000), between: inOrder(operators.Limits{Bytes: 100_000}), ahead: 500},
		"as the limits are": {workers: 4, long: 2 * time.Second, ahead: 1700},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ahead, _ := slowCall(t, tt.workers, tt.long, tt.row, tt.limits, tt.between)
				require.LessOrEqual(t, ahead, tt.ahead)
				require.Less(t, time.Since(began), 10*time.Second+2*tt.long, "it goes on when the call is done")
			})
		})
	}
}

// Missing is what cannot come any more, and is said then: when the input is closed or an
// overlapping batch comes, also while the upstream is made to wait; and the context ends it.
func TestMissingIsSaidWhenItCannotCome(t *testing.T) {
	limits := operators.Limits{Batches: 2}
	for name, tt := range map[string]struct {
		last any // nil closes the input
		want error
	}{
		"closed":    {nil, operators.ErrMissing},
		"overlap":   {batchOf(0, 3), operators.ErrOverlap},
		"foreign":   {"x", operators.ErrForeignElement},
		"cancelled": {context.Canceled, errEnough},
	} {
		for op := range 2 {
			t.Run(name, func(t *testing.T) {
				trap(t, func(t *testing.T, p *plant) {
					ctx, cancel := context.WithCancelCause(context.Background())
					defer cancel(nil)
					to := p.sink(ctx, sink.HoldBack(limits))
					order := operators.InOrder[string, int](ctx, frontier.At(0), limits)
					in := to.In()
					errOf, done := to.Err, to.AwaitCompletion
					if op == 1 {
						in = order.In()
						errOf, done = order.Err, func() { drain(order) }
						close(to.In())
						order.Out()
					}
					for i := range uint64(8) { // more than a free reader would be given
						in <- batchOf(2*i+2, 2*i+4)
					}
					began := time.Now()
					switch {
					case errors.Is(tt.want, errEnough):
						cancel(errEnough)
					default:
						if tt.last != nil {
							in <- tt.last
						}
					}
					close(in)
					done()
					require.Less(t, time.Since(began), time.Second)
					require.ErrorIs(t, errOf(), tt.want)
				})
			})
		}
	}
}
