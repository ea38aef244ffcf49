package persist_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// TestStorageDown: a failure that is known to have had no effect fails the command
// alone. What is in memory can be read meanwhile, and when the storage is back
// everything goes on without a restart.
func TestStorageDown(t *testing.T) {
	c, faults, _ := unreliable(t, onDemand())
	w, r := create(t, c, "s")
	_, l := listen(t, r)
	for i := range 3 {
		at := must(t, w.Write(t.Context(), twoUpdates[:1]))
		require.Equal(t, event{Updates: twoUpdates[:1], SeqNo: at}, next(t, l))

		faults.SetDown()
		for _, f := range []*persist.Future[storage.SeqNo]{
			w.Write(t.Context(), twoUpdates), w.Seal(t.Context(), 9), w.AllowCompaction(t.Context(), frontier.At(9)),
			w.CompareAndAppend(t.Context(), nil, frontier.At(0), frontier.At(9)),
		} {
			err := refused(t, f)
			require.ErrorIs(t, err, storage.ErrNoEffect)
			require.ErrorIs(t, err, mem.ErrUnavailable)
		}
		broken, _, err := persist.CreateOrLoad(t.Context(), c, "new", codec.String, codec.String)
		require.ErrorIs(t, err, storage.ErrNoEffect)
		require.ErrorIs(t, broken.Err(), storage.ErrNoEffect)
		_, err = c.Destroy(t.Context(), "s")
		require.ErrorIs(t, err, storage.ErrNoEffect)
		require.ErrorIs(t, c.Maintain(t.Context()), mem.ErrUnavailable)

		require.EqualValues(t, i+1, count(t, r))
		require.Equal(t, frontier.Description{}, describe(t, c, "s"))
		faults.SetUp()
		require.ErrorIs(t, refused(t, broken.Seal(t.Context(), 1)), storage.ErrNoEffect, "a handle keeps its error")
	}
	require.NoError(t, c.Maintain(t.Context()))
	must(t, w.Seal(t.Context(), 9))
	require.Equal(t, frontier.At(9), next(t, l).Sealed)
	create(t, c, "new")
}

// TestNothingToDo: maintenance that has nothing to do needs no storage.
func TestNothingToDo(t *testing.T) {
	c, faults, _ := unreliable(t, onDemand())
	w, _ := create(t, c, "s")
	must(t, w.Write(t.Context(), twoUpdates))
	require.NoError(t, c.Maintain(t.Context()))
	faults.SetDown()
	require.NoError(t, c.Maintain(t.Context()))
	_, _ = create(t, c, "s") // is known
	faults.SetUp()
}

// TestUnknownOutcome: after it no write is accepted and listeners end, but reads go
// on, of what is known to be there. The next runtime knows the outcome.
func TestUnknownOutcome(t *testing.T) {
	for _, outcome := range []mem.Outcome{mem.AnswerLost, mem.Vanished} {
		t.Run(fmt.Sprint(outcome), func(t *testing.T) {
			c, faults, registry := unreliable(t, onDemand())
			w, r := create(t, c, "s")
			must(t, w.Write(t.Context(), twoUpdates[:1]))
			_, l := listen(t, r)
			faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: outcome})
			require.ErrorIs(t, refused(t, w.Write(t.Context(), twoUpdates[1:])), persist.ErrOutcomeUnknown)
			for range 2 {
				err := refused(t, w.Write(t.Context(), twoUpdates[1:]))
				require.ErrorIs(t, err, persist.ErrStopped)
				require.ErrorIs(t, err, mem.ErrTimedOut, "it says why")
				_, err = l.Next(t.Context())
				require.ErrorIs(t, err, persist.ErrStopped)
				require.Equal(t, twoUpdates[:1], contents(t, r))
				require.NoError(t, c.Maintain(t.Context()))
			}
			require.NoError(t, c.Stop())

			_, r = create(t, start(t, memPlace{registry}, onDemand()), "s")
			want := twoUpdates[:1]
			if outcome == mem.AnswerLost {
				want = twoUpdates
			}
			require.Equal(t, want, contents(t, r))
		})
	}
}

