package tidemarktest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

// optionsOf returns the options of a seed.
func optionsOf(seed uint64, maxTail int64) tidemarktest.Options {
	bounded := tidemarktest.Small() // slow listeners are cut off
	bounded.MaxTailBytes, bounded.MaxListenerLag = maxTail, 512
	configs := []persist.Config{tidemarktest.Small(), {}, bounded}
	return tidemarktest.Options{Seed: seed, Config: configs[seed%uint64(len(configs))]}
}

// histories runs seeds and returns what they did in all.
func histories(t *testing.T, n int, maxTail int64, store func(*testing.T, uint64) tidemarktest.Store) *tidemarktest.Report {
	var mu sync.Mutex
	var all tidemarktest.Report // guarded by mu
	ran := proof.Run(t, n, func(t *testing.T, seed uint64) {
		report := tidemarktest.Run(t, store(t, seed), optionsOf(seed, maxTail))
		mu.Lock()
		defer mu.Unlock()
		all.Add(report)
	})
	t.Logf("%d requests, %d of %d calls succeeded, %d in flight at most", all.Requests, all.Succeeded, all.Calls, all.MostInFlight)
	if ran > 1 { // one seed may have had an outage for most of its time
		require.GreaterOrEqual(t, 100*all.Succeeded, 60*all.Calls, "void: too few succeeded")
	}
	proof.Reached(t, 8, "requests of histories", all.Requests)
	return &all
}

// TestHistories holds random histories of all kinds of requests against the model, in
// memory, with outages, lost answers and crashes. Those of a tier must have had all
// kinds, and all pairs of kinds, or they mean nothing.
func TestHistories(t *testing.T) {
	all := histories(t, proof.Pick(25, 2000, 25000), 0, func(_ *testing.T, seed uint64) tidemarktest.Store {
		return tidemarktest.Memory(mem.WithGaps(seed))
	})
	if all.Requests > 300_000 {
		require.NoError(t, all.Void(tidemarktest.Memory()))
		require.GreaterOrEqual(t, all.MostInFlight, 32)
	}
}

// TestHistoriesThatOverflow has seeds of which the generator once made a command of
// unknown outcome whose sums overflow, and a read that fails before it has found one that
// does. Both are as they should be.
func TestHistoriesThatOverflow(t *testing.T) {
	for _, seed := range []uint64{142193397901420, 142193397906018} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			tidemarktest.Run(t, tidemarktest.Memory(mem.WithGaps(seed)), optionsOf(seed, 0))
		})
	}
}

// TestHistoriesOnDisk does so in a directory, in real time: there what overlaps is
// left to chance, and snapshots are taken beside the writes.
func TestHistoriesOnDisk(t *testing.T) {
	const maxTail = 1 << 10 // writers wait for room
	histories(t, proof.Pick(3, 60, 1000), maxTail, func(t *testing.T, seed uint64) tidemarktest.Store {
		dir := t.TempDir()
		var opts []file.Option
		if seed%2 == 1 {
			opts = append(opts, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
		}
		return tidemarktest.Store{
			Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
				return file.Open(ctx, dir, cfg, opts...)
			},
			OpenRead: func(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
				return file.OpenRead(ctx, dir, cfg, opts...)
			},
		}
	})
}

// TestSeeds: seeds count from 1, and the environment repeats one.
func TestSeeds(t *testing.T) {
	require.Equal(t, []uint64{1, 2, 3}, slices.Collect(tidemarktest.Seeds(3)))
	require.Empty(t, slices.Collect(tidemarktest.Seeds(0)))
	for seed := range tidemarktest.Seeds(3) {
		require.EqualValues(t, 1, seed)
		break
	}
	t.Setenv("TIDEMARK_SEED", "17")
	require.Equal(t, []uint64{17}, slices.Collect(tidemarktest.Seeds(3)))
	t.Setenv("TIDEMARK_SEED", "many")
	_, err := tidemarktest.Check(t.Context(), tidemarktest.Memory(), tidemarktest.Options{})
	require.ErrorContains(t, err, "TIDEMARK_SEED: ")
}

