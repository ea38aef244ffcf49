package indexed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// Every refusal: its sentinel, what it names, and that nothing of the command took
// effect, also of the stream beside it.
func TestRefusals(t *testing.T) {
	f := newFixture(t, still())
	id, finished, gone := f.register("s"), f.register("finished"), f.register("gone")
	f.seal(id, frontier.At(5))
	f.allow(id, frontier.At(3))
	f.seal(finished, frontier.Empty())
	_, err := f.Destroy(f.ctx, "gone")
	require.NoError(t, err)
	for text, test := range map[string]struct {
		kind  error
		build func(c *indexed.Command)
	}{
		`"s": time already sealed: update of key "k" at time 4 is before the upper`: {indexed.ErrSealed, func(c *indexed.Command) { c.Write(id, columns(up("x", 6), up("x", 4))) }},
		`"finished": time already sealed: update of key "k" at time 9, but the str`: {indexed.ErrSealed, func(c *indexed.Command) { c.Write(finished, columns(up("x", 9))) }},
		`seal to {4} is before the upper {5}`:                                       {indexed.ErrSealRegression, func(c *indexed.Command) { c.Seal(id, frontier.At(4)) }},
		`seal to {9} is before the upper {}`:                                        {indexed.ErrSealRegression, func(c *indexed.Command) { c.Seal(finished, frontier.At(9)) }},
		`compaction to {2} is before the since {3}`:                                 {indexed.ErrSinceRegression, func(c *indexed.Command) { c.AllowCompaction(id, frontier.At(2)) }},
		`expected upper {4}, but it is {5}`:                                         {indexed.ErrUpperMismatch, func(c *indexed.Command) { c.ExpectUpper(id, frontier.At(4)) }},
		`"Id(9)": unknown stream: no stream has this id`:                            {indexed.ErrUnknownStream, func(c *indexed.Command) { c.Seal(9, frontier.At(9)) }},
		`"Id(8)": unknown stream`:                                                   {indexed.ErrUnknownStream, func(c *indexed.Command) { c.ExpectUpper(8, frontier.At(9)) }},
		`"gone": stream destroyed`:                                                  {indexed.ErrDestroyed, func(c *indexed.Command) { c.Write(gone, columns()) }},
	} {
		_, err := f.submit(func(c *indexed.Command) {
			c.Write(id, columns(up("beside", 7)))
			test.build(c)
			c.Seal(id, frontier.At(8))
			if errors.Is(test.kind, indexed.ErrSealRegression) && strings.Contains(text, "{4}") {
				*c = indexed.Command{}
				c.Write(id, columns(up("beside", 7)))
				test.build(c) // alone: of two seals the last in time counts
			}
		})
		require.ErrorIs(t, err, test.kind, text)
		require.ErrorContains(t, err, text)
	}
	require.Empty(t, f.read(id))
	d, err := f.Describe(f.ctx, "s")
	require.NoError(t, err)
	require.Equal(t, frontier.Description{Upper: frontier.At(5), Since: frontier.At(3)}, d)

	_, err = f.Register(f.ctx, "s", "other", "v")
	require.ErrorIs(t, err, indexed.ErrCodecMismatch)
	_, err = f.Register(f.ctx, "s", "k", "other")
	require.ErrorIs(t, err, indexed.ErrCodecMismatch)
	_, err = f.Register(f.ctx, "gone", "k", "v")
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	require.Equal(t, id, f.register("s"), "again, with the same codecs")
	again, err := f.Destroy(f.ctx, "gone")
	require.NoError(t, err)
	require.False(t, again)
	_, err = f.Destroy(f.ctx, "never")
	require.ErrorIs(t, err, indexed.ErrUnknownStream)
	_, err = f.Describe(f.ctx, "never")
	require.ErrorIs(t, err, indexed.ErrUnknownStream)
	_, err = f.Snapshot(f.ctx, 77)
	require.ErrorIs(t, err, indexed.ErrUnknownStream)
	_, _, err = f.Listen(f.ctx, gone)
	require.ErrorIs(t, err, indexed.ErrDestroyed)
	require.NoError(t, f.CheckIdle())
}

