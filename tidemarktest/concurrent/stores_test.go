package concurrent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

// hurried has limits that a few updates reach: listeners fall out of the window at
// once, and every kind of background work happens all the time.
func hurried() persist.Config {
	return persist.Config{
		MinStepInterval: time.Millisecond, FlushInterval: 2 * time.Millisecond,
		FlushBytes: 1 << 10, PartBytes: 512, MaxLogBytes: 8 << 10,
		CacheSizeLimit: 16 << 10, ListenerWindowBytes: 2 << 10,
		FollowInterval: 3 * time.Millisecond,
	}
}

// inMemory is a store whose appends take a while, whose place crashes with appends in
// flight, whose storage goes down, and whose answers get lost.
func inMemory(seed uint64, cfg persist.Config) concurrent.Store {
	registry := mem.NewRegistry(mem.WithGaps(seed))
	place, faults := registry.Place(), mem.NewUnreliable()
	latency := mem.Latency(seed, time.Millisecond, 20*time.Millisecond)
	faults.SetDelay(func(ctx context.Context, op mem.Op) error {
		if op != mem.OpAppend { // others are called under locks, which a bubble's clock cannot wait for
			return nil
		}
		return latency(ctx, op)
	})
	crash := func(crash func(mem.Keep)) func(context.Context, uint64) func() {
		return func(ctx context.Context, seed uint64) func() {
			held := place.HoldFlushes()
			_ = held.Wait(ctx, 1) // writers are at work
			crash(mem.KeepRandom(seed))
			return nil
		}
	}
	lose := func(outcome mem.Outcome) func(context.Context, uint64) func() {
		return func(_ context.Context, seed uint64) func() {
			return faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: outcome, Parts: int(seed % 4)})
		}
	}
	follow := func(ctx context.Context) (*persist.ReadClient, error) { return registry.ReadRuntime(ctx, cfg) }
	switch seed % 3 {
	case 1: // followers look rarely, and cannot keep the owner from truncating the log
		far := cfg
		far.FollowInterval = 40 * time.Millisecond
		follow = func(ctx context.Context) (*persist.ReadClient, error) {
			return persist.StartFollow(ctx, plainLogReader{place.OpenLogReader()}, place.OpenBlobReader(), far)
		}
	case 2: // slow listeners are cut off
		cfg.MaxListenerLag = 8 << 10
	}
	return concurrent.Store{
		Open: func(ctx context.Context) (*persist.Client, error) {
			return registry.RuntimeUnreliable(ctx, faults, cfg)
		},
		OpenRead: follow,
		Troubles: []concurrent.Trouble{
			{Name: "crash of the writer", Strike: crash(place.CrashWriter), Reopen: true},
			{Name: "crash of all", Strike: crash(place.Crash), Reopen: true},
			{Name: "storage down", Strike: func(context.Context, uint64) func() {
				faults.SetDown()
				return faults.SetUp
			}},
			{Name: "append torn", Strike: lose(mem.Torn), Reopen: true},
			{Name: "append vanished", Strike: lose(mem.Vanished), Reopen: true},
		},
		Expected: func(err error) bool { return errors.Is(err, mem.ErrCrashed) || errors.Is(err, mem.ErrUnavailable) },
	}
}

// onDisk is a store of real files.
func onDisk(t testing.TB, cfg persist.Config) concurrent.Store {
	dir := t.TempDir()
	return concurrent.Store{
		Open: func(ctx context.Context) (*persist.Client, error) {
			return file.Open(ctx, dir, cfg, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
		},
		OpenRead: func(ctx context.Context) (*persist.ReadClient, error) { return file.OpenRead(ctx, dir, cfg) },
	}
}

// plainLogReader has no abilities beside those of every log reader.
type plainLogReader struct{ storage.LogReader }