// TestOptions: what can never work is refused.
func TestOptions(t *testing.T) {
	for _, opts := range []tidemarktest.Options{{Steps: -1}, {InFlight: -1}, {Between: -1}} {
		_, err := tidemarktest.Check(t.Context(), tidemarktest.Memory(), opts)
		require.ErrorIs(t, err, persist.ErrInvalid)
		require.ErrorIs(t, tidemarktest.CheckPipeline(t.Context(), tidemarktest.Memory(), loud(none), opts), persist.ErrInvalid)
	}
	_, err := tidemarktest.Check(t.Context(), tidemarktest.Store{}, tidemarktest.Options{})
	require.ErrorIs(t, err, persist.ErrInvalid)
	stuck := tidemarktest.Options{Config: persist.Config{MaxTailBytes: 1 << 10}}
	_, err = tidemarktest.Check(t.Context(), tidemarktest.Memory(), stuck)
	require.ErrorContains(t, err, "MaxTailBytes")
	require.ErrorContains(t, tidemarktest.CheckPipeline(t.Context(), tidemarktest.Memory(), loud(none), stuck), "MaxTailBytes")
	incomplete := loud(none)
	incomplete.Want = nil
	require.ErrorIs(t, tidemarktest.CheckPipeline(t.Context(), tidemarktest.Memory(), incomplete, tidemarktest.Options{}), persist.ErrInvalid)
}

// TestModelRefuses: a compare-and-append that does not say what it seals to.
func TestModelRefuses(t *testing.T) {
	m, zero := tidemarktest.NewModel(), frontier.At(0)
	require.NoError(t, m.Create("s"))
	require.ErrorIs(t, m.Apply(tidemarktest.Command{{Stream: "s", Expect: &zero}}), persist.ErrInvalid)
}

// forgetful is a log that acknowledges every nth append and does not do it.
type forgetful struct {
	storage.Log
	n int
}

func (f *forgetful) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	if f.n--; f.n != 0 {
		return f.Log.Append(ctx, expected, entries)
	}
	positions := make([]storage.SeqNo, len(entries))
	for i := range positions {
		positions[i] = expected + storage.SeqNo(i) + 1
	}
	return positions, nil
}

// TestForgetfulStore: a store that loses one acknowledged group is found out.
func TestForgetfulStore(t *testing.T) {
	place := mem.NewPlace("forgetful")
	synctest.Test(t, func(t *testing.T) {
		_, err := tidemarktest.CheckVirtually(t.Context(), tidemarktest.Store{
			Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
				log, err := place.OpenLog(storage.LockInfo{Owner: "test"})
				require.NoError(t, err)
				blob, err := place.OpenBlob(storage.LockInfo{Owner: "test"})
				require.NoError(t, err)
				return persist.Start(ctx, &forgetful{log, 20}, blob, cfg)
			},
			Virtual: true,
		}, tidemarktest.Options{Seed: 1})
		require.Error(t, err)
		require.ErrorContains(t, err, "tidemarktest: seed 1: request ")
		require.ErrorContains(t, err, "the last requests:\n")
		t.Log(err)
	})
}

// TestDestroyedStreamWithATail: the log lets go of what a stream had in its tail when
// it was destroyed, and the next opening does not miss it.
func TestDestroyedStreamWithATail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, cfg := tidemarktest.Memory(), persist.Config{FlushInterval: -1, FlushBytes: 200}
		c, err := store.Open(t.Context(), cfg)
		require.NoError(t, err)
		for _, s := range []struct{ name, key string }{{"small", "a"}, {"large", strings.Repeat("b", 1000)}} {
			w, _, err := persist.CreateOrLoad(t.Context(), c, s.name, codec.String, codec.Unit)
			require.NoError(t, err)
			_, err = w.Write(t.Context(), []word{{Key: s.key, Diff: 1}}).Wait(t.Context())
			require.NoError(t, err)
		}
		<-time.After(time.Minute) // "large" is in a batch, and the manifest says that "small" is not
		destroyed, err := c.Destroy(t.Context(), "small")
		require.NoError(t, err)
		require.True(t, destroyed)
		<-time.After(time.Minute) // the log is truncated
		require.NoError(t, c.Stop())
		c, err = store.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, c.Stop())
	})
}
