// Command quickstart is the shortest useful Tidemark program, and the one in the
// README: a go-streams pipeline that survives being stopped.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/reugn/go-streams/flow"

	"github.com/tidemark-go/tidemark"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

func main() {
	ctx := context.Background()
	db := must(tidemark.Open(ctx, "quickstart.db", persist.Config{}))
	defer db.Close()
	// A handle that cannot be made carries its error, which every use of it returns.
	words, readWords, _ := persist.CreateOrLoad(ctx, db, "words", codec.String, codec.Unit)
	loud, readLoud, _ := persist.CreateOrLoad(ctx, db, "loud", codec.String, codec.Unit)

	// Three updates at times 0, 1 and 2, and the end of the stream, in one command: a kill
	// leaves all of it or nothing. In a second run the stream has its end already.
	if d := must(readWords.Description(ctx)); !d.Upper.IsEmpty() {
		must(persist.Atomic(ctx, db, func(b *persist.AtomicWrite) error {
			return errors.Join(persist.AddWrite(b, words, []persist.Update[string, struct{}]{
				{Key: "never", Time: 0, Diff: 1}, {Key: "twice", Time: 1, Diff: 2}, {Key: "never", Time: 2, Diff: -1},
			}), persist.AddFinish(b, words))
		}).Wait(ctx))
	}

	// A pipeline from one stream to the other. Each batch becomes durable together with
	// the upper that says so, and the sink drops what an earlier run has written.
	dst := sink.New(ctx, loud)
	source.NewBatches(ctx, readWords).Via(flow.NewMap(func(b source.Batch[string, struct{}]) source.Batch[string, struct{}] {
		for i := range b.Updates {
			b.Updates[i].Key += "!"
		}
		return b
	}, 4)).To(dst)
	fmt.Println("pipeline:", dst.Err())

	snapshot := must(readLoud.Snapshot(ctx))
	defer snapshot.Close()
	for u, err := range snapshot.Current(ctx) {
		fmt.Println("read:", u.Key, u.Diff, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
