package sink_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	update = persist.Update[string, string]
	result = operators.Result[string, string]
	batch  = operators.Batch[string, string]
)

func at(key string, time uint64, diff int64) update {
	return update{Key: key, Time: time, Diff: diff}
}

func batchOf(lower, upper uint64, updates ...update) batch {
	return batch{Description: frontier.Description{Lower: frontier.At(lower), Upper: frontier.At(upper)}, Updates: updates}
}

var errBad = errors.New("bad")

// stream is a stream in memory.
type stream struct {
	ctx        context.Context
	t          require.TestingT
	unreliable *mem.Unreliable
	client     *persist.Client
	write      *persist.WriteHandle[string, string]
	read       *persist.ReadHandle[string, string]
}

func newStream(t *testing.T, cfg persist.Config) *stream {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	s := openStream(ctx, t, mem.NewRegistry(), "out", cfg)
	t.Cleanup(func() { _ = s.client.Stop() })
	return s
}

func openStream(ctx context.Context, t require.TestingT, reg *mem.Registry, name string, cfg persist.Config) *stream {
	s := &stream{ctx: ctx, t: t, unreliable: mem.NewUnreliable()}
	var err error
	s.client, err = reg.RuntimeUnreliable(ctx, s.unreliable, cfg)
	require.NoError(t, err)
	s.write, s.read, err = persist.CreateOrLoad(ctx, s.client, name, codec.String, codec.String)
	require.NoError(t, err)
	return s
}

func (s *stream) upper() frontier.Antichain {
	d, err := s.client.Description(s.ctx, s.write.StreamName())
	require.NoError(s.t, err)
	return d.Upper
}

func (s *stream) contents() []update {
	snapshot, err := s.read.Snapshot(s.ctx)
	require.NoError(s.t, err)
	defer snapshot.Close()
	all, err := snapshot.ReadToEnd(s.ctx)
	require.NoError(s.t, err)
	return all
}

// feed sends the elements to the sink, closes it and waits.
func feed(to streams.Sink, elements ...any) {
	for _, e := range elements {
		to.In() <- e
	}
	close(to.In())
	to.AwaitCompletion()
}

// A pipeline that is restarted with nothing new to do has no first element. What is
// durable already is known all the same.
func TestProbeBeforeTheFirstElement(t *testing.T) {
	s := newStream(t, persist.Config{})
	_, err := s.write.Seal(s.ctx, 7).Wait(s.ctx)
	require.NoError(t, err)
	k := sink.New(s.ctx, s.write)
	require.Equal(t, frontier.At(7), k.Probe().Frontier())
	require.NoError(t, k.Probe().Wait(s.ctx, 7))
}

func TestRecordsAreWrittenAndNotSealed(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	var elements []any
	var want []update
	for i := range uint64(2000) {
		u := at(fmt.Sprintf("%05d", i), i, 1)
		want = append(want, u)
		switch i % 3 {
		case 0:
			elements = append(elements, u)
		case 1:
			elements = append(elements, []update{u})
		default:
			elements = append(elements, result{Update: u})
		}
	}
	feed(to, append(elements, []update(nil))...)
	require.NoError(t, to.Err())
	require.Equal(t, want, s.contents())
	require.Equal(t, frontier.At(0), s.upper())
	require.ErrorIs(t, to.Probe().Wait(s.ctx, 1), operators.ErrEnded)
}

