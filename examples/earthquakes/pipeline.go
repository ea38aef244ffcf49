package main

import (
	"context"
	"errors"

	"github.com/reugn/go-streams/flow"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
)

// pipeline is the running go-streams pipeline from earthquakes to summaries.
type pipeline struct {
	cancel context.CancelFunc
	source *source.BatchSource[string, Quake]
	sink   *sink.Sink[Group, Summary]
	done   chan struct{} // closed when the sink has everything and is finished
}

// startPipeline starts the pipeline where the summaries end: their upper says which batches
// of the input are in them.
func startPipeline(ctx context.Context, read readQuakes, write writeSummaries, client *persist.Client, processed func()) (*pipeline, error) {
	have, err := client.Description(ctx, write.StreamName())
	if err != nil {
		return nil, err
	}
	state, err := restore(ctx, read, have.Upper)
	if err != nil {
		return nil, err
	}
	sourceCtx, cancel := context.WithCancel(ctx)
	p := &pipeline{
		cancel: cancel,
		source: source.NewBatches(sourceCtx, read, source.From(have.Upper)),
		sink:   sink.New(ctx, write),
		done:   make(chan struct{}),
	}
	aggregate := func(b strengths) summaryBatch {
		defer processed()
		return state.apply(b)
	}
	go func() {
		defer close(p.done)
		p.source.
			Via(flow.NewMap(groupQuakes, 4)).                                            // reorders batches
			Via(operators.InOrder[Group, float64](ctx, have.Upper, operators.Limits{})). // puts them back in order
			Via(flow.NewMap(aggregate, 1)).
			To(p.sink)
	}()
	return p, nil
}

// waitFor waits until the summaries are complete up to the upper and durable.
func (p *pipeline) waitFor(ctx context.Context, upper frontier.Antichain) error {
	t, ok := upper.Elem()
	if !ok {
		return errors.New("the input is finished")
	}
	return p.sink.Probe().Wait(ctx, t)
}

// stop ends the source, and waits until the sink is done with what it was given.
func (p *pipeline) stop() error {
	p.cancel()
	<-p.done
	if err := p.source.Err(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return p.sink.Err()
}
