package operators_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Trap 11: a sink of go-streams logs a failed write and takes the next row. Ours
// writes nothing after a batch that failed: there are no holes, and the pipeline goes
// on from what the next runtime finds.
func TestTrap11FailedWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		outcome mem.Outcome
		want    error
		sealed  func(nth int) uint64 // by the runtime after the failed one
	}{
		"refused":     {mem.Refused, storage.ErrNoEffect, func(nth int) uint64 { return uint64(nth) }},
		"vanished":    {mem.Vanished, persist.ErrOutcomeUnknown, func(nth int) uint64 { return uint64(nth) }},
		"answer lost": {mem.AnswerLost, persist.ErrOutcomeUnknown, func(nth int) uint64 { return uint64(nth) + 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				nth := p.rng.IntN(times)
				to := p.sink(context.Background(), sink.Retry(-1, 0), sink.InFlight(1))
				p.storage.Inject(mem.Fault{Op: mem.OpAppend, Nth: 1 + nth, Outcome: tt.outcome})
				from(pieces()...).Via(identity(context.Background())).To(to)
				require.ErrorIs(t, to.Err(), tt.want)
				require.Equal(t, frontier.At(uint64(nth)), to.Probe().Frontier())
				require.ErrorIs(t, to.Probe().Wait(context.Background(), uint64(nth)+1), tt.want)
				p.requireSealed(t, frontier.At(uint64(nth)))

				p.reopen(t)
				p.requireSealed(t, frontier.At(tt.sealed(nth)))
				again := p.sink(context.Background())
				from(pieces()...).Via(flow.NewPassThrough()).To(again)
				require.NoError(t, again.Err())
				p.requireSealed(t, frontier.At(times))
			})
		})
	}
}

// Trap 12: a pipeline that has failed looks finished: To returns. Err and the probe
// know better. Trap 15: the failed sink takes what is sent to it, so that a flow of
// go-streams that has no context can end.
func TestTrap12FailedLooksFinished(t *testing.T) {
	t.Run("to returns", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			elements := slices.Concat(pieces()[:3], []any{operators.Error{Err: errBad, Time: 3}}, pieces()[3:])
			for range 1000 {
				elements = append(elements, "more")
			}
			to := p.sink(context.Background())
			from(elements...).Via(flow.NewMap(func(e any) any { return e }, 1)).Via(flow.NewPassThrough()).To(to)
			require.ErrorIs(t, to.Err(), errBad)
			require.ErrorIs(t, to.Probe().Wait(context.Background(), times), errBad)
			p.requireSealed(t, frontier.At(3))
		})
	})
	// A source that has not come to its end keeps To from returning, though the sink has
	// failed. Done tells; package operators says what to do then.
	t.Run("to is kept from returning", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			ctx, cancel := context.WithCancelCause(context.Background())
			to := p.sink(context.Background())
			src := p.source(ctx)
			returned := make(chan struct{})
			go func() {
				defer close(returned)
				src.Via(flow.NewMap(func(b batch) batch {
					if b.Lower == frontier.At(5) {
						b.Upper = b.Lower
					}
					return b
				}, 1)).To(to)
			}()
			<-to.Done()
			require.ErrorIs(t, to.Err(), persist.ErrInvalid)
			synctest.Wait()
			select {
			case <-returned:
				require.Fail(t, "the source goes on")
			default:
			}
			cancel(to.Err())
			<-returned
			require.ErrorIs(t, src.Err(), persist.ErrInvalid)
			p.requireSealed(t, frontier.At(5))
		})
	})
}