// TestDiskFull: batches cannot be written for a while. Nothing is lost, reads and
// writes go on, and the runtime tries again by itself.
func TestDiskFull(t *testing.T) {
	metrics := prometheus.NewRegistry()
	cfg := tiny()
	cfg.Registerer = metrics
	c, faults, registry := unreliable(t, cfg)
	w, r := create(t, c, "s")
	for n := range 3 {
		faults.Inject(mem.Fault{Op: mem.OpSet, Nth: n + 1, Err: syscall.ENOSPC})
	}
	gate := faults.GateBefore(mem.OpTruncate)
	for i := range 100 {
		must(t, w.Write(t.Context(), []update{up(fmt.Sprint(i), "", 1, 1)}))
		require.EqualValues(t, i+1, count(t, r))
	}
	require.NoError(t, gate.Wait(t.Context(), 1))
	gate.Open()
	// The log may be truncated for what was written between two of the failures.
	err := c.Maintain(t.Context())
	for attempt := 0; attempt < 3 && err != nil; attempt++ {
		require.ErrorIs(t, err, syscall.ENOSPC)
		err = c.Maintain(t.Context())
	}
	require.NoError(t, err)
	require.Zero(t, info(t, c, "s").TailBytes)
	require.InDelta(t, 3, resources.Metric(t, metrics, "tidemark_blob_write_error_total"), 0)
	require.InDelta(t, 3, resources.Metric(t, metrics, "tidemark_blob_write_error_total", "quota"), 0)
	require.NoError(t, c.Stop())
	_, r = create(t, start(t, memPlace{registry}, onDemand()), "s")
	require.EqualValues(t, 100, count(t, r))
}

// TestFailureAtEveryOperation runs a short history, with one operation of the
// storage that fails, for each operation in turn and each way to fail. A failure
// whose outcome is not known is followed by a crash. The history goes on after each,
// with compare-and-append, and ends with the same contents as without a failure.
func TestFailureAtEveryOperation(t *testing.T) {
	for name, fault := range map[string]mem.Fault{
		"refused":      {Outcome: mem.Refused},
		"half refused": {Outcome: mem.Refused, Parts: 1}, // a read or a list that yields something first
		"vanished":     {Outcome: mem.Vanished},
		"answer lost":  {Outcome: mem.AnswerLost},
	} {
		t.Run(name, func(t *testing.T) {
			for struck := true; struck; {
				fault.Nth += proof.Pick(2, 1, 1)
				struck = historyWithFault(t, fault)
			}
			require.Greater(t, fault.Nth, 50, "operations that failed")
		})
	}
}

// historyWithFault reports whether the history was long enough for the fault.
func historyWithFault(t *testing.T, fault mem.Fault) bool {
	registry, faults := mem.NewRegistry(), mem.NewUnreliable()
	faults.Inject(fault)
	var c *persist.Client
	var w *writer
	open := func() {
		for attempt := 0; ; attempt++ {
			var err error
			if c, err = registry.RuntimeUnreliable(t.Context(), faults, onDemand()); err == nil {
				if w, _, err = persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.String); err == nil {
					return
				}
				registry.Place().Crash(nil)
				_ = c.Stop()
			}
			require.Less(t, attempt, 2, "%v: %v", fault, err)
		}
	}
	open()
	const steps = 12
	for i := range uint64(steps) {
		for {
			_, err := w.CompareAndAppend(t.Context(), []update{up(fmt.Sprint(i%3), "", i, 1), up("later", fmt.Sprint(i), i, 1)},
				frontier.At(i), frontier.At(i+1)).Wait(t.Context())
			if err == nil || errors.Is(err, persist.ErrUpperMismatch) {
				break
			}
			if !errors.Is(err, storage.ErrNoEffect) {
				registry.Place().Crash(nil)
				_ = c.Stop()
				open()
			}
		}
		if i%4 == 2 {
			_, _ = w.AllowCompaction(t.Context(), frontier.At(i/2)).Wait(t.Context())
		}
		if i%2 == 1 {
			_ = c.Maintain(t.Context())
		}
		if i%6 == 5 {
			registry.Place().Crash(nil)
			_ = c.Stop()
			open()
		}
	}
	_ = c.Maintain(t.Context())
	_ = c.Stop()

	c, err := registry.Runtime(t.Context(), onDemand())
	require.NoError(t, err, "%v", fault)
	defer func() { require.NoError(t, c.Stop()) }()
	_, r := create(t, c, "s")
	s := take(t, r)
	var want []update
	for i := range uint64(steps) {
		want = append(want, up(fmt.Sprint(i%3), "", i, 1), up("later", fmt.Sprint(i), i, 1))
	}
	require.Equal(t, consolidated(want, s.Since()), read(t, s), "%v", fault)
	require.Equal(t, frontier.At(steps), s.Upper())
	require.NoError(t, s.Close())

	// What nobody refers to is deleted: of failed attempts, and of what was replaced.
	for attempt := 0; batches(t, registry) != info(t, c, "s").Batches; attempt++ {
		require.NoError(t, c.Maintain(t.Context()))
		require.Less(t, attempt, 10_000, "%v: %v", fault, blobs(t, registry, "batch/"))
		runtime.Gosched() // orphans are looked for in the background
	}
	return faultStruck(faults, fault)
}

