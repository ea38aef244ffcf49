package operators_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reugn/go-streams"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/source"
)

// Trap 7: a branch of go-streams' FanOut or Split that nobody drains stops all of
// the pipeline. What was sealed until then is right, and all that is ours ends with
// its context.
func TestTrap07AbandonedBranch(t *testing.T) {
	for name, branches := range map[string]func(streams.Outlet) []streams.Flow{
		"fan out": func(o streams.Outlet) []streams.Flow { return flow.FanOut(o, 2) },
		"split": func(o streams.Outlet) []streams.Flow {
			both := flow.Split(o, func(b batch) bool { return b.Lower != frontier.At(5) })
			return both[:]
		},
	} {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				ctx, cancel := context.WithCancelCause(context.Background())
				src := p.source(ctx)
				f := identity(ctx)
				to := p.sink(ctx)
				branch := branches(src.Via(f))
				done := run(func() { branch[0].To(to) })
				synctest.Wait()
				require.NoError(t, to.Err(), "it waits")
				require.True(t, to.Probe().LessThan(times))
				cancel(errEnough)
				<-src.Probe().Done()
				to.AwaitCompletion()
				require.ErrorIs(t, src.Err(), errEnough)
				require.ErrorIs(t, to.Err(), errEnough)
				drain(branch[1]) // so that go-streams' goroutines end as well
				done()
				require.ErrorIs(t, f.Err(), errEnough)
			})
		})
	}
}

// Trap 7: our own split has a side that nobody need drain.
func TestTrap07AbandonedErrSide(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		var elements []any
		for i := range uint64(times) {
			elements = append(elements, result{Update: update{Time: i, Diff: 1}, Err: errBad}, result{Update: original(i)})
		}
		ok, _ := operators.SplitOkErr[string, int](from(elements...))
		to := p.sink(context.Background())
		ok.To(to)
		require.NoError(t, to.Err())
		require.Len(t, p.contents(t), times)
	})
}

// Trap 8: FanOut gives the same slices to all branches, and one of them changes what
// it has. The sink has its own copy as soon as it has taken the next element, though
// it holds all of these back until the first batch comes, as the last.
func TestTrap08ChangedByAnotherBranch(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		all := pieces()
		elements := append(all[1:], all[0])
		branch := flow.FanOut(from(elements...), 2)
		to := p.sink(context.Background())
		done := run(func() { branch[0].To(to) })
		var seen []batch
		for e := range branch[1].Out() {
			seen = append(seen, e.(batch))
			// Two elements are under way in the other branch, and one with the sink.
			if n := len(seen) - 4; n >= 0 {
				seen[n].Updates[0] = at("changed", -1, 99, 7)
			}
		}
		done()
		require.Greater(t, len(seen), 4)
		require.NoError(t, to.Err())
		p.requireSealed(t, frontier.At(times))
	})
}

