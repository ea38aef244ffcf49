package source_test

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

type stock = persist.Update[string, int64]

// openStock opens a stream of how many there are of each article, in memory.
func openStock(ctx context.Context) (*persist.Client, *persist.WriteHandle[string, int64], *persist.ReadHandle[string, int64]) {
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{}) // or file.Open
	if err != nil {
		panic(err)
	}
	write, read, err := persist.CreateOrLoad(ctx, client, "stock", codec.String, codec.Int64)
	if err != nil {
		panic(err)
	}
	return client, write, read
}

// Single updates, as soon as they are durable. Times before the as-of are advanced to it.
func ExampleNew() {
	ctx := context.Background()
	client, write, read := openStock(ctx)
	defer client.Stop()
	write.Write(ctx, []stock{{Key: "apple", Val: 10, Time: 1, Diff: 1}})

	src := source.New(ctx, read, source.AsOf(frontier.At(2)))
	ok, errs := operators.SplitOkErr[string, int64](src)
	updates := ok.Out()
	fmt.Println(<-updates)

	// Nothing is sealed yet, and what is written comes all the same.
	write.Write(ctx, []stock{{Key: "apple", Val: 10, Time: 3, Diff: -1}, {Key: "apple", Val: 7, Time: 3, Diff: 1}})
	fmt.Println(<-updates)
	fmt.Println(<-updates)
	fmt.Println("complete before", src.Probe().Frontier())

	write.Finish(ctx)
	_, more := <-updates
	_, failed := <-errs.Out()
	fmt.Println(more, failed, src.Err(), src.Probe().Frontier())
	// Output:
	// {apple 10 2 1}
	// {apple 10 3 -1}
	// {apple 7 3 1}
	// complete before {0}
	// false false <nil> {}
}

// Batches of what is sealed. A pipeline that was stopped goes on at the upper of its sink.
func ExampleNewBatches() {
	ctx := context.Background()
	client, write, read := openStock(ctx)
	defer client.Stop()
	write.Write(ctx, []stock{
		{Key: "apple", Val: 10, Time: 1, Diff: 1},
		{Key: "pear", Val: 5, Time: 4, Diff: 1},
		{Key: "plum", Val: 3, Time: 8, Diff: 1},
	})
	write.Seal(ctx, 5)

	upper := frontier.At(2) // that of the sink's stream: see Client.Description
	src := source.NewBatches(ctx, read, source.From(upper))
	batches := src.Out()
	b := (<-batches).(operators.Batch[string, int64])
	fmt.Println(b.Lower, b.Upper, b.Updates)

	// A time that is not sealed comes in no batch. The seal tells that it is complete.
	write.Seal(ctx, 9)
	b = (<-batches).(operators.Batch[string, int64])
	fmt.Println(b.Lower, b.Upper, b.Updates)

	write.Finish(ctx)
	b = (<-batches).(operators.Batch[string, int64])
	fmt.Println(b.Lower, b.Upper, len(b.Updates))
	_, more := <-batches
	fmt.Println(more, src.Err())
	// Output:
	// {2} {5} [{pear 5 4 1}]
	// {5} {9} [{plum 3 8 1}]
	// {9} {} 0
	// false <nil>
}
