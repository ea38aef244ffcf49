package source_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

func results(out streams.Outlet) (all []result) {
	for e := range out.Out() {
		all = append(all, e.(result))
	}
	return all
}

func TestSourceEmitsSnapshotThenEvents(t *testing.T) {
	s := newStream(t)
	s.append(at("a", "1", 1, 1), at("b", "1", 9, 1))
	s.seal(2)
	src := source.New(s.ctx, s.read)
	require.Equal(t, frontier.At(0), src.Probe().Frontier())
	s.append(at("c", "1", 3, 1))
	s.seal(4)

	out := src.Out()
	var got []update
	for range 3 {
		got = append(got, (<-out).(result).Update)
	}
	require.ElementsMatch(t, []update{at("a", "1", 1, 1), at("b", "1", 9, 1), at("c", "1", 3, 1)}, got)
	require.NoError(t, src.Probe().Wait(s.ctx, 4))
	require.Equal(t, frontier.At(4), src.Probe().Frontier())

	s.append(at("d", "1", 5, 1))
	require.Equal(t, result{Update: at("d", "1", 5, 1)}, <-out, "unsealed updates as well")
	s.finish()
	_, open := <-out
	require.False(t, open)
	require.NoError(t, src.Probe().Wait(s.ctx, 1<<63))
	require.True(t, src.Probe().Frontier().IsEmpty())
	require.NoError(t, src.Err())
}

// The probe stays at {0} until the snapshot was taken to the last update.
func TestProbeWaitsForTheReplay(t *testing.T) {
	s := newStream(t)
	s.append(at("a", "1", 1, 1), at("b", "1", 1, 1))
	s.seal(7)
	src := source.New(s.ctx, s.read)
	out := src.Out()
	<-out
	require.Equal(t, frontier.At(0), src.Probe().Frontier())
	<-out
	require.NoError(t, src.Probe().Wait(s.ctx, 7))
}

// Whatever is written while the source is built is emitted exactly once (8606).
func TestSnapshotAndEventsAreOneStep(t *testing.T) {
	for range 50 {
		s := newStream(t)
		const n = 40
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := range uint64(n) {
				s.append(at(strconv.FormatUint(i, 10), "", i, 1), at(strconv.FormatUint(i, 10), "", 1000, -1))
				s.seal(i + 1)
			}
			s.finish()
		})
		src := source.New(s.ctx, s.read, source.AsOf(frontier.At(0)))
		sums, count := map[string]int64{}, 0
		for r, err := range src.All() {
			require.NoError(t, err)
			sums[r.Key] += r.Diff
			count++
		}
		writing.Wait()
		require.Len(t, sums, n)
		require.Equal(t, 2*n, count)
		for _, sum := range sums {
			require.Zero(t, sum)
		}
		require.NoError(t, s.client.Stop())
	}
}

func TestAsOf(t *testing.T) {
	s := newStream(t)
	s.append(at("a", "1", 1, 1), at("b", "1", 6, 1))
	s.seal(2)
	_, err := s.write.AllowCompaction(s.ctx, frontier.At(3)).Wait(s.ctx)
	require.NoError(t, err)

	src := source.New(s.ctx, s.read, source.AsOf(frontier.At(4)))
	s.append(at("c", "1", 2, 1))
	s.finish()
	require.ElementsMatch(t, []result{
		{Update: at("a", "1", 4, 1)}, {Update: at("b", "1", 6, 1)}, {Update: at("c", "1", 4, 1)},
	}, results(src))

	early := source.New(s.ctx, s.read, source.AsOf(frontier.At(2)))
	all := results(early)
	require.Len(t, all, 1)
	require.ErrorIs(t, all[0].Err, persist.ErrAsOfBeforeSince)
	for _, part := range []string{"quakes", "{2}", "{3}"} {
		require.ErrorContains(t, all[0].Err, part)
	}
	require.ErrorIs(t, early.Err(), persist.ErrAsOfBeforeSince)
	require.ErrorIs(t, early.Probe().Wait(s.ctx, 1), persist.ErrAsOfBeforeSince)

	_, err = s.write.AllowCompaction(s.ctx, frontier.Empty()).Wait(s.ctx)
	require.NoError(t, err)
	require.Len(t, results(source.New(s.ctx, s.read, source.AsOf(frontier.Empty()))), 3, "as of {} a stream whose since is {}")
}

