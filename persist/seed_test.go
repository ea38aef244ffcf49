package persist_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// The tests of this file are the acceptance tests of the runtime's first
// specification, under the names they have there.

var twoUpdates = []update{up("key1", "val1", 1, 1), up("key2", "val2", 1, 1)}

func TestRuntime(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, persist.Config{})
		w, r := create(t, c, "0")
		must(t, w.Write(t.Context(), twoUpdates))
		require.Equal(t, twoUpdates, contents(t, r))

		// After a stop everything is an error, but stopping again is fine.
		require.NoError(t, c.Stop())
		w, r, err := persist.CreateOrLoad(t.Context(), c, "0", codec.String, codec.String)
		require.ErrorIs(t, err, persist.ErrStopped)
		_, err = w.StreamID()
		require.ErrorIs(t, err, persist.ErrStopped)
		require.ErrorIs(t, refused(t, w.Write(t.Context(), twoUpdates)), persist.ErrStopped)
		_, err = r.Snapshot(t.Context())
		require.ErrorIs(t, err, persist.ErrStopped)
		require.NoError(t, c.Stop())
	})
}

func TestConcurrent(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		first := start(t, p, persist.Config{})
		create(t, first, "0")

		// Everything still runs after the first owner has gone.
		second := first.Clone()
		require.Equal(t, first.ID(), second.ID())
		require.NoError(t, first.Close())
		w, r := create(t, second, "0")
		must(t, w.Write(t.Context(), twoUpdates))
		require.Equal(t, twoUpdates, contents(t, r))
		require.NoError(t, second.Stop())
	})
}

func TestRestart(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		// Stop releases the place, so that it can be opened again at once.
		c := start(t, p, persist.Config{})
		w, _ := create(t, c, "0")
		must(t, w.Write(t.Context(), twoUpdates[:1]))
		require.NoError(t, c.Stop())

		// And so does closing the last owner.
		c = start(t, p, persist.Config{})
		w, _ = create(t, c, "0")
		must(t, w.Write(t.Context(), twoUpdates[1:]))
		require.NoError(t, c.Close())

		_, r := create(t, start(t, p, persist.Config{}), "0")
		require.Equal(t, twoUpdates, contents(t, r))
	})
}

func TestSealGetDescriptionRoundtrip(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, persist.Config{})
		w, _ := create(t, c, "test")
		require.Equal(t, frontier.At(0), describe(t, c, "test").Upper)
		sealed := w.Seal(t.Context(), 42) // not waited for, and visible to what comes after
		require.Equal(t, frontier.At(42), describe(t, c, "test").Upper)
		must(t, sealed)
	})
}

func TestAllowCompactionGetDescriptionRoundtrip(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, persist.Config{})
		w, _ := create(t, c, "test")
		require.Equal(t, frontier.At(0), describe(t, c, "test").Since)
		must(t, w.Seal(t.Context(), 100))
		must(t, w.AllowCompaction(t.Context(), frontier.At(42)))
		require.Equal(t, frontier.Description{Upper: frontier.At(100), Since: frontier.At(42)}, describe(t, c, "test"))
	})
}

func TestGetDescriptionLower(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, persist.Config{})
		w, _ := create(t, c, "test")
		require.Equal(t, frontier.At(0), describe(t, c, "test").Lower)
		must(t, w.Seal(t.Context(), 3))
		must(t, w.AllowCompaction(t.Context(), frontier.At(2)))
		require.Equal(t, frontier.At(0), describe(t, c, "test").Lower)
		_, err := c.Description(t.Context(), "unknown")
		require.ErrorIs(t, err, persist.ErrUnknownStream)
	})
}

// set creates a stream of keys alone.
func set(t *testing.T, c *persist.Client, name string) (*persist.WriteHandle[string, struct{}], *persist.ReadHandle[string, struct{}]) {
	w, r, err := persist.CreateOrLoad(t.Context(), c, name, codec.String, codec.Unit)
	require.NoError(t, err)
	return w, r
}

