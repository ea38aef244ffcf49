package operators_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
)

// abused is a pipeline that a context is taken away from: source, flow, order, sink.
type abused struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	src    *source.BatchSource[string, int]
	flow   *operators.BatchFlow
	order  *operators.BatchFlow
	to     *sink.Sink[string, int]
	wait   func() // for the end of the pipeline, once it is wired
}

// build builds the pipeline and wires nothing. hold is called for each batch.
func build(ctx context.Context, p *plant, cancel context.CancelCauseFunc, hold func(context.Context, batch)) *abused {
	return &abused{
		ctx: ctx, cancel: cancel, src: p.source(ctx), to: p.sink(ctx, sink.InFlight(2)),
		flow: operators.MapBatches(ctx, 2, func(ctx context.Context, b batch) ([]update, error) {
			hold(ctx, b)
			return b.Updates, ctx.Err()
		}),
		order: operators.InOrder[string, int](ctx, frontier.At(0), operators.Limits{}),
	}
}

func (a *abused) wire(between ...streams.Flow) {
	outlet := a.src.Via(a.flow).Via(a.order)
	for _, f := range between {
		outlet = outlet.Via(f)
	}
	a.wait = run(func() { outlet.To(a.to) })
}

// Trap 14: go-streams' flows know no context, and its sources look at theirs between
// two rows. A pipeline of ours ends at once wherever it is when its context ends,
// each operator says with which cause, and what was sealed is complete.
func TestTrap14Cancelled(t *testing.T) {
	pass := func(context.Context, batch) {}
	type builder func(hold func(context.Context, batch)) *abused
	for name, tt := range map[string]struct {
		stage     func(t *testing.T, p *plant, build builder) *abused
		cancelled bool // before anything is built
		finished  bool // all but the sink had come to its end
	}{
		"before it is built": {cancelled: true, stage: func(_ *testing.T, _ *plant, build builder) *abused {
			a := build(pass)
			a.wire()
			return a
		}},
		"before it is wired": {stage: func(_ *testing.T, _ *plant, build builder) *abused {
			a := build(pass)
			a.cancel(errEnough)
			a.wire()
			return a
		}},
		"before the first element": {stage: func(t *testing.T, p *plant, build builder) *abused {
			a := build(func(context.Context, batch) { require.Fail(t, "there is none") })
			a.src = p.source(a.ctx, source.From(frontier.At(times)))
			a.wire()
			synctest.Wait()
			a.cancel(errEnough)
			return a
		}},
		"in the middle of a batch": {stage: func(_ *testing.T, p *plant, build builder) *abused {
			at := frontier.At(p.rng.Uint64N(times))
			entered := make(chan struct{}, 2*times)
			a := build(func(ctx context.Context, b batch) {
				if at.LessEqual(b.Lower) {
					entered <- struct{}{}
					<-ctx.Done()
				}
			})
			a.wire()
			<-entered
			synctest.Wait()
			a.cancel(errEnough)
			return a
		}},
		"while downstream takes nothing": {stage: func(t *testing.T, _ *plant, build builder) *abused {
			a := build(pass)
			held := make(chan struct{})
			a.wire(flow.NewMap(func(b batch) batch {
				<-held
				return b
			}, 1))
			synctest.Wait()
			require.True(t, a.src.Probe().LessThan(times), "it is held up")
			a.cancel(errEnough)
			for _, ended := range []<-chan struct{}{a.src.Probe().Done(), a.to.Done()} {
				<-ended // before anybody takes anything
			}
			close(held)
			return a
		}},
		"while a write is on its way": {stage: func(t *testing.T, p *plant, build builder) *abused {
			a := build(pass)
			gate := p.storage.GateBefore(mem.OpAppend)
			a.wire()
			require.NoError(t, gate.Wait(context.Background(), 1))
			synctest.Wait()
			a.cancel(errEnough)
			<-a.to.Done()
			gate.Open()
			return a
		}},
		"while the answer is on its way": {stage: func(t *testing.T, p *plant, build builder) *abused {
			a := build(pass)
			gate := p.storage.GateAfter(mem.OpAppend)
			a.wire()
			require.NoError(t, gate.Wait(context.Background(), 1))
			a.cancel(errEnough)
			<-a.to.Done()
			gate.Open()
			return a
		}},
		"while the storage is down": {stage: func(_ *testing.T, p *plant, build builder) *abused {
			a := build(pass)
			p.storage.SetDown()
			a.wire()
			synctest.Wait() // for the next try
			a.cancel(errEnough)
			<-a.to.Done()
			p.storage.SetUp()
			return a
		}},
		"while it closes": {finished: true, stage: func(t *testing.T, p *plant, build builder) *abused {
			p.finish()
			a := build(pass)
			gate := p.storage.GateBefore(mem.OpAppend)
			a.to = p.sink(a.ctx, sink.InFlight(100))
			a.wire()
			<-a.src.Probe().Done() // and all channels are closed, one after the other
			synctest.Wait()
			require.NoError(t, a.src.Err())
			a.cancel(errEnough)
			<-a.to.Done()
			gate.Open()
			return a
		}},
	} {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				ctx, cancel := context.WithCancelCause(context.Background())
				if tt.cancelled {
					cancel(errEnough)
				}
				a := tt.stage(t, p, func(hold func(context.Context, batch)) *abused { return build(ctx, p, cancel, hold) })
				a.wait()
				synctest.Wait() // for what is on its way
				require.ErrorIs(t, a.to.Err(), errEnough)
				require.ErrorIs(t, a.to.Probe().Wait(context.Background(), times+1), errEnough)
				if !tt.finished {
					require.ErrorIs(t, a.src.Err(), errEnough)
					require.ErrorIs(t, a.src.Probe().Wait(context.Background(), times+1), errEnough)
					require.ErrorIs(t, a.flow.Err(), errEnough)
					require.ErrorIs(t, a.order.Err(), errEnough)
				}
				p.requireSealed(t, p.upper(t))

				// The same pipeline, built again, does the rest.
				if p.upper(t).IsEmpty() {
					return
				}
				p.finish()
				to := p.sink(context.Background())
				p.source(context.Background(), source.From(p.upper(t))).Via(identity(context.Background())).To(to)
				require.NoError(t, to.Err())
				p.requireSealed(t, frontier.Empty())
			})
		})
	}
}

// Trap 14, in record mode: the source and the split, wherever they are.
func TestTrap14CancelledRecords(t *testing.T) {
	for name, wire := range map[string]func(ok, errs streams.Flow){
		"not wired":      func(streams.Flow, streams.Flow) {},
		"ok is stuck":    func(ok, errs streams.Flow) { ok.Via(&stuck{}); errs.Out() },
		"both are stuck": func(ok, errs streams.Flow) { ok.Via(&stuck{}); errs.Via(&stuck{}) },
		"taken one":      func(ok, _ streams.Flow) { <-ok.Out() },
		"err side alone": func(_, errs streams.Flow) { errs.Out() },
	} {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				ctx, cancel := context.WithCancelCause(context.Background())
				src := source.New(ctx, p.readIn)
				ok, errs := operators.SplitOkErr[string, int](src)
				wire(ok, errs)
				synctest.Wait()
				cancel(errEnough)
				synctest.Wait()
				<-src.Probe().Done()
				require.ErrorIs(t, src.Err(), errEnough)
				require.ErrorIs(t, src.Probe().Wait(context.Background(), times+1), errEnough)
			})
		})
	}
}
