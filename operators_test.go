package tidemark_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// The regression tests of the whole: pipelines through the public API alone.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	rounds = flag.Int("rounds", 1000, "rounds of TestRegression8606SnapshotListenerAtomicity, for each store")
	seed   = flag.Uint64("seed", 1, "seed of everything random")
)

type update = persist.Update[string, struct{}]

// places are the stores that every test of this file runs on. Opening one again is
// a restart.
func places(t *testing.T) map[string]func(context.Context) (*persist.Client, error) {
	dir, registry := t.TempDir(), mem.NewRegistry()
	return map[string]func(context.Context) (*persist.Client, error){
		"mem": func(ctx context.Context) (*persist.Client, error) { return registry.Runtime(ctx, persist.Config{}) },
		"file": func(ctx context.Context) (*persist.Client, error) {
			return file.Open(ctx, dir, persist.Config{})
		},
	}
}

// The regression of the seed, as the API page has it: whatever the interleaving of
// writes with the construction of the source, once its frontier has reached 2 the
// update at 1000 was seen once: in the snapshot or from the listener. A thousand
// rounds, a stream each.
func TestRegression8606SnapshotListenerAtomicity(t *testing.T) {
	for name, open := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Logf("reproduce: go test . -run 8606 -rounds %d -seed %d", *rounds, *seed)
			ctx := context.Background()
			p, err := open(ctx)
			require.NoError(t, err)
			defer func() { require.NoError(t, p.Stop()) }()
			rng := rand.New(rand.NewPCG(*seed, 1))
			for round := range *rounds {
				atomicityRound(ctx, t, p, fmt.Sprint(round), rng.IntN(4), rng.IntN(200), rng.IntN(200))
			}
		})
	}
}

// atomicityRound runs one round. The spins move the writer and the reader against
// each other by some microseconds.
func atomicityRound(ctx context.Context, t *testing.T, p *persist.Client, name string, split, writerSpin, readerSpin int) {
	write, read, err := persist.CreateOrLoad(ctx, p, name, codec.String, codec.Unit)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	updates := []update{{Key: "foo", Time: 1, Diff: 1}, {Key: "foo", Time: 1000, Diff: -1}}
	var writer sync.WaitGroup
	writer.Go(func() {
		spin(writerSpin)
		// In one command or in two, and waited for or not: the order is the same.
		if split&1 == 0 {
			write.Write(ctx, updates)
		} else {
			write.Write(ctx, updates[:1])
			write.Write(ctx, updates[1:])
		}
		if split&2 != 0 {
			spin(writerSpin)
		}
		if _, err := write.Seal(ctx, 2).Wait(ctx); err != nil {
			t.Error(err)
		}
	})
	spin(readerSpin)
	src := source.New(ctx, read, source.AsOf(frontier.At(0)))
	ok, errs := operators.SplitOkErr[string, struct{}](src)

	seen := make(map[uint64][]int64)
	var readers sync.WaitGroup
	readers.Go(func() {
		for e := range ok.Out() {
			u := e.(update)
			seen[u.Time] = append(seen[u.Time], u.Diff)
		}
	})
	readers.Go(func() {
		for e := range errs.Out() {
			t.Errorf("on the err side: %v", e)
		}
	})
	require.NoError(t, src.Probe().Wait(ctx, 2))
	writer.Wait()
	// Everything written is durable; finishing ends the source, and with it the readers.
	_, err = write.Finish(ctx).Wait(ctx)
	require.NoError(t, err)
	readers.Wait()
	require.Equal(t, map[uint64][]int64{1: {1}, 1000: {-1}}, seen, "each update exactly once")
}

func spin(n int) {
	for i := range n * 50 {
		_ = i
	}
}

// The graph of a pipeline does not depend on whether storage works when it is
// built: a broken handle gives the same operators, which report one error and end.
func TestRegression8687DeterministicOperatorConstruction(t *testing.T) {
	for name, open := range places(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			p, err := open(ctx)
			require.NoError(t, err)
			var stopping sync.WaitGroup
			stopping.Go(func() { _ = p.Stop() })
			for range 3 {
				_, read, _ := persist.CreateOrLoad(ctx, p, "s", codec.String, codec.Unit)
				src := source.New(ctx, read)
				ok, errs := operators.SplitOkErr[string, struct{}](src)
				var drained sync.WaitGroup
				drained.Go(func() {
					for range ok.Out() {
						t.Error("data out of a stream without any")
					}
				})
				var failures []operators.Error
				drained.Go(func() {
					for e := range errs.Out() {
						failures = append(failures, e.(operators.Error))
					}
				})
				drained.Wait()
				require.Len(t, failures, 1)
				require.ErrorIs(t, failures[0].Err, persist.ErrStopped)
			}
			stopping.Wait()
		})
	}
}