// While one command is on its way, further records gather for the next.
func TestSmallRecordsShareACommand(t *testing.T) {
	s := newStream(t, persist.Config{})
	before := s.unreliable.Calls(mem.OpAppend)
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to := sink.New(s.ctx, s.write)
	to.In() <- at("first", 0, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	for range 1000 {
		to.In() <- at("more", 0, 1)
	}
	gate.Open()
	close(to.In())
	to.AwaitCompletion()
	require.NoError(t, to.Err())
	require.Equal(t, []update{at("first", 0, 1), at("more", 0, 1000)}, s.contents())
	require.LessOrEqual(t, s.unreliable.Calls(mem.OpAppend)-before, 3)
}

// A record that is refused does not take others with it, and is not sealed over.
func TestBadRecords(t *testing.T) {
	s := newStream(t, persist.Config{MaxTailBytes: 1 << 20})
	_, err := s.write.Seal(s.ctx, 5).Wait(s.ctx)
	require.NoError(t, err)
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to := sink.New(s.ctx, s.write)
	to.In() <- at("a", 5, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	for _, e := range []any{
		at("b", 6, 1), at("late", 4, 1), []update{at("c", 7, 1), at("late too", 3, 1)}, at("d", 8, 1),
		at(string(make([]byte, 2<<20)), 9, 1), "foreign", nil, (*update)(nil),
		result{Update: update{Time: 7, Diff: 1}, Err: errBad}, operators.Error{Err: errBad, Time: 8},
		at("e", 9, 1), batchOf(5, 20),
	} {
		to.In() <- e
	}
	gate.Open()
	close(to.In())
	to.AwaitCompletion()
	require.Equal(t, []update{at("a", 5, 1), at("b", 6, 1), at("d", 8, 1), at("e", 9, 1)}, s.contents())
	require.Equal(t, frontier.At(5), s.upper(), "what is incomplete is not sealed")
	for _, want := range []error{persist.ErrSealed, persist.ErrTooLarge, operators.ErrForeignElement, errBad} {
		require.ErrorIs(t, to.Err(), want)
	}
	for _, want := range []string{"string", "<nil>", "time 4", "at time 7"} {
		require.ErrorContains(t, to.Err(), want)
	}

	many := sink.New(s.ctx, s.write)
	for range 100 {
		many.In() <- nil
	}
	close(many.In())
	many.AwaitCompletion()
	require.ErrorContains(t, many.Err(), "84 more")
}

// A record before a batch is written before the batch's seal.
func TestRecordsBeforeABatch(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	to.In() <- batchOf(0, 1)
	require.NoError(t, to.Probe().Wait(s.ctx, 1))
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to.In() <- at("a", 1, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	to.In() <- at("b", 2, 1)
	to.In() <- batchOf(1, 5, at("c", 3, 1))
	to.In() <- []update(nil) // so the batch has been received
	gate.Open()
	feed(to, at("d", 6, 1), batchOf(5, 9))
	require.NoError(t, to.Err())
	require.Equal(t, []update{at("a", 1, 1), at("b", 2, 1), at("c", 3, 1), at("d", 6, 1)}, s.contents())
	require.Equal(t, frontier.At(9), s.upper())
	require.Equal(t, frontier.At(9), to.Probe().Frontier())
}

// Batches in any order, repeated, some written before: the stream is the same.
func TestBatchesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		s := openStream(ctx, t, mem.NewRegistry(), "out", persist.Config{})
		defer s.client.Stop()
		var batches []any
		var want []update
		for i := range uint64(12) {
			u := at(fmt.Sprintf("%02d", i), 3*i, 1)
			want = append(want, u)
			batches = append(batches, batchOf(3*i, 3*i+3, u))
		}
		written := rapid.IntRange(0, 11).Draw(t, "written before")
		feed(sink.New(ctx, s.write), batches[:written]...)
		require.Equal(t, frontier.At(uint64(3*written)), s.upper())

		input := append(slices.Clone(batches), batches[:rapid.IntRange(0, 12).Draw(t, "repeated")]...)
		input = append(input, batchOf(4, 4))
		to := sink.New(ctx, s.write, sink.InFlight(rapid.SampledFrom([]int{1, 2, 0}).Draw(t, "in flight")))
		feed(to, rapid.Permutation(input).Draw(t, "input")...)
		require.NoError(t, to.Err())
		require.Equal(t, want, s.contents())
		require.Equal(t, frontier.At(36), s.upper())
		require.NoError(t, to.Probe().Wait(ctx, 36))
	})
}

// Batches that are held back when an element fails are not another error.
func TestFailedElementAmongBatchesHeldBack(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	feed(to, batchOf(0, 2), batchOf(4, 6), result{Err: errBad}, batchOf(2, 4))
	require.ErrorIs(t, to.Err(), errBad)
	require.NotErrorIs(t, to.Err(), operators.ErrMissing)
	require.Equal(t, frontier.At(2), s.upper())
}

// A repetition of what is durable takes no room among what is held back.
func TestRepetitionsAreNotHeldBack(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write, sink.HoldBack(operators.Limits{Batches: 1}))
	feed(to, batchOf(0, 2), batchOf(4, 6), batchOf(0, 2), batchOf(2, 4))
	require.NoError(t, to.Err())
	require.Equal(t, frontier.At(6), s.upper())
}

