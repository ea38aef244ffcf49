// Command quickstart is the shortest useful Tidemark program, and the one in the
// README: a go-streams pipeline that survives being stopped.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/reugn/go-streams/flow"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

func main() {
	ctx := context.Background()
	db, err := file.Open(ctx, "quickstart.db", persist.Config{})
	check(err)
	defer db.Close()
	words, readWords, err := persist.CreateOrLoad(ctx, db, "words", codec.String, codec.Unit)
	check(err)
	loud, readLoud, err := persist.CreateOrLoad(ctx, db, "loud", codec.String, codec.Unit)
	check(err)

	// Write three words at times 0, 1 and 2, and seal: they are complete. A second run
	// finds that the upper is {3} already, and writes nothing.
	_, err = words.CompareAndAppend(ctx, []persist.Update[string, struct{}]{
		{Key: "never", Time: 0, Diff: 1},
		{Key: "twice", Time: 1, Diff: 1},
		{Key: "never", Time: 2, Diff: -1},
	}, frontier.At(0), frontier.At(3)).Wait(ctx)
	fmt.Println("write:", err)

	// A pipeline from one stream to the other. It starts where the second one ends, and
	// each batch becomes durable together with the upper that says so.
	upper, err := db.Description(ctx, "loud")
	check(err)
	sourceCtx, stop := context.WithCancel(ctx)
	src := source.NewBatches(sourceCtx, readWords, source.From(upper.Upper))
	dst := sink.New(ctx, loud)
	go src.Via(flow.NewMap(func(b operators.Batch[string, struct{}]) operators.Batch[string, struct{}] {
		for i := range b.Updates {
			b.Updates[i].Key = strings.ToUpper(b.Updates[i].Key)
		}
		return b
	}, 4)).To(dst)
	check(dst.Probe().Wait(ctx, 3)) // until the second stream is complete up to 3
	stop()
	dst.AwaitCompletion()
	check(dst.Err())

	snapshot, err := readLoud.Snapshot(ctx)
	check(err)
	defer snapshot.Close()
	for u, err := range snapshot.Current(ctx) {
		check(err)
		fmt.Println("read:", u.Key, u.Diff)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
