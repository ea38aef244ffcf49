package tidemarktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-go/tidemark/persist"
)

// Pipeline is your pipeline under test, and what it has to compute. It reads one stream and
// writes another.
type Pipeline[K, V, K2, V2 any] struct {
	// Input and Output are the names of the streams. They exist when Run is called.
	Input, Output string
	InputKey      persist.Codec[K]
	InputVal      persist.Codec[V]
	OutputKey     persist.Codec[K2]
	OutputVal     persist.Codec[V2]

	// Draw returns a key and a value for the input. The result must depend on random alone.
	// Few different keys and values make more happen than many.
	Draw func(random *rand.Rand) (K, V)

	// Table says that at no time the input holds a row less than zero times. This is so if
	// the input was counted, or read from a table. Without Table, diffs are any from -1 to
	// 2, and a row may be there -3 times.
	Table bool

	// Run builds the pipeline, and runs it until one of these: the context ends (then its
	// error does not matter), or the input is finished and the output with it (then Run
	// must return nil). When Run returns, nothing of the pipeline may go on. Run is called
	// again and again, never twice at once, and has to go on where the output ends.
	//
	// Where the store's time is virtual, Run is called in a bubble of testing/synctest.
	// Then everything that it waits for must be made in the bubble: nothing that an init
	// function or another test has made, and no sockets.
	Run func(ctx context.Context, client *persist.Client) error

	// Want returns what the output has to hold as of a time. It gets the updates of the
	// input up to that time, in the order of writing, and no others. Only the sums of its
	// answer count: neither order nor times. It may change and keep the slice.
	Want func(asOf uint64, input []persist.Update[K, V]) []persist.Update[K2, V2]
}

// RunPipeline runs a pipeline on a store while input is written, sealed and compacted. At
// moments that follow from the seed it stops the pipeline, stops or crashes the runtime,
// and lets the storage fail. The test fails unless, whatever has happened,
//
//   - the output is sealed no further than the input (no false seal);
//   - for every time that the output is sealed beyond, its contents are what Want says of
//     the input up to that time: nothing lost, nothing twice;
//   - the upper of the output never goes back;
//   - the pipeline ends only if something was done to it;
//   - once left alone, it reaches the upper of the input; and when the input is finished,
//     it finishes its output and returns nil.
//
// The since of the input is kept one time before the upper of the output: a source that
// resumes there needs this. A store whose time is virtual runs in a bubble. RunPipeline
// logs how much was done. A history in which nothing could be written fails too.
func RunPipeline[K, V, K2, V2 any](t *testing.T, store Store, p Pipeline[K, V, K2, V2], opts Options) {
	t.Helper()
	var done string
	var err error
	inBubble(t, store.Virtual, func(t *testing.T) {
		done, err = checkPipeline(t.Context(), store, p, opts, store.Virtual)
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, repeat(t, opts))
	}
	t.Log(done)
}

// CheckPipeline is [RunPipeline] without a test, in real time.
//
// Errors: what is wrong with the output; the context's.
func CheckPipeline[K, V, K2, V2 any](ctx context.Context, store Store, p Pipeline[K, V, K2, V2], opts Options) error {
	_, err := checkPipeline(ctx, store, p, opts, false)
	return err
}

// checkPipeline returns what was done, in words.
func checkPipeline[K, V, K2, V2 any](ctx context.Context, store Store, p Pipeline[K, V, K2, V2], opts Options, virtual bool) (string, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	if err := store.usable(opts); err != nil {
		return "", err
	}
	if p.Run == nil || p.Draw == nil || p.Want == nil || p.InputKey == nil || p.InputVal == nil || p.OutputKey == nil || p.OutputVal == nil {
		return "", fmt.Errorf("tidemarktest: %w: every field of Pipeline but Table must be set", persist.ErrInvalid)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if virtual && store.Faults != nil {
		l := &latency{of: time.Duration(opts.Seed%4) * time.Millisecond}
		l.none.Add(1)
		store.Faults.SetDelay(l.delay)
	}
	x := &exercise[K, V, K2, V2]{
		Pipeline: p, ctx: ctx, store: store, opts: opts, virtual: virtual,
		random: rand.New(rand.NewPCG(opts.Seed, 1)),
	}
	defer x.clean()
	if err := x.run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return "", fmt.Errorf("tidemarktest: %w", cause)
		}
		last := x.done[max(0, len(x.done)-25):]
		return "", fmt.Errorf("tidemarktest: seed %d: the pipeline from %q to %q: %w\nwhat was done last:\n    %s",
			opts.Seed, p.Input, p.Output, err, strings.Join(last, "\n    "))
	}
	return fmt.Sprintf("seed %d: %s", opts.Seed, x.tally), nil
}