// Trap 8: another branch changes the slice that it was given too.
func TestElementsAreCopied(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	to.In() <- batchOf(0, 1)
	require.NoError(t, to.Probe().Wait(s.ctx, 1))
	gate := s.unreliable.GateBefore(mem.OpAppend)
	to.In() <- at("a", 1, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	records, held := []update{at("b", 1, 1)}, []update{at("c", 4, 1)}
	to.In() <- records
	to.In() <- batchOf(3, 5, held...)
	to.In() <- batchOf(7, 8) // so the ones before it have been received
	records[0].Key, held[0].Key = "changed", "changed"
	gate.Open()
	feed(to, batchOf(1, 3), batchOf(5, 7))
	require.NoError(t, to.Err())
	require.Equal(t, frontier.At(8), s.upper())
	require.Equal(t, []update{at("a", 1, 1), at("b", 1, 1), at("c", 4, 1)}, s.contents())
}

// Each of these is fatal: input is discarded until it is closed, what came before
// is durable and sealed, and nothing after it is.
func TestBatchFailures(t *testing.T) {
	good := []any{batchOf(0, 2, at("a", 1, 1)), batchOf(2, 4, at("b", 3, 1))}
	after := []any{batchOf(6, 8), batchOf(8, 9)}
	for name, tt := range map[string]struct {
		element any
		opts    []sink.Option
		want    error
		says    string
	}{
		"missing":           {batchOf(10, 12), nil, operators.ErrMissing, "[{4}, {6})"},
		"held back in full": {batchOf(9, 10), []sink.Option{sink.HoldBack(operators.Limits{Batches: 2})}, operators.ErrMissing, "[{4}, {6})"},
		"held in updates":   {batchOf(9, 10, at("x", 9, 1), at("y", 9, 1)), []sink.Option{sink.HoldBack(operators.Limits{Updates: 1})}, operators.ErrMissing, "[{4}, {9})"},
		"overlap":           {batchOf(3, 6), nil, operators.ErrOverlap, "[{3}, {6})"},
		"overlap, held":     {batchOf(7, 9), nil, operators.ErrOverlap, "[{7}, {9})"},
		"update outside":    {batchOf(4, 6, at("x", 6, 1)), nil, persist.ErrInvalid, "time 6"},
		"backwards":         {batchOf(6, 4), nil, persist.ErrInvalid, "[{6}, {4})"},
		"foreign":           {"x", nil, operators.ErrForeignElement, "string"},
		"nil":               {nil, nil, operators.ErrForeignElement, "nil"},
		"error":             {operators.Error{Err: errBad}, nil, errBad, "bad"},
		"too large":         {batchOf(4, 6, at(string(make([]byte, 2<<20)), 5, 1)), nil, persist.ErrTooLarge, "[{4}, {6})"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, persist.Config{MaxTailBytes: 1 << 20})
			to := sink.New(s.ctx, s.write, tt.opts...)
			feed(to, slices.Concat(good, []any{tt.element}, after)...)
			require.ErrorIs(t, to.Err(), tt.want)
			require.ErrorContains(t, to.Err(), tt.says)
			require.Equal(t, frontier.At(4), s.upper())
			require.Equal(t, []update{at("a", 1, 1), at("b", 3, 1)}, s.contents())
			require.Equal(t, frontier.At(4), to.Probe().Frontier())
			require.Error(t, to.Probe().Wait(s.ctx, 5))
		})
	}
}

// A sealed stream that another has sealed in the middle of a batch, or past it.
func TestAnotherWriter(t *testing.T) {
	s := newStream(t, persist.Config{})
	to := sink.New(s.ctx, s.write)
	to.In() <- batchOf(0, 2)
	require.NoError(t, to.Probe().Wait(s.ctx, 2))
	_, err := s.write.Seal(s.ctx, 6).Wait(s.ctx)
	require.NoError(t, err)
	to.In() <- batchOf(2, 4, at("lost", 3, 1)) // the other has written it, by the contract
	to.In() <- batchOf(4, 6)
	require.NoError(t, to.Probe().Wait(s.ctx, 6))
	to.In() <- batchOf(6, 8)
	require.NoError(t, to.Probe().Wait(s.ctx, 8))
	_, err = s.write.Seal(s.ctx, 9).Wait(s.ctx)
	require.NoError(t, err)
	feed(to, batchOf(8, 10))
	require.ErrorIs(t, to.Err(), operators.ErrOverlap)
	require.ErrorIs(t, to.Err(), persist.ErrUpperMismatch)
	require.Equal(t, frontier.At(9), s.upper())
	require.Empty(t, s.contents())
}