// Everything that goes wrong is one element and an end; the probe tells.
func TestSourceErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		fail func(*stream, *source.Source[string, string])
		open func(*stream) *source.Source[string, string]
		want error
		time uint64
	}{
		"broken handle": {open: func(s *stream) *source.Source[string, string] {
			_, read, err := persist.CreateOrLoad(s.ctx, s.client, "quakes", codec.Bytes, codec.Bytes)
			require.ErrorIs(s.t, err, persist.ErrCodecMismatch)
			require.ErrorIs(s.t, (<-source.New(s.ctx, read).Out()).(operators.Result[[]byte, []byte]).Err, persist.ErrCodecMismatch)
			require.NoError(s.t, s.client.Stop())
			return source.New(s.ctx, s.read)
		}, want: persist.ErrStopped},
		"stopped": {fail: func(s *stream, _ *source.Source[string, string]) {
			require.NoError(s.t, s.client.Stop())
		}, want: persist.ErrStopped, time: 2},
		"destroyed": {fail: func(s *stream, _ *source.Source[string, string]) {
			_, err := s.client.Destroy(s.ctx, "quakes")
			require.NoError(s.t, err)
		}, want: persist.ErrDestroyed, time: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			s.seal(2)
			open := tt.open
			if open == nil {
				open = func(s *stream) *source.Source[string, string] { return source.New(s.ctx, s.read) }
			}
			src := open(s)
			out := src.Out()
			if tt.fail != nil {
				require.NoError(t, src.Probe().Wait(s.ctx, 2))
				tt.fail(s, src)
			}
			// Waiters learn of it before anybody takes the element.
			require.ErrorIs(t, src.Probe().Wait(s.ctx, 3), tt.want)
			r := (<-out).(result)
			require.ErrorIs(t, r.Err, tt.want)
			require.Equal(t, update{Time: tt.time, Diff: 1}, r.Update)
			_, open2 := <-out
			require.False(t, open2)
			require.ErrorIs(t, src.Err(), tt.want)
			require.Equal(t, frontier.At(tt.time), src.Probe().Frontier())
		})
	}
}

func TestUndecodableUpdatesAreErrors(t *testing.T) {
	s := newStream(t)
	_, read, err := persist.CreateOrLoad(s.ctx, s.client, "quakes", codec.String, persist.Codec[string](fussy{codec.String}))
	require.NoError(t, err)
	s.append(at("a", "bad", 3, 2), at("b", "1", 4, 1))
	src := source.New(s.ctx, read, source.AsOf(frontier.At(4)))
	s.append(at("c", "bad", 9, -1), at("d", "1", 5, 1))
	s.finish()
	var updates []update
	var times []uint64
	var diffs []int64
	for u, err := range src.All() {
		if err == nil {
			updates = append(updates, u)
			continue
		}
		require.ErrorIs(t, err, errFussy)
		require.ErrorIs(t, err, persist.ErrDecode)
		times, diffs = append(times, u.Time), append(diffs, u.Diff)
	}
	require.Equal(t, []update{at("b", "1", 4, 1), at("d", "1", 5, 1)}, updates)
	require.Equal(t, []uint64{4, 9}, times)
	require.Equal(t, []int64{2, -1}, diffs)
	require.NoError(t, src.Err())

	// In batch mode there are no complete contents without it.
	batches := source.NewBatches(s.ctx, read)
	require.Empty(t, slices.Collect(all(batches)))
	require.ErrorIs(t, batches.Err(), persist.ErrDecode)
}

// A sum that no write takes is two elements, also if it is an error.
func TestLeastSumIsTwoElements(t *testing.T) {
	for _, val := range []string{"1", "bad"} {
		s := newStream(t)
		_, read, err := persist.CreateOrLoad(s.ctx, s.client, "quakes", codec.String, persist.Codec[string](fussy{codec.String}))
		require.NoError(t, err)
		s.append(at("a", val, 1, -math.MaxInt64), at("a", val, 1, -1))
		s.finish()
		require.NoError(t, s.client.Maintain(s.ctx))
		var diffs []int64
		for u, err := range source.New(s.ctx, read).All() {
			require.Equal(t, val == "bad", err != nil)
			diffs = append(diffs, u.Diff)
		}
		require.Equal(t, []int64{-math.MaxInt64, -1}, diffs)
	}
}

// A panic of a codec is an error, not the end of the process.
func TestPanickingCodec(t *testing.T) {
	s := newStream(t)
	_, read, err := persist.CreateOrLoad(s.ctx, s.client, "quakes", codec.String, persist.Codec[string](panicking{codec.String}))
	require.NoError(t, err)
	s.append(at("a", "1", 3, 2))
	s.seal(5)
	src := source.New(s.ctx, read)
	r := results(src)
	require.Len(t, r, 1)
	require.ErrorIs(t, r[0].Err, operators.ErrPanic)
	require.ErrorIs(t, src.Err(), operators.ErrPanic)

	batches := source.NewBatches(s.ctx, read)
	require.Empty(t, slices.Collect(all(batches)))
	require.ErrorIs(t, batches.Err(), operators.ErrPanic)
}

type panicking struct{ persist.Codec[string] }

func (panicking) Decode([]byte) (string, error) { panic("codec") }