func TestMultiWriteHandle(t *testing.T) {
	type keys = []persist.Update[string, struct{}]
	data := keys{{Key: "key1", Time: 1, Diff: 1}, {Key: "key2", Time: 1, Diff: 1}}
	registry := mem.NewMultiRegistry()
	open := func(path string) *persist.Client {
		c, err := registry.Open(t.Context(), path, "multi", persist.Config{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Stop()) })
		return c
	}
	c1, c2 := open("1"), open("2")
	w1, r1 := set(t, c1, "1")
	w2, r2 := set(t, c1, "2")
	foreign, _ := set(t, c2, "1")

	// It takes streams, and all of one runtime.
	_, err := persist.NewMultiWriteHandle()
	require.ErrorIs(t, err, persist.ErrInvalid)
	_, err = persist.NewMultiWriteHandle(w2, foreign)
	require.ErrorIs(t, err, persist.ErrDifferentRuntimes)

	multi, err := persist.NewMultiWriteHandle(w1, w2)
	require.NoError(t, err)
	require.ErrorIs(t, multi.AddStream(foreign), persist.ErrDifferentRuntimes)
	must(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
		require.ErrorIs(t, persist.AddWrite(b, foreign, data), persist.ErrDifferentRuntimes)
		require.NoError(t, persist.AddWrite(b, w1, data[:1]))
		return persist.AddWrite(b, w2, data[1:])
	}))
	require.Equal(t, data[:1], readSet(t, r1))
	require.Equal(t, data[1:], readSet(t, r2))

	id1, err := w1.StreamID()
	require.NoError(t, err)
	id2, err := w2.StreamID()
	require.NoError(t, err)
	must(t, multi.Seal(t.Context(), []persist.StreamID{id1, id2}, 2))
	require.EqualError(t, refused(t, w1.Seal(t.Context(), 1)),
		`tidemark: stream "1": seal before the upper: seal to {1} is before the upper {2}: an upper never goes back`)
	require.ErrorIs(t, refused(t, w2.Seal(t.Context(), 1)), persist.ErrSealRegression)

	// The streams may be of different types.
	w3, r3 := set(t, c1, "3")
	w4, r4, err := persist.CreateOrLoad(t.Context(), c1, "4", codec.Unit, codec.String)
	require.NoError(t, err)
	multi, err = persist.NewMultiWriteHandle(w3)
	require.NoError(t, err)
	require.NoError(t, multi.AddStream(w4))
	foo := keys{{Key: "foo", Diff: 1}}
	bar := []persist.Update[struct{}, string]{{Val: "bar", Diff: 1}}
	must(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
		require.NoError(t, persist.AddWrite(b, w3, foo))
		return persist.AddWrite(b, w4, bar)
	}))
	require.Equal(t, foo, readSet(t, r3))
	s4, err := r4.Snapshot(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s4.Close()) }()
	got, err := s4.ReadToEnd(t.Context())
	require.NoError(t, err)
	require.Equal(t, bar, got)

	// Streams that are no members cannot be written, sealed or compacted.
	w5, r5 := set(t, c1, "5")
	id5, err := w5.StreamID()
	require.NoError(t, err)
	for name, add := range map[string]func(b *persist.AtomicWrite) error{
		"write":            func(b *persist.AtomicWrite) error { return persist.AddWrite(b, w5, data) },
		"seal":             func(b *persist.AtomicWrite) error { return persist.AddSeal(b, w5, 3) },
		"allow compaction": func(b *persist.AtomicWrite) error { return persist.AddAllowCompaction(b, w5, frontier.At(3)) },
		"compare and append": func(b *persist.AtomicWrite) error {
			return persist.AddCompareAndAppend(b, w5, nil, frontier.At(0), frontier.At(3))
		},
	} {
		require.ErrorIs(t, refused(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
			require.NoError(t, persist.AddWrite(b, w3, foo))
			return add(b)
		})), persist.ErrInvalid, name)
	}
	require.ErrorIs(t, refused(t, multi.Seal(t.Context(), []persist.StreamID{id5}, 3)), persist.ErrInvalid)
	require.ErrorIs(t, refused(t, multi.AllowCompaction(t.Context(), []persist.StreamID{id5}, frontier.At(3))), persist.ErrInvalid)
	require.Empty(t, readSet(t, r5))
	require.Equal(t, foo, readSet(t, r3))
}

func readSet(t *testing.T, r *persist.ReadHandle[string, struct{}]) []persist.Update[string, struct{}] {
	s, err := r.Snapshot(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	got, err := s.ReadToEnd(t.Context())
	require.NoError(t, err)
	return got
}

func TestMultiWriteHandleSealAll(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, persist.Config{})
		w1, _ := set(t, c, "1")
		w2, _ := set(t, c, "2")
		multi, err := persist.NewMultiWriteHandle(w1)
		require.NoError(t, err)
		require.NoError(t, multi.AddStream(w2))
		must(t, multi.SealAll(t.Context(), 42))
		require.Equal(t, frontier.At(42), describe(t, c, "1").Upper)
		require.Equal(t, frontier.At(42), describe(t, c, "2").Upper)
	})
}

