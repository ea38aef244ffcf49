package tidemarktest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// variant is one way to keep the same collections.
type variant struct {
	name    string
	config  persist.Config
	store   func(t *testing.T) Store
	between time.Duration
}

func memory(*testing.T) Store   { return Memory() }
func withGaps(*testing.T) Store { return Memory(mem.WithGaps(7)) }

// onFiles keeps a store in a directory, behind faults, so that it can go down.
func onFiles(opts ...file.Option) func(*testing.T) Store {
	return func(t *testing.T) Store {
		dir, faults := t.TempDir(), mem.NewUnreliable()
		return Store{
			Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
				log, err := file.NewLog(dir, opts...)
				if err != nil {
					return nil, err
				}
				blob, err := file.NewBlob(dir, opts...)
				if err != nil {
					_ = log.Close()
					return nil, err
				}
				return persist.Start(ctx, faults.Log(log), faults.Blob(blob), cfg)
			},
			OpenRead: func(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
				log, err := file.NewLogReader(dir, opts...)
				if err != nil {
					return nil, err
				}
				blob, err := file.NewBlobReader(dir, opts...)
				if err != nil {
					_ = log.Close()
					return nil, err
				}
				return persist.StartFollow(ctx, faults.LogReader(log), faults.BlobReader(blob), cfg)
			},
			Faults:  faults,
			Virtual: true,
		}
	}
}

// variants are the ways that row 9 compares. None of them may matter.
func variants() []variant {
	small := func(change func(*persist.Config)) persist.Config {
		cfg := Small()
		change(&cfg)
		return cfg
	}
	never := persist.Config{MinStepInterval: 1000 * time.Hour, FlushInterval: -1, MaxLogBytes: 1 << 40, FlushBytes: 1 << 24}
	smallSegments := file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize)
	yearly := persist.Config{MinStepInterval: 24 * time.Hour, FlushInterval: 24 * time.Hour, FollowInterval: 24 * time.Hour}
	return []variant{
		{"defaults", persist.Config{}, memory, 0},
		{"gaps", persist.Config{}, withGaps, 0},
		{"small", Small(), memory, 0},
		{"small with gaps", Small(), withGaps, 0},
		{"no maintenance", never, memory, 0},
		{"maintenance all the time", small(func(c *persist.Config) { c.FlushInterval, c.FlushBytes = time.Millisecond, 1 }), memory, 0},
		{"seldom", small(func(c *persist.Config) { c.MinStepInterval = 10 * time.Second }), memory, 0},
		{"no cache", small(func(c *persist.Config) { c.CacheSizeLimit = 1 }), memory, 0},
		{"cache without limit", small(func(c *persist.Config) { c.CacheSizeLimit = -1 }), memory, 0},
		{"one row a part", small(func(c *persist.Config) { c.PartBytes = 1 }), memory, 0},
		{"large parts", small(func(c *persist.Config) { c.PartBytes = 1 << 20 }), memory, 0},
		{"a group for each command", small(func(c *persist.Config) { c.MaxGroupBytes = 1 }), memory, 0},
		{"large groups", small(func(c *persist.Config) { c.MaxGroupBytes = 1 << 20 }), memory, 0},
		{"listeners read the log", small(func(c *persist.Config) { c.ListenerWindowBytes = 1 }), memory, 0},
		{"listeners read the window", small(func(c *persist.Config) { c.ListenerWindowBytes = 1 << 20 }), memory, 0},
		{"short log", small(func(c *persist.Config) { c.MaxLogBytes = 1 }), memory, 0},
		{"short queue", small(func(c *persist.Config) { c.MaxQueuedCommands = 1 }), memory, 0},
		{"readers look all the time", small(func(c *persist.Config) { c.FollowInterval = 20 * time.Millisecond }), memory, 0},
		{"a second passes", Small(), memory, time.Second},
		{"a year passes", yearly, memory, 365 * 24 * time.Hour},
		{"file", persist.Config{}, onFiles(), 0},
		{"file, small", Small(), onFiles(), 0},
		{"file, small segments", Small(), onFiles(smallSegments), 0},
		{"file, no maintenance", never, onFiles(smallSegments), 0},
	}
}

// TestVariants gives the same requests to 24 ways of keeping collections. What is
// compared is every outcome, every row that is read, every event that is heard, and
// the order of SeqNos, which count differently. So the sizes, the schedules, the
// storage and the clock do not matter: between some requests a year passes.
func TestVariants(t *testing.T) {
	all := variants()
	require.Len(t, all, 24)
	seeds := proof.Run(t, proof.Pick(1, 10, 200), func(t *testing.T, seed uint64) {
		var want Report
		for i, v := range all {
			opts := Options{Seed: seed, Config: v.config, Between: v.between, calm: true, trace: true}
			got := Run(t, v.store(t), opts)
			if i == 0 {
				want = got
				continue
			}
			requireSameTrace(t, want.trace, got.trace, all[0].name, v.name)
		}
	})
	proof.Reached(t, 9, "histories compared, of 24 configurations each", seeds)
	proof.Reached(t, 14, "histories with a year between some requests", seeds)
}

// TestEndInAnOutage: histories that end with a write to a storage that is down are the
// same whether or not time passes before it is up again.
func TestEndInAnOutage(t *testing.T) {
	for found, seed := 0, uint64(1); found < 10; seed++ {
		requests := newGenerator(seed, Memory(), true)
		for steps := 1; steps <= 200; steps++ {
			if r := requests.next(); r.kind != Write || !requests.down || requests.stopped {
				continue
			}
			found++
			opts := Options{Seed: seed, Steps: steps, calm: true, trace: true}
			once := Run(t, Memory(), opts)
			opts.Between = time.Second
			requireSameTrace(t, once.trace, Run(t, Memory(), opts).trace, "at once", "a second later")
			break
		}
	}
}

// TestSameSeedSameTrace runs each seed twice, with all that may happen, and compares
// what happened to the byte. It holds where time is virtual: requests come from one
// goroutine, and each has its place before the next one comes.
func TestSameSeedSameTrace(t *testing.T) {
	seeds := proof.Run(t, proof.Pick(2, 20, 500), func(t *testing.T, seed uint64) {
		opts := Options{Seed: seed, Config: Small(), trace: true}
		// While the storage is down, what is in memory can be read. So no cache, which keeps
		// what its hash says, and no listener that may have fallen out of the window or not.
		opts.Config.CacheSizeLimit, opts.Config.ListenerWindowBytes = 1, 1<<20
		first := Run(t, Memory(mem.WithGaps(seed)), opts)
		second := Run(t, Memory(mem.WithGaps(seed)), opts)
		requireSameTrace(t, first.trace, second.trace, "first", "second")
	})
	proof.Reached(t, 24, "seeds run twice", seeds)
}

func requireSameTrace(t *testing.T, want, got []string, wantName, gotName string) {
	t.Helper()
	if slices.Equal(want, got) {
		return
	}
	for i := range want {
		if i >= len(got) || want[i] != got[i] {
			t.Fatalf("request %d:\n%s: %s\n%s: %s", i, wantName, want[i], gotName, at(got, i))
		}
	}
	t.Fatalf("%s has %d requests, %s has %d", wantName, len(want), gotName, len(got))
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return fmt.Sprintf("only %d requests", len(lines))
}