// Trap 13: a channel that is closed says nothing. Cut off anywhere, in any order, the
// sink has sealed what had arrived without a gap, and says if there was a gap.
func TestTrap13ClosedInTheMiddle(t *testing.T) {
	t.Run("in any order", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			elements := pieces()
			p.rng.Shuffle(len(elements), func(i, j int) { elements[i], elements[j] = elements[j], elements[i] })
			arrived := elements[:p.rng.IntN(times)]
			complete := uint64(0)
			for slices.ContainsFunc(arrived, func(e any) bool { return lowerOf(e.(batch)) == complete }) {
				complete++
			}
			to := p.sink(context.Background())
			feed(to, arrived...)
			want := operators.ErrEnded
			if len(arrived) > int(complete) {
				want = operators.ErrMissing
				require.ErrorIs(t, to.Err(), want)
			} else {
				require.NoError(t, to.Err())
			}
			require.ErrorIs(t, to.Probe().Wait(context.Background(), times), want)
			p.requireSealed(t, frontier.At(complete))
		})
	})
	// In order, so that there is no gap, and in all operators of ours.
	for cut := range times {
		t.Run(fmt.Sprintf("in order, after %d", cut), func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				f := operators.InOrder[string, int](context.Background(), frontier.At(0), operators.Limits{})
				to := p.sink(context.Background())
				from(pieces()[:cut]...).Via(identity(context.Background())).Via(f).To(to)
				require.NoError(t, to.Err())
				require.NoError(t, f.Err())
				p.requireSealed(t, frontier.At(uint64(cut)))
			})
		})
	}
	// Records are never sealed, whatever has ended.
	t.Run("records", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			to := p.sink(context.Background())
			p.finish()
			source.New(context.Background(), p.readIn).To(to)
			require.NoError(t, to.Err())
			require.Len(t, p.contents(t), times)
			require.Equal(t, frontier.At(0), p.upper(t))
		})
	})
}

// Trap 13: the upstream ends early, each time for another reason, and closes its
// channel as always. The sink is not fooled, and the source says why.
func TestTrap13EndsEarly(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(t *testing.T, p *plant, cancel context.CancelCauseFunc)
		want  error
		stops bool // the runtime, so it takes another one to see what was kept
	}{
		"cancelled": {end: func(_ *testing.T, _ *plant, cancel context.CancelCauseFunc) { cancel(errEnough) }, want: errEnough},
		"destroyed": {end: func(t *testing.T, p *plant, _ context.CancelCauseFunc) {
			_, err := p.client.Destroy(context.Background(), "in")
			require.NoError(t, err)
		}, want: persist.ErrDestroyed},
		"stopped": {end: func(t *testing.T, p *plant, _ context.CancelCauseFunc) {
			require.NoError(t, p.client.Stop())
		}, want: persist.ErrStopped, stops: true},
	} {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				src := p.source(ctx)
				to := p.sink(context.Background())
				done := run(func() { src.Via(identity(context.Background())).Via(flow.NewPassThrough()).To(to) })
				require.NoError(t, to.Probe().Wait(context.Background(), times))
				synctest.Wait()
				tt.end(t, p, cancel)
				done()
				require.ErrorIs(t, src.Err(), tt.want)
				require.ErrorIs(t, src.Probe().Wait(context.Background(), times+1), tt.want)
				require.NoError(t, to.Err())
				require.ErrorIs(t, to.Probe().Wait(context.Background(), times+1), operators.ErrEnded)
				if tt.stops {
					p.reopen(t)
				}
				p.requireSealed(t, frontier.At(times))
			})
		})
	}
}

// Traps 16 and 26: sinks of go-streams have completed before they have begun, and its
// sources acknowledge what nobody has kept. The probe of a source says no more than
// that the consumer took it; that of the sink, and its AwaitCompletion, that it is
// durable. So acknowledge by the sink's probe.
func TestTrap16AwaitCompletion(t *testing.T) {
	t.Run("sinks of go-streams", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			taken := make(chan any, 2*times)
			src := p.source(context.Background())
			src.To(extension.NewChanSink(taken))
			require.True(t, src.Probe().Frontier().IsEmpty(), "and nobody has looked at one of them")
			require.GreaterOrEqual(t, len(taken), times)
			p.source(context.Background()).To(extension.NewIgnoreSink())
			p.requireSealed(t, frontier.At(0))
		})
	})
	t.Run("the sink", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			src, to := p.source(context.Background()), p.sink(context.Background(), sink.InFlight(1+p.rng.IntN(times)))
			gate := p.storage.GateAfter(mem.OpAppend)
			done := run(func() { src.To(to) })
			require.NoError(t, gate.Wait(context.Background(), 1))
			synctest.Wait()
			require.False(t, src.Probe().LessThan(1), "it was taken")
			require.Equal(t, frontier.At(0), to.Probe().Frontier(), "nobody knows yet that it is durable")
			select {
			case <-to.Done():
				require.Fail(t, "completed without an answer of the log")
			default:
			}
			gate.Open()
			done()
			p.requireSealed(t, frontier.Empty())
		})
	})
}