func TestMultiWriteHandleAllowCompactionAll(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, persist.Config{})
		w1, _ := set(t, c, "1")
		w2, _ := set(t, c, "2")
		multi, err := persist.NewMultiWriteHandle(w1)
		require.NoError(t, err)
		require.NoError(t, multi.AddStream(w2))
		must(t, multi.AllowCompactionAll(t.Context(), frontier.At(42)))
		require.Equal(t, frontier.At(42), describe(t, c, "1").Since)
		require.Equal(t, frontier.At(42), describe(t, c, "2").Since)
	})
}

func TestCodecMismatch(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		check := func(c *persist.Client) {
			_, _, err := persist.CreateOrLoad(t.Context(), c, "stream", codec.Unit, codec.String)
			require.NoError(t, err)
			w, _, err := persist.CreateOrLoad(t.Context(), c, "stream", codec.Bytes, codec.String)
			require.ErrorIs(t, err, persist.ErrCodecMismatch)
			require.EqualError(t, err, `tidemark: stream "stream": codec mismatch: key codec "bytes", but it was registered with "unit": use that codec or another stream`)
			_, idErr := w.StreamID()
			require.Equal(t, err, idErr)
			_, _, err = persist.CreateOrLoad(t.Context(), c, "stream", codec.Unit, codec.Bytes)
			require.EqualError(t, err, `tidemark: stream "stream": codec mismatch: value codec "bytes", but it was registered with "string": use that codec or another stream`)
		}
		c := start(t, p, persist.Config{})
		check(c) // the first of these registers the stream
		check(c)
		require.NoError(t, c.Stop())
		c = start(t, p, persist.Config{})
		check(c)
		require.NoError(t, c.Maintain(t.Context()))
		require.NoError(t, c.Stop())
		check(start(t, p, persist.Config{})) // now from the manifest

		read := startRead(t, p, persist.Config{})
		_, err := persist.Load(t.Context(), read, "stream", codec.Bytes, codec.String)
		require.ErrorIs(t, err, persist.ErrCodecMismatch)
	})
}

// TestRegression8606 takes a snapshot and a listener while two updates that cancel
// out are written and the time between them is sealed. Whatever the interleaving,
// once the seal has been heard the two of them have come, each once.
func TestRegression8606(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, tiny())
		for round := range proof.Pick(200, 200, 1000) {
			regression8606(t, c, round)
		}
	})
}

func regression8606(t *testing.T, c *persist.Client, round int) {
	w, r := create(t, c, fmt.Sprint("stream ", round))
	foo := []update{up("foo", "", 1, 1), up("foo", "", 1000, -1)}
	ctx := t.Context()
	var writers sync.WaitGroup
	defer writers.Wait()
	// The ways to interleave are drawn by the scheduler, and by which calls wait.
	writers.Go(func() {
		written := w.Write(ctx, foo)
		if round%2 == 0 {
			_, _ = written.Wait(ctx)
		}
		_, _ = w.Seal(ctx, 2).Wait(ctx)
		if round%3 == 0 {
			_, _ = w.AllowCompaction(ctx, frontier.At(2)).Wait(ctx)
		}
	})
	if round%5 == 0 {
		writers.Go(func() { _ = c.Maintain(ctx) })
	}

	for range round % 7 {
		runtime.Gosched() // later from round to round
	}
	s, l, err := r.Listen(ctx)
	require.NoError(t, err)
	defer func() { _, _ = s.Close(), l.Close() }()
	got, err := s.ReadToEnd(context.WithoutCancel(ctx))
	require.NoError(t, err)
	for upper := s.Upper(); !frontier.At(2).LessEqual(upper); {
		e := next(t, l)
		got = append(got, e.Updates...)
		if e.Updates == nil {
			upper = e.Sealed
		}
	}
	require.Equal(t, consolidated(foo, s.Since()), consolidated(got, s.Since()), "round %d", round)
	var sum int64
	for _, u := range got {
		sum += u.Diff
	}
	require.Zero(t, sum)
	require.Len(t, got, 2)
}