// What is allowed: an empty command, and several frontiers of one stream, of which the
// last in time counts.
func TestCommandsFold(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	seqno := f.seal(id, frontier.At(1))
	empty, err := f.submit(func(*indexed.Command) {})
	require.NoError(t, err)
	require.Equal(t, seqno, empty, "nothing was logged")
	_, err = f.submit(func(c *indexed.Command) {
		c.Seal(id, frontier.At(9))
		c.AllowCompaction(id, frontier.At(4))
		c.Write(id, columns(up("a", 1)))
		c.Seal(id, frontier.At(7))
		c.AllowCompaction(id, frontier.At(2))
		c.Write(id, columns(up("b", 8)))
		c.ExpectUpper(id, frontier.At(1))
	})
	require.NoError(t, err)
	d, err := f.Describe(f.ctx, "s")
	require.NoError(t, err)
	require.Equal(t, frontier.Description{Upper: frontier.At(9), Since: frontier.At(4)}, d)
	require.Equal(t, []string{"k=a @4 +1", "k=b @8 +1"}, show(f.read(id)))
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, "s", s.StreamName())
	require.Greater(t, s.SeqNo(), seqno)
}

// A read whose context ends before its turn has no effect; one whose turn has come is
// answered.
func TestAbandonedRead(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	gate := f.faults.GateBefore(mem.OpAppend)
	var c indexed.Command
	c.Write(id, columns(up("a", 1)))
	write := f.Submit(f.ctx, &c)
	require.NoError(t, gate.Wait(f.ctx, 1))
	ctx, cancel := context.WithCancel(f.ctx)
	answers := make(chan error, 1)
	go func() {
		_, _, err := f.Listen(ctx, id)
		answers <- err
	}()
	cancel()
	require.ErrorIs(t, <-answers, context.Canceled)
	_, err := write.Wait(ctx)
	require.ErrorIs(t, err, context.Canceled)
	select {
	case <-write.Done():
		t.Fatal("the write has not reached the log")
	default:
	}
	gate.Open()
	_, err = write.Wait(f.ctx)
	require.NoError(t, err)
	_, err = write.Wait(ctx)
	require.NoError(t, err, "an answer that is there needs no context")
	_, err = f.Snapshot(ctx, id)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, f.CheckIdle(), "no listener and no reference was left behind")
	_, err = indexed.Failed[int](errors.ErrUnsupported).Wait(f.ctx)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// Stop answers what is queued, and those that wait for a place in the queue.
func TestStopAnswersEverybody(t *testing.T) {
	cfg := still()
	cfg.MaxQueuedCommands = 1
	f := newFixture(t, cfg)
	id := f.register("s")
	gate := f.faults.GateBefore(mem.OpAppend)
	answers := make(chan error, 20)
	for i := range 20 {
		go func() {
			var c indexed.Command
			c.Write(id, columns(up(fmt.Sprint(i), 1)))
			_, err := f.Submit(f.ctx, &c).Wait(f.ctx)
			answers <- err
		}()
	}
	require.NoError(t, gate.Wait(f.ctx, 1))
	stopped := make(chan error)
	go func() { stopped <- f.Engine.Stop() }()
	gate.Open()
	require.NoError(t, <-stopped)
	durable := 0
	for range 20 {
		if err := <-answers; err == nil {
			durable++
		} else {
			require.ErrorIs(t, err, indexed.ErrStopped)
		}
	}
	require.Positive(t, durable)
	f.open()
	require.Len(t, f.read(id), durable)
}

