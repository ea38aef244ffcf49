package sink_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/reugn/go-streams/flow"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// One source and two sinks: after a kill the source starts at the least of their uppers.
func Example_fanOut() {
	ctx := context.Background()
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	if err != nil {
		panic(err)
	}
	defer client.Stop()
	in, lines, err := persist.CreateOrLoad(ctx, client, "lines", codec.String, codec.Unit)
	if err != nil {
		panic(err)
	}
	in.Write(ctx, []persist.Update[string, struct{}]{{Key: "a", Time: 1, Diff: 1}, {Key: "b", Time: 5, Diff: 1}})
	in.Finish(ctx)
	var out [2]*persist.WriteHandle[string, struct{}]
	for i, name := range []string{"one", "two"} {
		if out[i], _, err = persist.CreateOrLoad(ctx, client, name, codec.String, codec.Unit); err != nil {
			panic(err)
		}
	}

	from, err := operators.Resume(ctx, out[0], out[1])
	if err != nil {
		panic(err)
	}
	branches := flow.FanOut(source.NewBatches(ctx, lines, source.From(from)), 2)
	var sinks [2]*sink.Sink[string, struct{}]
	for i := range sinks {
		sinks[i] = sink.New(ctx, out[i])
		go branches[i].To(sinks[i])
	}
	for _, s := range sinks {
		<-s.Done()
		fmt.Println(s.Err(), s.Probe().Frontier())
	}
	// Output:
	// <nil> {}
	// <nil> {}
}

// A pipeline from a stream to another, which goes on where it was stopped.
func Example() {
	ctx := context.Background()
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	if err != nil {
		panic(err)
	}
	defer client.Stop()
	in, lines, err := persist.CreateOrLoad(ctx, client, "lines", codec.String, codec.Unit)
	if err != nil {
		panic(err)
	}
	out, words, err := persist.CreateOrLoad(ctx, client, "words", codec.String, codec.Unit)
	if err != nil {
		panic(err)
	}
	in.Write(ctx, []persist.Update[string, struct{}]{{Key: "to be or not to be", Time: 1, Diff: 1}})
	in.Finish(ctx)

	done, err := client.Description(ctx, "words")
	if err != nil {
		panic(err)
	}
	src := source.NewBatches(ctx, lines, source.From(done.Upper))
	split := operators.FlatMap(ctx, 4, func(_ context.Context, line string, _ struct{}, emit func(string, struct{})) error {
		for _, word := range strings.Fields(line) {
			emit(word, struct{}{})
		}
		return nil
	})
	to := sink.New(ctx, out)
	src.Via(split).To(to)
	fmt.Println(src.Err(), split.Err(), to.Err(), to.Probe().Frontier())

	snapshot, err := words.Snapshot(ctx)
	if err != nil {
		panic(err)
	}
	defer snapshot.Close()
	for u, err := range snapshot.Current(ctx) {
		fmt.Println(u.Key, u.Diff, err)
	}
	// Output:
	// <nil> <nil> <nil> {}
	// be 2 <nil>
	// not 1 <nil>
	// or 1 <nil>
	// to 2 <nil>
}