// Traps 2, 3 and 5: whoever comes second gets one error element, the first
// everything.
func TestSecondConsumer(t *testing.T) {
	s := newStream(t)
	s.append(at("a", "1", 3, 1))
	s.finish()
	src := source.New(s.ctx, s.read)
	first := src.Via(flow.NewPassThrough())
	second := src.Via(flow.NewPassThrough())
	require.ErrorIs(t, results(second)[0].Err, operators.ErrConnected)
	require.ErrorIs(t, results(src)[0].Err, operators.ErrConnected)
	for _, err := range src.All() {
		require.ErrorIs(t, err, operators.ErrConnected)
	}
	require.Equal(t, []result{{Update: at("a", "1", 3, 1)}}, results(first))

	// The same flow twice is one consumer, and its inlet is closed once (trap 3).
	src = source.New(s.ctx, s.read)
	same := flow.NewPassThrough()
	src.Via(same)
	require.Equal(t, []result{{Update: at("a", "1", 3, 1)}}, results(src.Via(same)))

	byHand := source.New(s.ctx, s.read)
	asked := byHand.Out()
	require.Equal(t, asked, byHand.Out(), "one channel, free to ask for (trap 4)")
	require.ErrorIs(t, results(byHand.Via(flow.NewPassThrough()))[0].Err, operators.ErrConnected)
	require.Len(t, results(byHand), 1)

	batches := source.NewBatches(s.ctx, s.read)
	only := batches.Via(flow.NewPassThrough())
	for range batches.Via(flow.NewPassThrough()).Out() {
		require.Fail(t, "nothing for the second")
	}
	require.ErrorIs(t, batches.Err(), operators.ErrConnected)
	require.ErrorIs(t, (<-batches.Errs().Out()).(operators.Error), operators.ErrConnected)
	require.NotNil(t, <-only.Out())
	_, open := <-only.Out()
	require.False(t, open)
}

// Whoever comes second learns of it from a source that has ended as well: from Errs
// while nobody has drained that, and from Err always.
func TestSecondConsumerOfAnEndedSource(t *testing.T) {
	s := newStream(t)
	s.append(at("a", "1", 3, 1))
	s.finish()
	batches := source.NewBatches(s.ctx, s.read)
	require.Len(t, slices.Collect(all(batches)), 1)
	<-batches.Probe().Done()
	require.NoError(t, batches.Err())
	second := func() {
		for range batches.Via(flow.NewPassThrough()).Out() {
			require.Fail(t, "nothing for the second")
		}
	}

	second()
	require.ErrorIs(t, batches.Err(), operators.ErrConnected)
	require.ErrorIs(t, (<-batches.Errs().Out()).(operators.Error), operators.ErrConnected)
	_, open := <-batches.Errs().Out()
	require.False(t, open)
	second()
	require.ErrorIs(t, operators.Cause(s.ctx, batches), operators.ErrConnected)
}

// Trap 14: a source whose consumer is stuck ends when its context does, and
// releases the stream; so does one that was never wired.
func TestSourceEndsWithItsContext(t *testing.T) {
	cause := errors.New("cause")
	for name, wire := range map[string]func(streams.Source){
		"never wired": func(streams.Source) {},
		"undrained":   func(src streams.Source) { src.Out() },
		"stuck":       func(src streams.Source) { src.Via(stuck{in: make(chan any)}) },
		"taken one":   func(src streams.Source) { <-src.Out() },
		"idle":        func(src streams.Source) { out := src.Out(); <-out; <-out },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			s.append(at("a", "1", 3, 1), at("b", "1", 7, 1))
			s.seal(5)
			ctx, cancel := context.WithCancelCause(s.ctx)
			src := source.New(ctx, s.read)
			wire(src)
			cancel(cause)
			<-src.Probe().Done()
			require.ErrorIs(t, src.Probe().Wait(s.ctx, 9), cause)
			require.ErrorIs(t, src.Err(), cause)
			if name == "stuck" {
				return
			}
			for e := range src.Out() { // and once it is closed, the goroutine has let go
				require.NoError(t, e.(result).Err, "no element says so")
			}
			require.True(t, src.Released(s.ctx))
		})
		t.Run(name+", batches", func(t *testing.T) {
			s := newStream(t)
			s.append(at("a", "1", 3, 1), at("b", "1", 7, 1))
			s.seal(5)
			s.seal(9)
			ctx, cancel := context.WithCancelCause(s.ctx)
			src := source.NewBatches(ctx, s.read, source.MaxBatchUpdates(1))
			wire(src)
			cancel(cause)
			<-src.Probe().Done()
			require.ErrorIs(t, src.Probe().Wait(s.ctx, 10), cause)
			if name != "stuck" {
				for range src.Out() {
					continue
				}
			}
		})
	}
}

// stuck is a flow that takes nothing.
type stuck struct {
	streams.Flow
	in chan any
}

func (s stuck) In() chan<- any { return s.in }

// Storage that is down when the handle is made: one error, as in the table of the
// seed's tests.
func TestSourceOfAStreamThatCouldNotBeRegistered(t *testing.T) {
	ctx := testContext(t)
	unreliable := mem.NewUnreliable()
	client, err := mem.NewRegistry().RuntimeUnreliable(ctx, unreliable, persist.Config{})
	require.NoError(t, err)
	unreliable.SetDown()
	_, read, err := persist.CreateOrLoad(ctx, client, "quakes", codec.String, codec.String)
	require.Error(t, err)
	unreliable.SetUp()
	all := results(source.New(ctx, read))
	require.Len(t, all, 1)
	require.ErrorIs(t, all[0].Err, mem.ErrUnavailable)
	require.NoError(t, client.Stop())
}
