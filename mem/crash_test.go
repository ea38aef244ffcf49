package mem_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// start runs a mutation in the background and returns how to get its error.
func start(mutation func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- mutation() }()
	return func() error { return <-done }
}

func appending(log storage.Log, expected storage.SeqNo, data ...string) func() error {
	return func() error {
		_, err := log.Append(context.Background(), expected, text(data...))
		return err
	}
}

func setting(blob storage.Blob, key, value string) func() error {
	return func() error {
		_, err := blob.Set(context.Background(), key, []byte(value))
		return err
	}
}

// requireUnknown checks that an error leaves open what has happened.
func requireUnknown(t testing.TB, err error) {
	t.Helper()
	require.Error(t, err)
	for _, known := range []error{storage.ErrNoEffect, storage.ErrConflict, storage.ErrClosed} {
		require.NotErrorIs(t, err, known)
	}
}

func TestCrashKeepsAPrefixOfAnAppend(t *testing.T) {
	for kept, want := range [][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b", "c", "d"}, {"a", "b", "c", "d"}} {
		p := mem.NewPlace("orders", mem.WithGaps(3))
		log := openLog(t, p, alice)
		positions, err := log.Append(t.Context(), 0, text("a"))
		require.NoError(t, err)
		held := p.HoldFlushes()
		wait := start(appending(log, positions[0], "b", "c", "d"))
		require.NoError(t, held.Wait(t.Context(), 1))
		require.Equal(t, []string{"a"}, contents(t, p), "in flight, not durable")

		p.Crash(func(op mem.Op, parts int) int {
			require.Equal(t, mem.OpAppend, op)
			require.Equal(t, 3, parts)
			return kept
		})
		err = wait()
		require.ErrorIs(t, err, mem.ErrCrashed)
		requireUnknown(t, err)
		require.Equal(t, want, contents(t, p))
		require.ErrorIs(t, appending(log, positions[0], "x")(), storage.ErrClosed, "the old handle")

		// Somebody else goes on from there, with flushes that are not held.
		log = openLog(t, p, bob)
		bounds, err := log.Bounds(t.Context())
		require.NoError(t, err)
		require.NoError(t, appending(log, bounds.Last, "next")())
		require.Equal(t, append(want, "next"), contents(t, p))
	}
}

// Whatever a crash keeps, everything acknowledged is there, and of what was in
// flight a prefix of the append, and of each other mutation all or nothing.
func TestCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		p := mem.NewPlace("orders", mem.WithGaps(rapid.Uint64().Draw(t, "gaps")))
		var acknowledged []string
		blobs := map[string]string{}
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			log, blob := openLog(t, p, alice), openBlob(t, p, alice)
			require.Equal(t, acknowledged, contents(t, p))
			bounds, err := log.Bounds(ctx)
			require.NoError(t, err)
			if rapid.Bool().Draw(t, "acknowledge") {
				positions, err := log.Append(ctx, bounds.Last, text("done", "too"))
				require.NoError(t, err)
				acknowledged, bounds.Last = append(acknowledged, "done", "too"), positions[1]
			}

			held := p.HoldFlushes()
			data := rapid.SliceOfN(rapid.StringN(0, 3, -1), 1, 4).Draw(t, "in flight")
			waits := []func() error{start(appending(log, bounds.Last, data...))}
			for _, key := range []string{"a", "b"} {
				waits = append(waits, start(setting(blob, key, rapid.StringN(1, 3, -1).Draw(t, key))))
			}
			waits = append(waits, start(func() error { return blob.Delete(ctx, "c") }))
			require.NoError(t, held.Wait(ctx, len(waits)))
			keep := map[mem.Op][]int{}
			random := mem.KeepRandom(rapid.Uint64().Draw(t, "seed"))
			p.Crash(func(op mem.Op, parts int) int {
				n := random(op, parts)
				keep[op] = append(keep[op], n)
				return n
			})
			for _, wait := range waits {
				require.ErrorIs(t, wait(), mem.ErrCrashed)
			}
			require.Len(t, keep[mem.OpAppend], 1)
			require.Len(t, keep[mem.OpSet], 2)
			acknowledged = append(acknowledged, data[:keep[mem.OpAppend][0]]...)
			require.Equal(t, acknowledged, contents(t, p))

			changed := 0
			for _, key := range []string{"a", "b"} {
				if now := value(t, p, key); now != blobs[key] {
					changed++
					blobs[key] = now
				}
			}
			require.LessOrEqual(t, changed, keep[mem.OpSet][0]+keep[mem.OpSet][1])
		}
	})
}

func TestKeepRandomFollowsItsSeed(t *testing.T) {
	draw := func(seed uint64) (drawn []int) {
		keep := mem.KeepRandom(seed)
		for range 50 {
			drawn = append(drawn, keep(mem.OpAppend, 3))
		}
		return drawn
	}
	require.Equal(t, draw(1), draw(1))
	require.NotEqual(t, draw(1), draw(2))
	for n := range 4 {
		require.True(t, slices.Contains(draw(1), n), "%d of 3 entries", n)
	}
	require.Equal(t, 0, mem.KeepNone(mem.OpSet, 1))
	require.Equal(t, 3, mem.KeepAll(mem.OpAppend, 3))
}