// Traps 2, 17 and 23: whatever go-streams does to the order of batches, the sink
// writes them in order, each once, and seals none early.
func TestTrap17Reordered(t *testing.T) {
	const overtaken = time.Second // by others, for certain
	for name, tt := range map[string]struct {
		through func(p *plant, src streams.Source) streams.Flow
		inOrder bool // the flow keeps the order
	}{
		"map": {through: func(p *plant, src streams.Source) streams.Flow { return src.Via(flow.NewMap(p.slowly(overtaken), 8)) }},
		"filter": {through: func(p *plant, src streams.Source) streams.Flow {
			slowly := p.slowly(overtaken)
			return src.Via(flow.NewFilter(func(b batch) bool {
				slowly(b)
				return true
			}, 8))
		}},
		"flat map": {through: func(p *plant, src streams.Source) streams.Flow {
			slowly := p.slowly(overtaken)
			return src.Via(flow.NewFlatMap(func(b batch) []batch { return []batch{slowly(b)} }, 8))
		}},
		"round robin": {through: func(p *plant, src streams.Source) streams.Flow {
			branches := flow.RoundRobin(src, 3)
			for i := range branches {
				branches[i] = branches[i].Via(flow.NewMap(p.slowly(overtaken), 2))
			}
			return flow.Merge(branches...)
		}},
		"split and merge": {through: func(p *plant, src streams.Source) streams.Flow {
			both := flow.Split(src, func(b batch) bool { return len(b.Updates) > 0 && b.Updates[0].Val%2 == 0 })
			return flow.Merge(both[0].Via(flow.NewMap(p.slowly(overtaken), 3)), both[1])
		}},
		"keyed": {through: func(p *plant, src streams.Source) streams.Flow {
			slowly := p.slowly(overtaken)
			key := func(b batch) int { return len(b.Updates) + int(lowerOf(b)%3) }
			return src.Via(flow.NewKeyed(key, func() streams.Flow { return flow.NewMap(slowly, 2) }))
		}},
		"fan out and merge": {through: func(p *plant, src streams.Source) streams.Flow { // each batch three times
			var slow []streams.Flow // not in the slice that it returns, which it goes on to use
			for _, branch := range flow.FanOut(src, 3) {
				slow = append(slow, branch.Via(flow.NewMap(p.slowly(overtaken), 2)))
			}
			return flow.Merge(slow...)
		}},
		"throttled": {inOrder: true, through: func(_ *plant, src streams.Source) streams.Flow {
			return src.Via(flow.NewThrottler(2, time.Second, 2, flow.Backpressure)).Via(flow.NewPassThrough())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("to a sink", func(t *testing.T) {
				trap(t, func(t *testing.T, p *plant) {
					p.finish()
					to := p.sink(context.Background())
					src := p.source(context.Background())
					came := &arrivals{sealed: to.Probe()}
					tt.through(p, src).Via(flow.NewMap(came.pass, 1)).To(to)
					require.NoError(t, to.Err())
					require.NoError(t, src.Err())
					require.Equal(t, !tt.inOrder, came.early > 0, "batches that came before their turn: %d", came.early)
					require.Empty(t, came.unfounded, "sealed before all of it had come")
					p.requireSealed(t, frontier.Empty())
				})
			})
			t.Run("put back in order", func(t *testing.T) {
				trap(t, func(t *testing.T, p *plant) {
					p.finish()
					f := operators.InOrder[string, int](context.Background(), frontier.At(0), operators.Limits{})
					lower := frontier.At(0)
					tt.through(p, p.source(context.Background())).Via(f)
					for e := range f.Out() {
						require.Equal(t, lower, e.(batch).Lower)
						lower = e.(batch).Upper
					}
					require.NoError(t, f.Err())
					require.True(t, lower.IsEmpty())
				})
			})
		})
	}
}

// arrivals watches the batches on their way to a sink. One goroutine, of a flow,
// calls pass; look at the rest when the pipeline has ended.
type arrivals struct {
	sealed    *operators.Probe
	early     int                  // batches that came before their turn
	unfounded []frontier.Antichain // to which the sink had sealed, and not all before it had come

	came     map[frontier.Antichain]frontier.Antichain // the upper for the lower of each batch
	complete frontier.Antichain                        // everything before it has come
}

func (a *arrivals) pass(b batch) batch {
	if upper := a.sealed.Frontier(); a.complete.LessThan(upper) {
		a.unfounded = append(a.unfounded, upper)
	}
	if a.complete.LessThan(b.Lower) {
		a.early++
	}
	if a.came == nil {
		a.came = make(map[frontier.Antichain]frontier.Antichain)
	}
	a.came[b.Lower] = b.Upper
	for upper, ok := a.came[a.complete]; ok; upper, ok = a.came[a.complete] {
		a.complete = upper
	}
	return b
}

// Trap 17: batches of different streams say which times they cover, but not of what.
// The sink takes the second of two for a repetition. That is why package operators
// says not to merge sources of batches: here is what would be missing.
func TestTrap17MergedSources(t *testing.T) {
	t.Run("cut alike", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			var other []any
			for i := range uint64(times) {
				other = append(other, batchOf(i, i+1, at("other", 1, i, 1)))
			}
			to := p.sink(context.Background())
			to.In() <- pieces()[0]
			require.NoError(t, to.Probe().Wait(context.Background(), 1))
			feed(to, append(other[:1], pieces()[1:]...)...)
			require.NoError(t, to.Err())
			p.requireSealed(t, frontier.At(times))
		})
	})
	// If they are cut in different ways, it is an error.
	t.Run("cut in different ways", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			to := p.sink(context.Background())
			feed(to, pieces()[0], pieces()[1], batchOf(1, 5, at("other", 1, 3, 1)))
			require.ErrorIs(t, to.Err(), operators.ErrOverlap)
			p.requireSealed(t, frontier.At(2))
		})
	})
}

