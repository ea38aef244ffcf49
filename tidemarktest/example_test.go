package tidemarktest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

// A pipeline that writes words in capitals is started, stopped and crashed until the
// history ends. In a test, use RunPipeline: time is virtual there, and costs nothing.
func ExampleCheckPipeline() {
	pipeline := tidemarktest.Pipeline[string, struct{}, string, struct{}]{
		Input: "words", InputKey: codec.String, InputVal: codec.Unit,
		Output: "loud", OutputKey: codec.String, OutputVal: codec.Unit,
		Draw: func(random *rand.Rand) (string, struct{}) {
			return []string{"never", "twice", "more"}[random.IntN(3)], struct{}{}
		},
		Run: func(ctx context.Context, client *persist.Client) error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			_, words, err := persist.CreateOrLoad(ctx, client, "words", codec.String, codec.Unit)
			if err != nil {
				return err
			}
			loud, _, err := persist.CreateOrLoad(ctx, client, "loud", codec.String, codec.Unit)
			if err != nil {
				return err
			}
			at, err := loud.Description(ctx)
			if err != nil {
				return err
			}
			src := source.NewBatches(ctx, words, source.From(at.Upper))
			shout := operators.FlatMap(ctx, 2, func(_ context.Context, word string, _ struct{}, emit func(string, struct{})) error {
				emit(strings.ToUpper(word), struct{}{})
				return nil
			})
			dst := sink.New(ctx, loud)
			src.Via(shout).To(dst)
			dst.AwaitCompletion()
			return errors.Join(src.Err(), dst.Err())
		},
		Want: func(_ uint64, input []persist.Update[string, struct{}]) []persist.Update[string, struct{}] {
			var output []persist.Update[string, struct{}]
			for _, u := range input {
				u.Key = strings.ToUpper(u.Key)
				output = append(output, u)
			}
			return output
		},
	}
	err := tidemarktest.CheckPipeline(context.Background(), tidemarktest.Memory(), pipeline, tidemarktest.Options{Seed: 7, Steps: 60})
	fmt.Println("the pipeline is right:", err == nil, err)
	// Output: the pipeline is right: true <nil>
}

// A store in memory is given 100 requests, some of which crash it.
func ExampleCheck() {
	report, err := tidemarktest.Check(context.Background(), tidemarktest.Memory(), tidemarktest.Options{Seed: 3, Steps: 100, Config: tidemarktest.Small()})
	fmt.Println("requests:", report.Kinds[tidemarktest.Write] > 0, "error:", err)
	// Output: requests: true error: <nil>
}

// The model says what must become of a command.
func ExampleModel() {
	m := tidemarktest.NewModel()
	_ = m.Create("words")
	_ = m.Apply(tidemarktest.Command{{Stream: "words", Updates: []tidemarktest.Update{{Key: "never", Time: 1, Diff: 1}}}})
	_ = m.Apply(tidemarktest.Command{{Stream: "words", Updates: []tidemarktest.Update{{Key: "never", Time: 3, Diff: -1}}}})
	before, _ := m.AsOf("words", 2)
	after, _ := m.AsOf("words", 3)
	fmt.Println(before, after)
	// Output: [{never  2 1}] []
}