func TestWhoSurvivesACrash(t *testing.T) {
	p := mem.NewPlace("orders")
	log, blob := openLog(t, p, alice), openBlob(t, p, alice)
	logReader, blobReader := p.OpenLogReader(), p.OpenBlobReader()
	require.NoError(t, appending(log, 0, "a")())
	require.NoError(t, setting(blob, "a", "A")())
	p.CrashWriter(nil)
	require.ErrorIs(t, setting(blob, "a", "x")(), storage.ErrClosed)
	require.NoError(t, log.Close())
	require.Equal(t, []string{"a"}, entries(t, logReader, 0))
	_, _, err := blobReader.Get(t.Context(), "a")
	require.NoError(t, err)

	log = openLog(t, p, bob)
	p.Crash(nil)
	require.ErrorIs(t, log.Truncate(t.Context(), 1), storage.ErrClosed)
	_, err = logReader.Bounds(t.Context())
	require.ErrorIs(t, err, storage.ErrClosed)
	_, _, err = blobReader.Get(t.Context(), "a")
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorContains(t, err, "lost in a crash")
	require.NoError(t, logReader.Close())
	require.Equal(t, []string{"a"}, contents(t, p))
}

func TestFlushesLandInOrder(t *testing.T) {
	p := mem.NewPlace("orders")
	log, blob := openLog(t, p, alice), openBlob(t, p, alice)
	require.NoError(t, appending(log, 0, "a")())
	held := p.HoldFlushes()
	require.Same(t, held, p.HoldFlushes())
	require.NoError(t, appending(log, 1)(), "nothing to flush")

	appended := start(appending(log, 1, "b"))
	require.NoError(t, held.Wait(t.Context(), 1))
	err := appending(log, 1, "too early")()
	require.ErrorIs(t, err, storage.ErrNoEffect, "one append at a time")
	truncated := start(func() error { return log.Truncate(context.Background(), 1) })
	setIf := func(value string) func() error {
		return func() error {
			_, err := blob.SetIf(context.Background(), "k", []byte(value), storage.NoVersion)
			return err
		}
	}
	first := start(setIf("first"))
	require.NoError(t, held.Wait(t.Context(), 3))
	second := start(setIf("second"))
	require.NoError(t, held.Wait(t.Context(), 4))
	require.Equal(t, []string{"a"}, contents(t, p))
	require.Empty(t, value(t, p, "k"))

	held.Open()
	held.Open()
	require.NoError(t, appended())
	require.NoError(t, truncated())
	require.NoError(t, first())
	require.ErrorIs(t, second(), storage.ErrConflict, "the condition holds when the mutation happens")
	require.Equal(t, "first", value(t, p, "k"))
	require.Equal(t, []string{"b"}, entries(t, log, 1))
	require.NoError(t, appending(log, 2, "c")(), "no longer held")
	require.Error(t, held.Wait(t.Context(), 5), "an open gate waits for nobody")
}

func TestAppendIsGivenUpWhileInFlight(t *testing.T) {
	p := mem.NewPlace("orders")
	log := openLog(t, p, alice)
	held := p.HoldFlushes()
	ctx, cancel := context.WithCancel(t.Context())
	wait := start(func() error {
		_, err := log.Append(ctx, 0, text("a"))
		return err
	})
	require.NoError(t, held.Wait(t.Context(), 1))
	cancel()
	err := wait()
	require.ErrorIs(t, err, context.Canceled)
	requireUnknown(t, err)
	requireUnknown(t, appending(log, 0, "x")())
	require.ErrorIs(t, held.Wait(ctx, 2), context.Canceled)

	held.Open() // it was on its way
	require.Equal(t, []string{"a"}, contents(t, p))
	requireUnknown(t, appending(log, 1, "x")())
	require.NoError(t, appending(openLog(t, p, alice), 1, "b")())
}

// Closing or superseding a handle decides what it has in flight: it is lost.
func TestHandleEndsWithMutationsInFlight(t *testing.T) {
	for name, end := range map[string]func(*mem.Place, *mem.Log, *mem.Blob){
		"close": func(_ *mem.Place, log *mem.Log, blob *mem.Blob) { log.Close(); blob.Close() },
		"take over": func(p *mem.Place, _ *mem.Log, _ *mem.Blob) {
			openLog(t, p, alice)
			openBlob(t, p, alice)
		},
	} {
		p := mem.NewPlace("orders")
		log, blob := openLog(t, p, alice), openBlob(t, p, alice)
		held := p.HoldFlushes()
		appended, set := start(appending(log, 0, "a")), start(setting(blob, "k", "v"))
		require.NoError(t, held.Wait(t.Context(), 2))
		end(p, log, blob)
		require.ErrorIs(t, appended(), storage.ErrClosed, name)
		require.ErrorIs(t, set(), storage.ErrClosed, name)
		held.Open()
		require.Empty(t, contents(t, p), name)
		require.Empty(t, value(t, p, "k"), name)
	}
}

// In a bubble the test needs no Wait: once everybody is blocked, the mutation is
// in flight.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mem.NewPlace("orders")
		log := openLog(t, p, alice)
		held := p.HoldFlushes()
		var err error
		returned := false
		go func() {
			err = appending(log, 0, "a")()
			returned = true
		}()
		synctest.Wait()
		require.False(t, returned)
		held.Open()
		synctest.Wait()
		require.True(t, returned)
		require.NoError(t, err)
	})
}
