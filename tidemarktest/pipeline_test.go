package tidemarktest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

type (
	word  = persist.Update[string, struct{}]
	words = operators.Batch[string, struct{}]
)

// bug is what is wrong with a pipeline.
type bug int

const (
	none bug = iota
	resumesOneTooEarly
	resumesOneTooLate
	dropsTheFirstBatch
	sealsOnClose
	startsAnew
	stuck
	givesUp
)

// loud is a pipeline that writes the words of one stream to another in capitals.
func loud(b bug) tidemarktest.Pipeline[string, struct{}, string, struct{}] {
	return tidemarktest.Pipeline[string, struct{}, string, struct{}]{
		Input: "words", InputKey: codec.String, InputVal: codec.Unit,
		Output: "loud", OutputKey: codec.String, OutputVal: codec.Unit,
		Draw: func(r *rand.Rand) (string, struct{}) { return []string{"a", "b", "c"}[r.IntN(3)], struct{}{} },
		Want: func(asOf uint64, input []word) []word {
			var output []word
			for _, u := range input {
				if u.Time <= asOf { // all of them are
					u.Key = strings.ToUpper(u.Key)
					output = append(output, u)
				}
			}
			return output
		},
		Run: func(ctx context.Context, c *persist.Client) error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			_, read, err := persist.CreateOrLoad(ctx, c, "words", codec.String, codec.Unit)
			if err != nil {
				return err
			}
			write, _, err := persist.CreateOrLoad(ctx, c, "loud", codec.String, codec.Unit)
			if err != nil {
				return err
			}
			if b == none || b == stuck {
				return runLoud(ctx, read, write, b)
			}
			return runByHand(ctx, read, write, b)
		},
	}
}

// runLoud is the pipeline as it should be, but for one that takes nothing.
func runLoud(ctx context.Context, read *persist.ReadHandle[string, struct{}], write *persist.WriteHandle[string, struct{}], b bug) error {
	at, err := write.Description(ctx)
	if err != nil {
		return err
	}
	src := source.NewBatches(ctx, read, source.From(at.Upper))
	dst := sink.New(ctx, write)
	src.Via(flow.NewMap(func(in words) words {
		if b == stuck {
			<-ctx.Done()
		}
		out := words{Description: in.Description}
		for _, u := range in.Updates {
			u.Key = strings.ToUpper(u.Key)
			out.Updates = append(out.Updates, u)
		}
		return out
	}, 1)).To(dst)
	dst.AwaitCompletion()
	return errors.Join(src.Err(), dst.Err())
}

// runByHand is how one may write it who does without the sink, with a mistake.
func runByHand(ctx context.Context, read *persist.ReadHandle[string, struct{}], write *persist.WriteHandle[string, struct{}], b bug) error {
	at, err := write.Description(ctx)
	if err != nil {
		return err
	}
	from, _ := at.Upper.Elem()
	switch {
	case b == resumesOneTooEarly && from > 0:
		from--
	case b == resumesOneTooLate && from > 0:
		from++
	case b == startsAnew:
		from = 0
	}
	src := source.NewBatches(ctx, read, source.From(frontier.At(from)))
	first, upper := true, at.Upper
	for e := range src.Out() {
		in := e.(words)
		if b == givesUp && first {
			return errors.New("given up")
		}
		var updates []word
		for _, u := range in.Updates {
			u.Key, u.Time = strings.ToUpper(u.Key), max(u.Time, from+1)-1
			if t, ok := upper.Elem(); ok {
				u.Time = max(u.Time, t)
			}
			updates = append(updates, u)
		}
		if b == dropsTheFirstBatch && first && at.Upper != frontier.At(0) {
			updates = nil
		}
		first = false
		if !upper.LessThan(in.Upper) {
			continue
		}
		for i, u := range in.Updates {
			if len(updates) > 0 && upper.Admits(u.Time) {
				updates[i].Time = u.Time
			}
		}
		if _, err := write.CompareAndAppend(ctx, updates, upper, in.Upper).Wait(ctx); err != nil {
			return err
		}
		upper = in.Upper
	}
	if b == sealsOnClose {
		_, err := write.Finish(context.WithoutCancel(ctx)).Wait(context.WithoutCancel(ctx))
		return err
	}
	return src.Err()
}

// TestPipeline holds a pipeline of go-streams against its function.
func TestPipeline(t *testing.T) {
	seeds := proof.Run(t, proof.Pick(6, 200, 5000), func(t *testing.T, seed uint64) {
		opts := tidemarktest.Options{Seed: seed, Steps: 100}
		if seed%2 == 0 {
			opts.Config = tidemarktest.Small()
		}
		p := loud(none)
		p.Table = seed%3 == 0
		tidemarktest.RunPipeline(t, tidemarktest.Memory(), p, opts)
	})
	proof.Reached(t, 8, "pipelines", seeds)
}

// TestIdlePipeline: a history in which nothing was written shows nothing, and fails.
func TestIdlePipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range tidemarktest.Seeds(20) {
			err := tidemarktest.CheckPipelineVirtually(t.Context(), tidemarktest.Memory(), loud(none), tidemarktest.Options{Seed: seed, Steps: 1})
			if err != nil {
				require.ErrorContains(t, err, "void: in 1 steps nothing was written")
				return
			}
		}
		require.Fail(t, "each of twenty seeds wrote something in one step")
	})
}

// TestWrongPipelines: what users get wrong is found within a few histories, and said
// so that they can see it.
func TestWrongPipelines(t *testing.T) {
	for b, want := range map[bug]string{
		resumesOneTooEarly: "", // twice, or too early for what the input still knows
		resumesOneTooLate:  "is not what Want says of the input up to time",
		dropsTheFirstBatch: "is not what Want says of the input up to time",
		startsAnew:         "", // likewise
		sealsOnClose:       "false seal",
		stuck:              "no progress",
		givesUp:            "Run has returned, although nothing was wrong",
	} {
		t.Run(fmt.Sprint(int(b)), func(t *testing.T) {
			for seed := uint64(1); ; seed++ {
				require.LessOrEqual(t, seed, uint64(20), "not found")
				var err error
				synctest.Test(t, func(t *testing.T) {
					err = tidemarktest.CheckPipelineVirtually(t.Context(), tidemarktest.Memory(), loud(b), tidemarktest.Options{Seed: seed, Steps: 100})
				})
				if err != nil {
					require.ErrorContains(t, err, fmt.Sprintf("seed %d: the pipeline from \"words\" to \"loud\": ", seed))
					require.ErrorContains(t, err, want)
					require.ErrorContains(t, err, "what was done last:")
					t.Logf("after %d histories: %v", seed, err)
					return
				}
			}
		})
	}
}
