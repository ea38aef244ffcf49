package sink_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
)

// The whole way, stopped again and again: a source in batch mode, a go-streams flow
// that reorders, a sink, and nothing but the sink's upper to go on from. Every
// update exactly once (traps 13, 17 and 29).
func TestExactlyOnce(t *testing.T) {
	const times = 200
	in := newStream(t, persist.Config{})
	var want []update
	for i := range uint64(times) {
		for k := range 3 {
			u := at(fmt.Sprintf("%03d/%d", i, k), i, 1)
			want = append(want, u)
			in.write.Write(in.ctx, []update{u})
		}
	}
	reg := mem.NewRegistry()
	var arrived, swapped atomic.Int64 // batches
	for round := 0; ; round++ {
		out := openStream(in.ctx, t, reg, "out", persist.Config{})
		upper := out.upper()
		limit := len(want)
		if elem, ok := upper.Elem(); ok {
			limit = 3 * int(elem)
		}
		require.Equal(t, want[:limit:limit], append([]update{}, out.contents()...), "what is sealed is there, and nothing else")
		if upper.IsEmpty() {
			require.NoError(t, out.client.Stop())
			require.Greater(t, round, 8)
			require.NotZero(t, swapped.Load(), "no batch came out of order")
			return
		}

		ctx, cancel := context.WithCancel(in.ctx)
		src := source.NewBatches(ctx, in.read, source.From(upper))
		to := sink.New(ctx, out.write, sink.InFlight(4))
		switch round % 4 {
		case 0:
			out.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 3 + round%5, Outcome: mem.AnswerLost})
		case 1:
			out.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2 + round%5, Outcome: mem.Vanished})
		case 2:
			out.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2 + round%5})
		}
		sealing := make(chan struct{})
		go func() {
			defer close(sealing)
			defer cancel()
			first, _ := upper.Elem()
			for seal := first + 1; seal <= times; seal++ {
				if _, err := in.write.Seal(in.ctx, seal).Wait(in.ctx); err != nil && !errors.Is(err, persist.ErrSealRegression) {
					return
				}
				// A few batches are under way at any time.
				if to.Probe().Wait(ctx, seal-min(seal, 5)) != nil {
					return
				}
				if seal == first+20 && round%4 >= 2 {
					return // and the channels close in the middle of it all
				}
			}
			in.write.Finish(in.ctx)
			<-to.Done()
		}()
		swap := flow.NewMap(func(b batch) batch {
			if number := arrived.Add(1); number%2 == 1 {
				// Until two others have passed, if there are any.
				for yields := 0; arrived.Load() < number+2 && yields < 1000; yields++ {
					runtime.Gosched()
				}
			}
			return b
		}, 8)
		last := frontier.Antichain{}
		watch := flow.NewMap(func(b batch) batch {
			if b.Lower.LessThan(last) {
				swapped.Add(1)
			}
			last = b.Lower
			return b
		}, 1)
		src.Via(swap).Via(watch).To(to)
		<-sealing
		_ = out.client.Stop() // which reports the log's failure
	}
}