// Storage that refuses without effect is tried again, whatever was on its way
// behind it; in the end the sink gives up, and nothing is torn.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStream(t.Context(), t, mem.NewRegistry(), "out", persist.Config{})
		defer s.client.Stop()
		for nth := range 4 {
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 1 + 2*nth})
		}
		var input []any
		var want []update
		for i := range uint64(20) {
			u := at(fmt.Sprintf("%02d", i), i, 1)
			want = append(want, u)
			input = append(input, batchOf(i, i+1, u))
		}
		to := sink.New(t.Context(), s.write, sink.Retry(1, time.Second))
		feed(to, input...)
		require.NoError(t, to.Err())
		require.Equal(t, want, s.contents())
		require.Equal(t, frontier.At(20), s.upper())

		s.unreliable.Inject(mem.Fault{Op: mem.OpAppend})
		s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2})
		to = sink.New(t.Context(), s.write)
		feed(to, at("a", 30, 1), at("b", 30, 1), at("c", 30, 1))
		require.NoError(t, to.Err())
		require.Len(t, s.contents(), 23)

		for name, element := range map[string]any{"batch": batchOf(20, 21), "record": at("x", 40, 1)} {
			s.unreliable.SetDown()
			start := time.Now()
			to = sink.New(t.Context(), s.write, sink.Retry(3, time.Second))
			feed(to, element, element)
			require.ErrorIs(t, to.Err(), storage.ErrNoEffect, name)
			require.ErrorContains(t, to.Err(), "3 retries")
			require.Equal(t, 7*time.Second, time.Since(start), "1s, 2s and 4s")
			s.unreliable.SetUp()
			require.Equal(t, frontier.At(20), s.upper())
			require.Len(t, s.contents(), 23)
		}
	})
}

// Traps 12, 13 and 15: a runtime that stops, a broken handle, a context that ends.
func TestFatalErrors(t *testing.T) {
	cause := errors.New("cause")
	for name, tt := range map[string]struct {
		fail func(s *stream, cancel context.CancelCauseFunc)
		want error
	}{
		"stopped":   {func(s *stream, _ context.CancelCauseFunc) { _ = s.client.Stop() }, persist.ErrStopped},
		"cancelled": {func(_ *stream, cancel context.CancelCauseFunc) { cancel(cause) }, cause},
		"destroyed": {func(s *stream, _ context.CancelCauseFunc) { _, _ = s.client.Destroy(s.ctx, "out") }, persist.ErrDestroyed},
		"unknown": {func(s *stream, _ context.CancelCauseFunc) {
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Outcome: mem.AnswerLost})
		}, persist.ErrOutcomeUnknown},
	} {
		for kind, elements := range map[string]func(i uint64) any{
			"batches": func(i uint64) any { return batchOf(i, i+1, at("k", i, 1)) },
			"records": func(i uint64) any { return at("k", i, 1) },
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				s := newStream(t, persist.Config{})
				ctx, cancel := context.WithCancelCause(s.ctx)
				to := sink.New(ctx, s.write)
				for i := range uint64(100) {
					if i == 50 {
						tt.fail(s, cancel)
					}
					to.In() <- elements(i) // never hangs
				}
				close(to.In())
				to.AwaitCompletion()
				require.ErrorIs(t, to.Err(), tt.want)
				require.ErrorIs(t, to.Probe().Wait(s.ctx, 100), tt.want)
				cancel(nil)
			})
		}
	}
	s := newStream(t, persist.Config{})
	broken, _, err := persist.CreateOrLoad(s.ctx, s.client, "out", codec.Bytes, codec.String)
	require.Error(t, err)
	to := sink.New(s.ctx, broken)
	feed(to, "anything")
	require.ErrorIs(t, to.Err(), persist.ErrCodecMismatch)
	require.Equal(t, err.Error(), to.Err().Error())
}