// Batch mode through a go-streams Map with parallelism 8 that holds each batch up
// for a random time, so that batches overtake each other: after every seal and
// after every restart the sink's stream has the right contents and upper. The time
// is that of a synctest bubble: it costs nothing.
func TestBatchModeThroughParallelMap(t *testing.T) {
	t.Run("mem", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			registry := mem.NewRegistry()
			parallelMap(t, 200*time.Millisecond, func(ctx context.Context) (*persist.Client, error) {
				return registry.Runtime(ctx, persist.Config{})
			})
		})
	})
	t.Run("file", func(t *testing.T) {
		dir := t.TempDir()
		parallelMap(t, 2*time.Millisecond, func(ctx context.Context) (*persist.Client, error) {
			return file.Open(ctx, dir, persist.Config{})
		})
	})
}

func parallelMap(t *testing.T, delay time.Duration, open func(context.Context) (*persist.Client, error)) {
	t.Logf("reproduce: go test . -run %s -seed %d", t.Name(), *seed)
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(*seed, 2))
	want := make(map[string]int64) // of the output
	var upper uint64
	for range 6 {
		m := startMapped(ctx, t, delay, open)
		for range 20 {
			var updates []update
			next := upper + 1 + rng.Uint64N(3)
			for range rng.IntN(5) {
				u := update{Key: fmt.Sprint("k", rng.IntN(6)), Time: upper + rng.Uint64N(next-upper), Diff: rng.Int64N(5) - 2}
				updates = append(updates, u)
				want["mapped "+u.Key] += u.Diff
			}
			_, err := m.in.CompareAndAppend(ctx, updates, frontier.At(upper), frontier.At(next)).Wait(ctx)
			require.NoError(t, err)
			upper = next
			// Sometimes the pipeline keeps up, sometimes seals pile up, and it may be stopped
			// far behind.
			if rng.IntN(3) == 0 {
				require.NoError(t, m.sink.Probe().Wait(ctx, upper))
				requireContents(ctx, t, m.out, upper, want)
			}
		}
		m.stop(t)
	}
	// After the last restart the pipeline catches up.
	m := startMapped(ctx, t, delay, open)
	require.NoError(t, m.sink.Probe().Wait(ctx, upper))
	requireContents(ctx, t, m.out, upper, want)
	m.stop(t)
}

// mapped is a running pipeline from the stream "in" to the stream "out".
type mapped struct {
	in   *persist.WriteHandle[string, struct{}]
	out  *persist.ReadHandle[string, struct{}]
	sink *sink.Sink[string, struct{}]
	stop func(*testing.T) // stops it where it is, and its runtime
}

func startMapped(ctx context.Context, t *testing.T, delay time.Duration, open func(context.Context) (*persist.Client, error)) mapped {
	p, err := open(ctx)
	require.NoError(t, err)
	in, readIn, err := persist.CreateOrLoad(ctx, p, "in", codec.String, codec.Unit)
	require.NoError(t, err)
	out, readOut, err := persist.CreateOrLoad(ctx, p, "out", codec.String, codec.Unit)
	require.NoError(t, err)
	at, err := out.Description(ctx)
	require.NoError(t, err)
	sourceCtx, cancel := context.WithCancel(ctx)
	src := source.NewBatches(sourceCtx, readIn, source.From(at.Upper))
	dst := sink.New(ctx, out)
	var pipeline sync.WaitGroup
	pipeline.Go(func() { src.Via(flow.NewMap(slowly(delay), 8)).To(dst) })
	return mapped{in: in, out: readOut, sink: dst, stop: func(t *testing.T) {
		cancel()
		pipeline.Wait()
		require.NoError(t, dst.Err())
		require.NoError(t, p.Stop())
	}}
}

// slowly maps a batch, and takes a random time for it.
func slowly(most time.Duration) func(operators.Batch[string, struct{}]) operators.Batch[string, struct{}] {
	return func(b operators.Batch[string, struct{}]) operators.Batch[string, struct{}] {
		<-time.After(rand.N(most))
		mapped := operators.Batch[string, struct{}]{Description: b.Description}
		for _, u := range b.Updates {
			u.Key = "mapped " + u.Key
			mapped.Updates = append(mapped.Updates, u)
		}
		return mapped
	}
}

func requireContents(ctx context.Context, t *testing.T, read *persist.ReadHandle[string, struct{}], upper uint64, want map[string]int64) {
	t.Helper()
	snapshot, err := read.Snapshot(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, snapshot.Close()) }()
	require.Equal(t, frontier.At(upper), snapshot.Upper())
	got := make(map[string]int64)
	for u, err := range snapshot.AsOf(ctx, upper-1) {
		require.NoError(t, err)
		got[u.Key] += u.Diff
	}
	expected := maps.Clone(want)
	maps.DeleteFunc(expected, func(_ string, n int64) bool { return n == 0 })
	require.Equal(t, expected, got, "keys %v", slices.Sorted(maps.Keys(got)))
}
