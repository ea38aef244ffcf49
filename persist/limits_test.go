package persist_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// TestAcknowledgedAtOnce: the step interval is for maintenance alone. A write is
// answered, and heard, after one flush of the log.
func TestAcknowledgedAtOnce(t *testing.T) {
	rounds := func(t *testing.T, p place) {
		c := start(t, p, persist.Config{MinStepInterval: time.Hour, FlushBytes: 1})
		w, r := create(t, c, "s")
		_, l := listen(t, r)
		for i := range 10 {
			at := must(t, w.Write(t.Context(), twoUpdates))
			require.Equal(t, event{Updates: twoUpdates, SeqNo: at}, next(t, l))
			require.EqualValues(t, 2*i+2, count(t, r)) // a first round may consolidate some
		}
		must(t, w.Seal(t.Context(), 5))
		next(t, l)
	}
	// On disk the test would wait for an hour. In a bubble, time tells.
	onPlaces(t, rounds)
	t.Run("bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			rounds(t, memPlace{mem.NewRegistry()})
			require.Zero(t, time.Since(began), "a timer was waited for")
		})
	})
}

// TestGroupCommit: what arrives while the log is busy shares its next flush.
func TestGroupCommit(t *testing.T) {
	c, faults, _ := unreliable(t, onDemand())
	w, r := create(t, c, "s")
	before := faults.Calls(mem.OpAppend)
	gate := faults.GateBefore(mem.OpAppend)
	futures := []*persist.Future[storage.SeqNo]{w.Write(t.Context(), twoUpdates[:1])}
	require.NoError(t, gate.Wait(t.Context(), 1))
	for range 100 {
		futures = append(futures, w.Write(t.Context(), twoUpdates[:1]))
	}
	gate.Open()
	for _, f := range futures {
		must(t, f)
	}
	require.LessOrEqual(t, faults.Calls(mem.OpAppend)-before, 3)
	require.EqualValues(t, 101, contents(t, r)[0].Diff)
}

// TestTailIsBounded holds the background work up until the tail is full. Then
// writers wait, each under its own context, and reads and frontiers go on.
func TestTailIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faults, _ := unreliable(t, persist.Config{MaxTailBytes: 10 << 10, MinStepInterval: time.Millisecond})
		w, r := create(t, c, "s")
		kilobyte := []update{up("k", strings.Repeat("v", 1000), 1, 1)}
		err := refused(t, w.Write(t.Context(), []update{up("k", strings.Repeat("v", 11<<10), 1, 1)}))
		require.ErrorIs(t, err, persist.ErrTooLarge)

		gate := faults.GateBefore(mem.OpSet)
		accepted := 0
		for err = nil; err == nil; accepted++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			_, err = w.Write(ctx, kilobyte).Wait(t.Context())
			cancel()
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		accepted--
		require.LessOrEqual(t, accepted*1000, 10<<10)
		require.Greater(t, accepted*1000, 5<<10)
		require.NoError(t, gate.Wait(t.Context(), 1))
		must(t, w.Seal(t.Context(), 1))
		must(t, w.Write(t.Context(), nil))
		require.Len(t, stored(t, take(t, r)), accepted)

		// Who waits gets a turn when there is room.
		waiting := make(chan *persist.Future[storage.SeqNo])
		go func() { waiting <- w.Write(t.Context(), kilobyte) }()
		synctest.Wait()
		gate.Open()
		must(t, <-waiting)
		require.EqualValues(t, accepted+1, contents(t, r)[0].Diff)
	})
}

// TestStopWhileWritersWait: everybody gets an answer, those who wait for room in the
// tail, for a place in the queue, and for the log.
func TestStopWhileWritersWait(t *testing.T) {
	for _, op := range []mem.Op{mem.OpSet, mem.OpAppend} {
		t.Run(string(op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry, faults := mem.NewRegistry(), mem.NewUnreliable()
				c, err := registry.RuntimeUnreliable(t.Context(), faults, persist.Config{
					MaxTailBytes: 10 << 10, MaxQueuedCommands: 4, MaxGroupBytes: 1 << 10, MinStepInterval: time.Millisecond,
				})
				require.NoError(t, err)
				w, r := create(t, c, "s")
				_, l := listen(t, r)
				gate := faults.GateBefore(op)

				var written, answered atomic.Int64
				var calls sync.WaitGroup
				for range 50 {
					for _, updates := range [][]update{nil, {up("k", strings.Repeat("v", 500), 1, 1)}} {
						calls.Go(func() {
							_, err := w.Write(t.Context(), updates).Wait(t.Context())
							check(t, err == nil || errors.Is(err, persist.ErrStopped), err)
							answered.Add(1)
							if err == nil {
								written.Add(int64(len(updates)))
							}
						})
					}
				}
				heard := 0
				calls.Go(func() {
					for {
						e, err := l.Next(t.Context())
						if err != nil {
							check(t, errors.Is(err, persist.ErrStopped), err)
							return
						}
						heard += len(e.Updates)
					}
				})
				synctest.Wait()
				require.NoError(t, gate.Wait(t.Context(), 1))
				stopped := make(chan error)
				go func() { stopped <- c.Stop() }()
				synctest.Wait()
				gate.Open()
				require.NoError(t, <-stopped)
				calls.Wait()
				require.EqualValues(t, 100, answered.Load())
				require.Positive(t, written.Load())
				require.Less(t, written.Load(), int64(50))

				// What was answered with success is there, and nothing else.
				_, r = create(t, start(t, memPlace{registry}, persist.Config{}), "s")
				require.Equal(t, written.Load(), contents(t, r)[0].Diff)
				require.EqualValues(t, written.Load(), heard)
			})
		})
	}
}

// TestIdle: a runtime with many streams and listeners, and nothing to do, does
// nothing.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry, faults := mem.NewRegistry(), mem.NewUnreliable()
		metrics := prometheus.NewPedanticRegistry()
		c, err := registry.RuntimeUnreliable(t.Context(), faults, persist.Config{Registerer: metrics})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Stop()) }()
		const streams = 10_000
		for i := range streams {
			w, r := create(t, c, fmt.Sprint(i))
			_, l, err := r.Listen(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, l.Close()) })
			if i%100 == 0 {
				must(t, w.Write(t.Context(), twoUpdates))
				must(t, w.Seal(t.Context(), uint64(i%3)))
			}
		}
		// One interval moves the tails to batches; the rounds after it have settled.
		<-time.After(10 * time.Minute) // of the bubble
		synctest.Wait()
		before := work(t, faults, metrics)
		require.Positive(t, before["tidemark_flush_total"])
		<-time.After(10 * time.Second) // of the bubble
		synctest.Wait()
		require.Equal(t, before, work(t, faults, metrics))
		require.InDelta(t, streams, before["tidemark_streams"], 0)
	})
}

// work counts the calls of the storage and reads the metrics.
func work(t *testing.T, faults *mem.Unreliable, metrics prometheus.Gatherer) map[string]float64 {
	counts := make(map[string]float64)
	for _, op := range []mem.Op{
		mem.OpAppend, mem.OpTruncate, mem.OpBounds, mem.OpRead, mem.OpGet, mem.OpGetRange, mem.OpList, mem.OpSet, mem.OpSetIf, mem.OpDelete,
	} {
		counts[string(op)] = float64(faults.Calls(op))
	}
	families, err := metrics.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetHistogram() == nil {
				counts[family.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return counts
}