// AwaitCompletion returns when the context ends, whether or not anybody has closed
// the input, or even asked for it.
func TestSinkEndsWithItsContext(t *testing.T) {
	s := newStream(t, persist.Config{})
	ctx, cancel := context.WithCancel(s.ctx)
	sink.New(ctx, s.write) // never wired: no goroutine
	unused, open := sink.New(ctx, s.write), sink.New(ctx, s.write)
	gate := s.unreliable.GateBefore(mem.OpAppend)
	open.In() <- batchOf(0, 1)
	require.NoError(t, gate.Wait(s.ctx, 1))
	cancel()
	unused.AwaitCompletion()
	open.AwaitCompletion()
	require.ErrorIs(t, unused.Err(), context.Canceled)
	require.ErrorIs(t, open.Err(), context.Canceled)
	open.In() <- "discarded"
	close(open.In())
	unused.In() <- "discarded"
	close(unused.In())
	gate.Open()
}

// The whole way, stopped again and again: a source in batch mode, a go-streams flow
// that reorders, a sink, and nothing but the sink's upper to go on from. Every
// update exactly once (traps 13, 17 and 29).
func TestExactlyOnce(t *testing.T) {
	const times = 200
	in := newStream(t, persist.Config{})
	var want []update
	for i := range uint64(times) {
		for k := range 3 {
			u := at(fmt.Sprintf("%03d/%d", i, k), i, 1)
			want = append(want, u)
			in.write.Write(in.ctx, []update{u})
		}
	}
	reg := mem.NewRegistry()
	for round := 0; ; round++ {
		out := openStream(in.ctx, t, reg, "out", persist.Config{})
		upper := out.upper()
		limit := len(want)
		if elem, ok := upper.Elem(); ok {
			limit = 3 * int(elem)
		}
		require.Equal(t, want[:limit:limit], append([]update{}, out.contents()...), "what is sealed is there, and nothing else")
		if upper.IsEmpty() {
			require.NoError(t, out.client.Stop())
			require.Greater(t, round, 8)
			return
		}

		ctx, cancel := context.WithCancel(in.ctx)
		src := source.NewBatches(ctx, in.read, source.From(upper))
		to := sink.New(ctx, out.write, sink.InFlight(4))
		switch round % 4 {
		case 0:
			out.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 3 + round%5, Outcome: mem.AnswerLost})
		case 1:
			out.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2 + round%5, Outcome: mem.Vanished})
		case 2:
			out.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2 + round%5})
		}
		sealing := make(chan struct{})
		go func() {
			defer close(sealing)
			defer cancel()
			first, _ := upper.Elem()
			for seal := first + 1; seal <= times; seal++ {
				if _, err := in.write.Seal(in.ctx, seal).Wait(in.ctx); err != nil && !errors.Is(err, persist.ErrSealRegression) {
					return
				}
				// A few batches are under way at any time.
				if to.Probe().Wait(ctx, seal-min(seal, 5)) != nil {
					return
				}
				if seal == first+20 && round%4 >= 2 {
					return // and the channels close in the middle of it all
				}
			}
			in.write.Finish(in.ctx)
			<-to.Done()
		}()
		src.Via(flow.NewMap(func(b batch) batch { return b }, 8)).To(to)
		<-sealing
		_ = out.client.Stop() // which reports the log's failure
	}
}

// Who has kept Done or the probe of a sink that nobody refers to any more is told
// when the context ends.
func TestDoneOfAForgottenSink(t *testing.T) {
	s := newStream(t, persist.Config{})
	ctx, cancel := context.WithCancel(s.ctx)
	done, probe, collected := func() (<-chan struct{}, *operators.Probe, <-chan struct{}) {
		k := sink.New(ctx, s.write)
		collected := make(chan struct{})
		runtime.AddCleanup(k, func(c chan struct{}) { close(c) }, collected)
		return k.Done(), k.Probe(), collected
	}()
	for gone := false; !gone; {
		runtime.GC()
		select {
		case <-collected:
			gone = true
		default:
		}
	}
	cancel()
	<-done
	<-probe.Done()
	require.ErrorIs(t, probe.Err(), context.Canceled)
}
