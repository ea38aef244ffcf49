package operators_test

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// The probe of a sink tells what is durable and sealed in the output.
func ExampleProbe() {
	ctx := context.Background()
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{}) // or file.Open
	if err != nil {
		panic(err)
	}
	defer client.Stop()
	in, readIn, err := persist.CreateOrLoad(ctx, client, "in", codec.String, codec.Unit)
	if err != nil {
		panic(err)
	}
	out, _, err := persist.CreateOrLoad(ctx, client, "out", codec.String, codec.Unit)
	if err != nil {
		panic(err)
	}

	sourceCtx, stop := context.WithCancel(ctx)
	src, to := source.NewBatches(sourceCtx, readIn), sink.New(ctx, out)
	fmt.Println(to.Probe().Frontier(), to.Probe().LessThan(5))

	in.Write(ctx, []persist.Update[string, struct{}]{{Key: "a", Time: 4, Diff: 1}})
	in.Seal(ctx, 5)
	go src.To(to)
	fmt.Println(to.Probe().Wait(ctx, 5))
	fmt.Println(to.Probe().Frontier(), to.Probe().LessThan(5))

	stop()
	<-to.Done()
	// Output:
	// {0} true
	// <nil>
	// {5} false
}
