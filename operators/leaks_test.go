package operators_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// TestAbandonedPipelines builds a pipeline and leaves it: not wired, at the first
// element, in the middle, with a branch that nobody drains; its context ends, or
// never does. Goroutines and memory are back to the start after any number of them,
// and nothing holds the stream: no listener, no batch.
//
// A wired operator that can send to nobody lives until its context ends, as package
// operators says. So those that have been wired are cancelled, and those that have
// not are only forgotten.
func TestAbandonedPipelines(t *testing.T) {
	type parts struct {
		src   *source.BatchSource[string, int]
		flow  *operators.BatchFlow
		order *operators.BatchFlow
		to    *sink.Sink[string, int]
		ok    streams.Flow // of a source of records
		errs  streams.Flow
	}
	ended := func(p *parts) {
		<-p.src.Probe().Done()
		<-p.to.Done()
	}
	for name, tt := range map[string]struct {
		abandon  func(t *testing.T, cancel context.CancelFunc, p *parts)
		endless  bool // the context never ends
		finished bool // the stream is, and that is what ends the pipeline
	}{
		"never wired": {
			abandon: func(*testing.T, context.CancelFunc, *parts) {},
			endless: true,
		},
		"never wired, and cancelled": {
			abandon: func(_ *testing.T, cancel context.CancelFunc, p *parts) { cancel(); ended(p) },
		},
		"wired, and cancelled": {
			abandon: func(_ *testing.T, cancel context.CancelFunc, p *parts) {
				p.src.Via(p.flow).Via(p.order)
				p.ok.Out()
				p.errs.Out()
				cancel()
				ended(p)
			},
		},
		"at the first element": {
			abandon: func(_ *testing.T, cancel context.CancelFunc, p *parts) {
				<-p.src.Via(p.flow).Out()
				<-p.ok.Out()
				cancel()
				ended(p)
			},
		},
		"behind a flow of go-streams": {
			abandon: func(_ *testing.T, cancel context.CancelFunc, p *parts) {
				behind := p.src.Via(p.flow).Via(flow.NewPassThrough())
				<-behind.Out()
				cancel()
				ended(p)
				drain(behind)
			},
		},
		"a branch of a fan out": {
			abandon: func(_ *testing.T, cancel context.CancelFunc, p *parts) {
				branch := flow.FanOut(p.src.Via(p.flow), 2)
				go branch[0].To(p.to)
				<-branch[1].Out()
				cancel()
				ended(p)
				drain(branch[1])
			},
		},
		"to the sink": {
			abandon: func(t *testing.T, cancel context.CancelFunc, p *parts) {
				go p.src.Via(p.flow).Via(p.order).To(p.to)
				require.NoError(t, p.to.Probe().Wait(context.Background(), 2))
				cancel()
				ended(p)
			},
		},
		"to nowhere": {
			abandon: func(_ *testing.T, cancel context.CancelFunc, p *parts) {
				p.src.Via(p.flow).To(extension.NewChanSink(make(chan any, 4*times)))
				p.ok.To(extension.NewChanSink(make(chan any, 4*times)))
				cancel()
				ended(p)
			},
			finished: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			metrics := prometheus.NewPedanticRegistry()
			client, err := mem.NewRegistry().Runtime(t.Context(), persist.Config{Registerer: metrics, FlushInterval: -1, FlushBytes: 1 << 20})
			require.NoError(t, err)
			defer func() { require.NoError(t, client.Stop()) }()
			in, read, err := persist.CreateOrLoad(t.Context(), client, "in", codec.String, intCodec)
			require.NoError(t, err)
			out, _, err := persist.CreateOrLoad(t.Context(), client, "out", codec.String, intCodec)
			require.NoError(t, err)
			for i := range uint64(times) {
				// One comes and goes at every time, so that compaction will make a smaller batch.
				in.Write(t.Context(), []update{original(i), at("passing", int(i), i, 1), at("passing", int(i)-1, i, -1)})
			}
			_, err = in.Seal(t.Context(), times).Wait(t.Context()) // so that Maintain finds all of it
			require.NoError(t, err)
			require.NoError(t, client.Maintain(t.Context()))
			if tt.finished {
				_, err = in.Finish(t.Context()).Wait(t.Context())
				require.NoError(t, err)
			}

			n := proof.Pick(20, 200, 10_000)
			resources.Cycles(t, n, func() {
				ctx, cancel := t.Context(), context.CancelFunc(nil)
				if !tt.endless {
					ctx, cancel = context.WithCancel(ctx)
				}
				records := source.New(ctx, read)
				p := &parts{
					src:  source.NewBatches(ctx, read, source.MaxBatchUpdates(1)),
					flow: identity(ctx), order: operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{}),
					to: sink.New(ctx, out),
				}
				p.ok, p.errs = operators.SplitOkErr[string, int](records)
				tt.abandon(t, cancel, p)
				if cancel != nil {
					<-records.Probe().Done()
				}
			})
			proof.Reached(t, 16, "pipelines abandoned, "+name, n)

			// What they have read is replaced, so that a batch that is held for one of them
			// alone is counted. One snapshot and one listener show that both are.
			snapshot, listener, err := read.Listen(t.Context())
			require.NoError(t, err)
			_, err = in.AllowCompaction(t.Context(), frontier.At(times)).Wait(t.Context())
			require.NoError(t, err)
			require.NoError(t, client.Maintain(t.Context()))
			require.Positive(t, sum(t, metrics, "tidemark_pinned_blobs"))
			require.Positive(t, sum(t, metrics, "tidemark_listeners"))
			require.NoError(t, snapshot.Close())
			require.NoError(t, listener.Close())
			resources.Collect(t, func() bool {
				return sum(t, metrics, "tidemark_listeners") == 0 && sum(t, metrics, "tidemark_pinned_blobs") == 0
			})
		})
	}
}

// sum returns the sum of a metric over its labels. That of listeners is absent while
// there are none.
func sum(t *testing.T, metrics prometheus.Gatherer, name string) (sum float64) {
	families, err := metrics.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