// A log with an entry that no engine has written is damage, and is not applied.
func TestLogWithNonsenseIsDamage(t *testing.T) {
	register := []byte{1, 1, 1, 0, 1, 's', 0, 0}
	for text, entries := range map[string][][]byte{
		"version 0":                  {{0}},
		"next id is Id(0)":           {{1, 1, 1, 1, 1, 's', 0, 0}},
		"next id is Id(1)":           {register, {1, 1, 1, 1, 1, 's', 0, 0}},
		"which does not exist":       {{1, 1, 2, 0}},
		"before its upper {}":        {register, {1, 1, 4, 0, 0}, {1, 1, 4, 0, 1, 9}},
		"before its since {5}":       {register, {1, 1, 5, 0, 1, 5}, {1, 1, 5, 0, 1, 4}},
		"at time 0 before its upper": {register, {1, 1, 4, 0, 1, 9}, append([]byte{1, 1, 3, 0, 1, 0, 0}, make([]byte, 24)...)},
	} {
		t.Run(text, func(t *testing.T) {
			place := mem.NewPlace("nonsense")
			log, err := place.OpenLog(storage.LockInfo{})
			require.NoError(t, err)
			blob, err := place.OpenBlob(storage.LockInfo{})
			require.NoError(t, err)
			_, err = log.Append(t.Context(), 0, entries)
			require.NoError(t, err)
			_, err = indexed.OpenStill(t.Context(), log, blob, still())
			require.ErrorIs(t, err, storage.ErrCorrupt)
			require.ErrorContains(t, err, text)
			require.ErrorContains(t, err, fmt.Sprintf("entry %d:", len(entries)))
			_, err = indexed.OpenRead(t.Context(), place.OpenLogReader(), place.OpenBlobReader(), still())
			require.ErrorIs(t, err, storage.ErrCorrupt)
		})
	}
}

// Metrics are there while the engine runs, and say what happened.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := still()
	cfg.Registerer = registry
	f := newFixture(t, cfg)
	id := f.register("s")
	f.write(id, up("a", 1), up("b", 2))
	f.seal(id, frontier.At(2))
	_, l, err := f.Listen(f.ctx, id)
	require.NoError(t, err)
	defer l.Close()
	f.round(true)
	f.faults.Inject(mem.Fault{Op: mem.OpSet, Err: fmt.Errorf("disk: %w", syscall.ENOSPC)})
	f.write(id, up("c", 3))
	require.Error(t, f.Round(f.ctx, true))
	got := gather(t, registry)
	for name, want := range map[string]float64{
		`tidemark_stream_upper s`: 2, `tidemark_stream_since s`: 0, `tidemark_listeners s`: 1,
		`tidemark_streams`: 1, `tidemark_unsealed_batches`: 1, `tidemark_trace_batches`: 1,
		`tidemark_tail_bytes`: 26, `tidemark_in_flight_bytes`: 0, `tidemark_cmd_write_record_total`: 3,
		`tidemark_blob_write_total trace`: 1, `tidemark_blob_write_total unsealed`: 1, `tidemark_blob_write_total manifest`: 2,
		`tidemark_blob_write_error_total quota`: 1, `tidemark_step_total`: 2, `tidemark_step_error_total`: 1,
	} {
		have, ok := got[name]
		require.True(t, ok, name)
		require.InDelta(t, want, have, 0, name)
	}
	require.Positive(t, got["tidemark_listener_lag s"])

	log, blob := mem.NewPlace("other"), f.cfg
	other, err := log.OpenLog(storage.LockInfo{})
	require.NoError(t, err)
	otherBlob, err := log.OpenBlob(storage.LockInfo{})
	require.NoError(t, err)
	_, err = indexed.OpenStill(f.ctx, other, otherBlob, blob)
	require.ErrorContains(t, err, "WrapRegistererWith")
	_, err = indexed.OpenRead(f.ctx, f.place.OpenLogReader(), f.place.OpenBlobReader(), f.cfg)
	require.ErrorContains(t, err, "WrapRegistererWith")
	require.NoError(t, f.Engine.Stop())
	require.Empty(t, gather(t, registry))

	r, err := indexed.OpenRead(f.ctx, f.place.OpenLogReader(), f.place.OpenBlobReader(), still())
	require.NoError(t, err)
	require.NoError(t, registry.Register(r.Collector()), "it may be registered later")
	require.InDelta(t, 1, gather(t, registry)["tidemark_streams"], 0)
	require.NoError(t, r.Stop())
}

