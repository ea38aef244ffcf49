package operators_test

import (
	"context"
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

// Traps 19 to 22: windows and batches of go-streams go by the wall clock, lose what
// they hold, and emit slices. Around our batches they are a mistake that is an
// error: a slice of batches is foreign, and what is lost is not sealed.
func TestTrap19WindowsOfBatches(t *testing.T) {
	for name, window := range map[string]func() streams.Flow{
		"tumbling": func() streams.Flow { return flow.NewTumblingWindow[batch](time.Second) },
		"session":  func() streams.Flow { return flow.NewSessionWindow[batch](time.Second) },
		"batch":    func() streams.Flow { return flow.NewBatch[batch](5, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("as it is", func(t *testing.T) {
				trap(t, func(t *testing.T, p *plant) {
					p.finish()
					to := p.sink(context.Background())
					p.source(context.Background()).Via(window()).To(to)
					require.ErrorIs(t, to.Err(), operators.ErrForeignElement)
					require.ErrorContains(t, to.Err(), "got []operators.Batch[string,int]")
					p.requireSealed(t, frontier.At(0))
				})
			})
			// Taken apart again they are batches, none is lost, and the sink puts them in order.
			t.Run("taken apart again", func(t *testing.T) {
				trap(t, func(t *testing.T, p *plant) {
					p.finish()
					to := p.sink(context.Background())
					p.source(context.Background()).Via(window()).Via(flow.Flatten[batch](3)).To(to)
					require.NoError(t, to.Err())
					p.requireSealed(t, frontier.Empty())
				})
			})
		})
	}
}

// Trap 20: a sliding window loses a short stream without a word. What does not come
// is not sealed, though to the sink it looks like a source that had nothing.
func TestTrap20SlidingWindowLosesAShortStream(t *testing.T) {
	trap(t, func(t *testing.T, p *plant) {
		p.finish()
		to := p.sink(context.Background())
		lost := flow.NewSlidingWindow[batch](10*time.Second, time.Second)
		p.source(context.Background()).Via(lost).Via(flow.Flatten[batch](1)).To(to)
		require.NoError(t, to.Err())
		require.ErrorIs(t, to.Probe().Wait(context.Background(), 1), operators.ErrEnded)
		p.requireSealed(t, frontier.At(0))
	})
}

// Trap 19: what package operators says to do instead. Windows over the times of updates
// are a function of a batch, so a replay gives the windows that the live stream gave,
// however it is cut into batches.
func TestTrap19WindowsOverTimes(t *testing.T) {
	const width = 5
	windows := func(t *testing.T, src *source.BatchSource[string, int]) map[uint64]int64 {
		byWindow := operators.MapBatches(context.Background(), 3, func(_ context.Context, b batch) ([]update, error) {
			out := make([]update, 0, len(b.Updates))
			for _, u := range b.Updates {
				u.Val = int(u.Time / width)
				out = append(out, u)
			}
			return out, nil
		})
		src.Via(byWindow)
		counts := make(map[uint64]int64)
		for e := range byWindow.Out() {
			for _, u := range e.(batch).Updates {
				counts[uint64(u.Val)] += u.Diff
			}
			synctest.Wait()
		}
		return counts
	}
	trap(t, func(t *testing.T, p *plant) {
		p.finish()
		want := map[uint64]int64{0: 5, 1: 5, 2: 2}
		for _, most := range []int{1, 1 + p.rng.IntN(times), 0} {
			require.Equal(t, want, windows(t, p.source(context.Background(), source.MaxBatchUpdates(most))))
		}
	})
}