// batches counts the batches that a place has blobs of: all parts of one have a key
// that differs behind the last dash alone.
func batches(t *testing.T, registry *mem.Registry) int {
	distinct := make(map[string]bool)
	for _, key := range blobs(t, registry, "batch/") {
		distinct[key[:strings.LastIndexByte(key, '-')]] = true
	}
	return len(distinct)
}

// faultStruck reports whether as many operations have begun as the fault counts.
func faultStruck(faults *mem.Unreliable, fault mem.Fault) bool {
	calls := 0
	for _, op := range []mem.Op{
		mem.OpAppend, mem.OpTruncate, mem.OpBounds, mem.OpRead, mem.OpLogClose, mem.OpGet, mem.OpGetRange,
		mem.OpList, mem.OpSet, mem.OpSetIf, mem.OpDelete, mem.OpPin, mem.OpBlobClose,
	} {
		calls += faults.Calls(op)
	}
	return calls >= fault.Nth
}

// A runtime that was replaced by another owner's (as on a replicated log, or by the
// same owner in memory) refuses writes, and its background work touches nothing: what
// is in the location is the new owner's to tidy up.
func TestReplacedRuntimeLeavesTheLocationAlone(t *testing.T) {
	ctx := t.Context()
	registry := mem.NewMultiRegistry()
	old, err := registry.Open(ctx, "place", "owner", persist.Config{})
	require.NoError(t, err)
	write, _, err := persist.CreateOrLoad(ctx, old, "s", codec.String, codec.Unit)
	require.NoError(t, err)
	_, err = write.Write(ctx, []persist.Update[string, struct{}]{{Key: "before", Time: 1, Diff: 1}}).Wait(ctx)
	require.NoError(t, err)

	replacement, err := registry.Open(ctx, "place", "owner", persist.Config{})
	require.NoError(t, err)
	_, err = write.Write(ctx, []persist.Update[string, struct{}]{{Key: "late", Time: 1, Diff: 1}}).Wait(ctx)
	require.ErrorIs(t, err, persist.ErrStopped)
	require.ErrorIs(t, old.Maintain(ctx), persist.ErrStopped)

	_, read, err := persist.CreateOrLoad(ctx, replacement, "s", codec.String, codec.Unit)
	require.NoError(t, err)
	require.NoError(t, replacement.Maintain(ctx))
	_ = old.Stop()
	snapshot, err := read.Snapshot(ctx)
	require.NoError(t, err)
	got, err := snapshot.ReadToEnd(ctx)
	require.NoError(t, err)
	require.Equal(t, []persist.Update[string, struct{}]{{Key: "before", Time: 1, Diff: 1}}, got)
	require.NoError(t, snapshot.Close())
	require.NoError(t, replacement.Stop())
}