// gather returns the counters and gauges by name and label.
func gather(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

// A reader follows by itself, through failures, and wakes its listeners.
func TestFollowerFollowsByItself(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	cfg := still()
	cfg.FollowInterval = time.Millisecond
	faults := mem.NewUnreliable()
	r, err := indexed.OpenRead(f.ctx, faults.LogReader(f.place.OpenLogReader()), faults.BlobReader(f.place.OpenBlobReader()), cfg)
	require.NoError(t, err)
	s, l, err := r.Listen(f.ctx, id)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	faults.Inject(mem.Fault{Op: mem.OpRead})
	faults.Inject(mem.Fault{Op: mem.OpGet})
	seqno := f.write(id, up("a", 1))
	e, err := l.Next(f.ctx)
	require.NoError(t, err)
	require.Equal(t, seqno, e.SeqNo)
	got, err := r.Lookup(f.ctx, "s", "k", "v")
	require.NoError(t, err)
	require.Equal(t, id, got)
	_, err = r.Lookup(f.ctx, "s", "k", "other")
	require.ErrorIs(t, err, indexed.ErrCodecMismatch)
	_, err = r.Lookup(f.ctx, "never", "k", "v")
	require.ErrorIs(t, err, indexed.ErrUnknownStream)
	require.NoError(t, r.Stop())
	_, err = l.Next(f.ctx)
	require.ErrorIs(t, err, indexed.ErrStopped)
	_, err = r.Describe(f.ctx, "s")
	require.ErrorIs(t, err, indexed.ErrStopped)
	require.NoError(t, r.Stop())
}

// A reader whose owner deletes a batch while it takes a snapshot takes another one.
func TestFollowerSnapshotBesideDeletion(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1))
	f.round(true)
	faults := mem.NewUnreliable()
	r, err := indexed.OpenRead(f.ctx, f.place.OpenLogReader(), faults.BlobReader(f.place.OpenBlobReader()), still())
	require.NoError(t, err)
	defer r.Stop()
	gate := faults.GateBefore(mem.OpPin)
	type answer struct {
		s   *indexed.Snapshot
		l   *indexed.Listener
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		s, l, err := r.Listen(f.ctx, id)
		answers <- answer{s, l, err}
	}()
	require.NoError(t, gate.Wait(f.ctx, 1))
	f.seal(id, frontier.At(5))
	f.round(true) // replaces the batch, and deletes it
	require.Len(t, f.batchKeys(), 1)
	gate.Open()
	a := <-answers
	require.NoError(t, a.err)
	require.Equal(t, frontier.At(5), a.s.Upper())
	f.pad(id, indexed.MergeWidth-1)
	f.allow(id, frontier.At(9))
	require.Equal(t, 1, f.mergeAll())
	f.round(true)
	f.round(true)
	require.Equal(t, []string{"k=a @1 +1"}, show(collect(t, a.s.Consolidated(f.ctx))), "pinned")
	require.NoError(t, a.s.Close())
	require.NoError(t, a.l.Close())

	faults.Inject(mem.Fault{Op: mem.OpPin})
	_, err = r.Snapshot(f.ctx, id)
	require.ErrorIs(t, err, mem.ErrUnavailable)
}

// A read that fails ends with its error, and can be repeated.
func TestFailedReads(t *testing.T) {
	cfg := still()
	cfg.PartBytes, cfg.CacheSizeLimit = 1, 1
	f := newFixture(t, cfg)
	id := f.register("s")
	f.write(id, up("a", 1), up("b", 1))
	f.seal(id, frontier.At(2))
	f.round(true)
	f.write(id, up("c", 2))
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(t, err)
	defer s.Close()
	for nth := range 4 { // to check each of the two parts, and to read its row group
		f.faults.Inject(mem.Fault{Op: mem.OpGetRange, Nth: nth + 1})
		for _, err = range s.Consolidated(f.ctx) {
		}
		require.ErrorIs(t, err, mem.ErrUnavailable)
		f.faults.Inject(mem.Fault{Op: mem.OpGet, Nth: 2})
		for _, err = range s.Chunks(f.ctx) {
		}
		require.ErrorIs(t, err, mem.ErrUnavailable)
	}
	require.Len(t, collect(t, s.Consolidated(f.ctx)), 3)
	for _, err := range s.Consolidated(f.ctx) {
		require.NoError(t, err)
		break
	}
	for _, err := range s.Chunks(f.ctx) {
		require.NoError(t, err)
		break
	}
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	for _, err = range s.Chunks(ctx) {
	}
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel = context.WithCancel(f.ctx)
	defer cancel()
	n := 0
	for _, err = range s.Chunks(ctx) {
		if n++; n == 2 {
			cancel()
		}
	}
	require.ErrorIs(t, err, context.Canceled, "before the tail")
	require.ErrorIs(t, f.Maintain(ctx), context.Canceled)
}
