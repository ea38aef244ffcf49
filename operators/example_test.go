package operators_test

import (
	"context"
	"fmt"

	"github.com/reugn/go-streams/flow"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
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

// sales opens a stream of sold articles, in memory, with one batch for each time.
func sales(ctx context.Context) (*persist.Client, *persist.ReadHandle[string, int64]) {
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	if err != nil {
		panic(err)
	}
	write, read, err := persist.CreateOrLoad(ctx, client, "sales", codec.String, codec.Int64)
	if err != nil {
		panic(err)
	}
	write.Write(ctx, []persist.Update[string, int64]{
		{Key: "apple", Val: 3, Time: 0, Diff: 1},
		{Key: "apple", Val: 4, Time: 0, Diff: 2},
		{Key: "pear", Val: 5, Time: 1, Diff: 1},
		{Key: "apple", Val: 1, Time: 2, Diff: 1},
	})
	write.Finish(ctx)
	return client, read
}

// A function of a whole batch: here the sum for each article and time. Batches are worked
// on in parallel, and come out in the order in which they went in.
func ExampleMapBatches() {
	ctx := context.Background()
	client, read := sales(ctx)
	defer client.Stop()

	src := source.NewBatches(ctx, read, source.MaxBatchUpdates(1))
	sums := operators.MapBatches(ctx, 4, func(_ context.Context, b operators.Batch[string, int64]) ([]persist.Update[string, int64], error) {
		type group struct {
			article string
			time    uint64
		}
		sum := make(map[group]int64)
		for _, u := range b.Updates {
			sum[group{u.Key, u.Time}] += u.Val * u.Diff
		}
		var out []persist.Update[string, int64]
		for g, n := range sum {
			out = append(out, persist.Update[string, int64]{Key: g.article, Val: n, Time: g.time, Diff: 1})
		}
		return out, nil
	})
	for element := range src.Via(sums).Out() {
		b := element.(operators.Batch[string, int64])
		fmt.Println(b.Lower, b.Upper, b.Updates)
	}
	fmt.Println(src.Err(), sums.Err())
	// Output:
	// {0} {1} [{apple 11 0 1}]
	// {1} {2} [{pear 5 1 1}]
	// {2} {} [{apple 1 2 1}]
	// <nil> <nil>
}

// A flow of go-streams with several workers passes batches on as they are done. What needs
// them in order, as a state does that follows the times, comes behind InOrder.
func ExampleInOrder() {
	ctx := context.Background()
	client, read := sales(ctx)
	defer client.Stop()

	from := frontier.At(0) // where the source begins
	src := source.NewBatches(ctx, read, source.From(from), source.MaxBatchUpdates(1))
	parallel := flow.NewMap(func(b operators.Batch[string, int64]) operators.Batch[string, int64] { return b }, 4)
	ordered := operators.InOrder[string, int64](ctx, from, operators.Limits{})
	sold := int64(0)
	for element := range src.Via(parallel).Via(ordered).Out() {
		b := element.(operators.Batch[string, int64])
		for _, u := range b.Updates {
			sold += u.Val * u.Diff
		}
		fmt.Println("sold before", b.Upper, "are", sold)
	}
	fmt.Println(src.Err(), ordered.Err())
	// Output:
	// sold before {1} are 11
	// sold before {2} are 16
	// sold before {} are 17
	// <nil> <nil>
}
