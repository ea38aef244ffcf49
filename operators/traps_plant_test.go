package operators_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reugn/go-streams"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// The tests TestTrap* are the traps of go-streams, in the numbering of
// docs/history/inventory.md, each as what our operators make of it. All of them run in a
// synctest bubble: a hang is a deadlock that the bubble reports, a goroutine that is
// left over is too, and time costs nothing. Contexts are those of the background: what
// ends only because a test has ended is a leak.

// plant is what pipelines of these tests are built from: the stream "in", with one
// update at each of the times 0 to times-1 and sealed to times, and the stream
// "out", which is empty, in a runtime in memory.
type plant struct {
	t        *testing.T
	rng      *rand.Rand // of the test's goroutine
	registry *mem.Registry
	storage  *mem.Unreliable
	client   *persist.Client

	in, out         *persist.WriteHandle[string, int]
	readIn, readOut *persist.ReadHandle[string, int]
}

const times = 12

// errEnough is the cause with which the tests cancel contexts.
var errEnough = errors.New("enough")

// intCodec is what the values of the plant are encoded with.
var intCodec = codec.JSON[int]()

// trap runs a test of a trap: on several plants, each in a bubble of its own. After
// each of them it checks what no abuse may break: the upper of "out" vouches for
// everything before it, exactly once.
func trap(t *testing.T, body func(t *testing.T, p *plant)) {
	n := proof.Run(t, proof.Pick(1, 1, 100), func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlant(t, seed)
			body(t, p)
			p.requireHonest(t)
		})
	})
	proof.Reached(t, 21, "plants abused", n)
}

func newPlant(t *testing.T, seed uint64) *plant {
	p := &plant{t: t, rng: rand.New(rand.NewPCG(seed, 21)), registry: mem.NewRegistry()}
	p.open(t)
	t.Cleanup(p.stop)
	for i := range uint64(times) {
		p.in.Write(context.Background(), []update{original(i)})
	}
	p.seal(times)
	return p
}

// open opens a runtime, whose storage does nothing unusual yet, with both streams.
func (p *plant) open(t *testing.T) {
	t.Helper()
	p.storage = mem.NewUnreliable()
	var err error
	p.client, err = p.registry.RuntimeUnreliable(context.Background(), p.storage, persist.Config{})
	require.NoError(t, err)
	p.in, p.readIn, err = persist.CreateOrLoad(context.Background(), p.client, "in", codec.String, intCodec)
	require.NoError(t, err)
	p.out, p.readOut, err = persist.CreateOrLoad(context.Background(), p.client, "out", codec.String, intCodec)
	require.NoError(t, err)
}

// stop stops the runtime, which reports a failure of the log that a test has made.
func (p *plant) stop() { _ = p.client.Stop() }

// reopen puts another runtime in the place of this one, as a restart does.
func (p *plant) reopen(t *testing.T) {
	t.Helper()
	p.stop()
	p.open(t)
}

// original is the one update of "in" at a time.
func original(time uint64) update { return at(fmt.Sprintf("%02d", time), int(time), time, 1) }

func (p *plant) seal(upper uint64) {
	_, err := p.in.Seal(context.Background(), upper).Wait(context.Background())
	require.NoError(p.t, err)
}

// finish ends the stream "in", and with it the sources that read it.
func (p *plant) finish() {
	_, err := p.in.Finish(context.Background()).Wait(context.Background())
	require.NoError(p.t, err)
}

// source is a source of one batch for each time.
func (p *plant) source(ctx context.Context, opts ...source.BatchOption) *source.BatchSource[string, int] {
	return source.NewBatches(ctx, p.readIn, append([]source.BatchOption{source.MaxBatchUpdates(1)}, opts...)...)
}

func (p *plant) sink(ctx context.Context, opts ...sink.Option) *sink.Sink[string, int] {
	return sink.New(ctx, p.out, opts...)
}

// identity is a flow of ours that changes nothing.
func identity(ctx context.Context) *operators.BatchFlow {
	return operators.MapBatches(ctx, 4, func(_ context.Context, b batch) ([]update, error) { return b.Updates, nil })
}

// upper returns the upper of "out".
func (p *plant) upper(t *testing.T) frontier.Antichain {
	t.Helper()
	d, err := p.out.Description(context.Background())
	require.NoError(t, err)
	return d.Upper
}

// contents returns what is in "out".
func (p *plant) contents(t *testing.T) []update {
	t.Helper()
	s, err := p.readOut.Snapshot(context.Background())
	require.NoError(t, err)
	defer s.Close()
	all, err := s.ReadToEnd(context.Background())
	require.NoError(t, err)
	return all
}

// originals are the updates of "in" before an upper.
func originals(before frontier.Antichain) []update {
	all := []update{}
	for i := range uint64(times) {
		if !before.Admits(i) {
			all = append(all, original(i))
		}
	}
	return all
}

// requireHonest checks that what "out" says is complete is complete.
func (p *plant) requireHonest(t *testing.T) {
	t.Helper()
	upper := p.upper(t)
	got := []update{}
	for _, u := range p.contents(t) {
		if !upper.Admits(u.Time) {
			got = append(got, u)
		}
	}
	require.Equal(t, originals(upper), got, "sealed to %s", upper)
}

// requireSealed checks that "out" has what "in" has before a time, is sealed to it,
// and has nothing else.
func (p *plant) requireSealed(t *testing.T, upper frontier.Antichain) {
	t.Helper()
	require.Equal(t, upper, p.upper(t))
	require.Equal(t, originals(upper), append([]update{}, p.contents(t)...))
}

// run starts a pipeline and returns how to wait for its end.
func run(pipeline func()) (wait func()) {
	var running sync.WaitGroup
	running.Go(pipeline)
	return running.Wait
}

// slowly returns a function for flows that takes a random time, of the bubble, for a
// batch, less than a second, and so much more for the first of all. Flows call it
// concurrently: the time depends on the batch and not on who comes first, so the seed
// repeats it.
func (p *plant) slowly(first time.Duration) func(batch) batch {
	salt := p.rng.Uint64()
	return func(b batch) batch {
		lower := lowerOf(b)
		takes := time.Duration(rand.New(rand.NewPCG(salt, lower)).Int64N(int64(time.Second)))
		if lower == 0 {
			takes += first
		}
		<-time.After(takes)
		return b
	}
}

// feed sends the elements to a sink, closes it and waits.
func feed(to streams.Sink, elements ...any) {
	for _, e := range elements {
		to.In() <- e
	}
	close(to.In())
	to.AwaitCompletion()
}

// pieces are the batches of "in", one for each time.
func pieces() (all []any) {
	for i := range uint64(times) {
		all = append(all, batchOf(i, i+1, original(i)))
	}
	return all
}

func lowerOf(b batch) uint64 {
	lower, _ := b.Lower.Elem()
	return lower
}