// Traps 17, 18 and 24: a batch that a flow has dropped is missing, not empty: nothing
// is sealed from there on, and the error says where.
func TestTrap18Dropped(t *testing.T) {
	dropsOne := func(b batch) bool { return b.Lower != frontier.At(5) }
	flows := map[string]func(src streams.Source) streams.Flow{
		"filter": func(src streams.Source) streams.Flow { return src.Via(flow.NewFilter(dropsOne, 1)) },
		"flat map": func(src streams.Source) streams.Flow {
			return src.Via(flow.NewFlatMap(func(b batch) []batch {
				if dropsOne(b) {
					return []batch{b}
				}
				return nil
			}, 3))
		},
		"one side of a split": func(src streams.Source) streams.Flow {
			both := flow.Split(src, dropsOne)
			go drain(both[1])
			return both[0]
		},
	}
	for name, through := range flows {
		t.Run(name, func(t *testing.T) {
			trap(t, func(t *testing.T, p *plant) {
				p.finish()
				to := p.sink(context.Background())
				through(p.source(context.Background())).To(to)
				require.ErrorIs(t, to.Err(), operators.ErrMissing)
				require.ErrorContains(t, to.Err(), "[{5}, {6})")
				require.ErrorIs(t, to.Probe().Wait(context.Background(), 6), operators.ErrMissing)
				p.requireSealed(t, frontier.At(5))
			})
		})
	}
	// A batch comes every 350 ms and one a second may go on. The limiter holds one, its
	// buffer another: batch 4, at 1.75 s, is the first for which there is no room.
	t.Run("throttler that discards", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			to := p.sink(context.Background())
			paced := p.source(context.Background()).Via(flow.NewMap(func(b batch) batch {
				<-time.After(350 * time.Millisecond)
				return b
			}, 1))
			passed := 0
			paced.Via(flow.NewThrottler(1, time.Second, 1, flow.Discard)).Via(flow.NewMap(func(b batch) batch {
				passed++
				return b
			}, 1)).To(to)
			require.Less(t, passed, times)
			require.ErrorIs(t, to.Err(), operators.ErrMissing)
			require.ErrorContains(t, to.Err(), "[{4}, {5})")
			require.ErrorIs(t, to.Probe().Wait(context.Background(), 5), operators.ErrMissing)
			p.requireSealed(t, frontier.At(4))
		})
	})
}

// Trap 24: a throttler holds the limit through Via alone; package operators says to
// put a flow behind it. Then it sets the pace of our source, which holds nothing
// back in memory: the probe tells how far it is.
func TestTrap24Throttler(t *testing.T) {
	t.Run("batches", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			src, to := p.source(context.Background()), p.sink(context.Background())
			throttled := src.Via(flow.NewThrottler(1, time.Second, 1, flow.Backpressure)).Via(flow.NewPassThrough())
			done := run(func() { throttled.To(to) })
			for second := range uint64(times - 4) {
				synctest.Wait()
				require.Equal(t, frontier.At(second+1), to.Probe().Frontier())
				// The throttler holds three: at its limit, in its buffer, and before that.
				require.Equal(t, frontier.At(second+4), src.Probe().Frontier())
				<-time.After(time.Second)
			}
			done()
			require.NoError(t, to.Err())
			p.requireSealed(t, frontier.Empty())
		})
	})
	t.Run("records", func(t *testing.T) {
		trap(t, func(t *testing.T, p *plant) {
			p.finish()
			ctx, cancel := context.WithCancel(context.Background())
			src := source.New(ctx, p.readIn)
			began := time.Now()
			throttled := src.Via(flow.NewThrottler(1, time.Second, 1, flow.Backpressure)).Via(flow.NewPassThrough())
			ok, errs := operators.SplitOkErrContext[string, int](ctx, throttled)
			to := p.sink(ctx)
			ok.To(to)
			require.Empty(t, drain(errs))
			require.NoError(t, to.Err())
			require.Len(t, p.contents(t), times)
			require.GreaterOrEqual(t, time.Since(began), (times-1)*time.Second, "of the bubble")
			cancel()
		})
	})
}

// Trap 28: go-streams' operators have no names. Errors of ours say whose they are.
func TestTrap28ErrorsNameTheirStream(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		src, f, to := p.source(context.Background()), identity(context.Background()), p.sink(context.Background())
		done := run(func() { src.Via(f).To(to) })
		synctest.Wait()
		src.Via(flow.NewPassThrough())
		f.Via(flow.NewPassThrough())
		_, err := p.client.Destroy(context.Background(), "in")
		require.NoError(t, err)
		done()
		require.ErrorContains(t, src.Err(), `"in"`)
		require.ErrorContains(t, f.Err(), "MapBatches")
		said := fmt.Sprint(drain(src.Errs()))
		require.Contains(t, said, `source of stream "in"`)
	})
}
