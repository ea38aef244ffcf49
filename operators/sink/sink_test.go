package sink_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

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

		records := len(want)
		for name, opts := range map[string][]sink.Option{"no option": nil, "0 is the default": {sink.Retry(0, 0)}} {
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend})
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 2})
			to = sink.New(t.Context(), s.write, opts...)
			feed(to, at("a"+name, 30, 1), at("b"+name, 30, 1), at("c"+name, 30, 1))
			require.NoError(t, to.Err(), name)
			records += 3
			require.Len(t, s.contents(), records, name)
		}

		s.unreliable.Inject(mem.Fault{Op: mem.OpAppend})
		never := sink.New(t.Context(), s.write, sink.Retry(-1, 0))
		feed(never, at("a", 30, 1))
		require.ErrorIs(t, never.Err(), storage.ErrNoEffect)
		require.Len(t, s.contents(), records)

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
			require.Len(t, s.contents(), records)
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

// counting is a context that counts what is registered with it and not released.
type counting struct {
	context.Context
	registered atomic.Int64
}

// Value hides the context inside, with which package context would else register
// directly.
func (c *counting) Value(any) any { return nil }

// AfterFunc is what package context calls in place of starting a goroutine.
func (c *counting) AfterFunc(f func()) (stop func() bool) {
	c.registered.Add(1)
	inner := context.AfterFunc(c.Context, f)
	return func() bool {
		stopped := inner()
		if stopped {
			c.registered.Add(-1)
		}
		return stopped
	}
}

// A sink that has ended, or that nobody waits for, leaves nothing with its context, which
// may live for longer than thousands of sinks.
func TestSinkLeavesNothingWithItsContext(t *testing.T) {
	for name, tt := range map[string]struct {
		input []any
		want  error
	}{
		"no input": {},
		"a batch":  {input: []any{batchOf(0, 1, at("a", 0, 1))}},
		"a record": {input: []any{at("a", 5, 1)}},
		"gave up":  {input: []any{batchOf(3, 4), batchOf(5, 6)}, want: operators.ErrMissing},
		"foreign":  {input: []any{"x"}, want: operators.ErrForeignElement},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openStream(t.Context(), t, mem.NewRegistry(), "out", persist.Config{})
				defer s.client.Stop()
				ctx := &counting{Context: t.Context()}
				sink.New(ctx, s.write)
				to := sink.New(ctx, s.write)
				require.Zero(t, ctx.registered.Load())
				to.Done()
				to.Probe()
				require.Equal(t, int64(1), ctx.registered.Load(), "or it shows nothing")
				feed(to, tt.input...)
				synctest.Wait()
				require.ErrorIs(t, to.Err(), tt.want)
				<-to.Done()
				require.ErrorIs(t, to.Probe().Wait(t.Context(), 100), cmp.Or(tt.want, operators.ErrEnded))
				require.Zero(t, ctx.registered.Load())

				late := sink.New(ctx, s.write)
				feed(late)
				synctest.Wait()
				<-late.Done() // asked for when it was over
				require.Zero(t, ctx.registered.Load())
			})
		})
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
