package progress_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/progress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every waiter is woken by the first frontier that passes its time, and not before.
func TestProbeWakesEachWaiterInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := progress.New()
		probe := p.Probe()
		woken := make([]bool, 20)
		for i := range woken {
			go func() {
				if probe.Wait(t.Context(), uint64((i*7)%20)) == nil {
					woken[(i*7)%20] = true
				}
			}()
		}
		for _, upTo := range []uint64{0, 1, 2, 9, 5, 15} {
			p.Advance(frontier.At(upTo))
			synctest.Wait()
			at, _ := probe.Frontier().Elem()
			for i := range woken {
				require.Equal(t, uint64(i) <= at, woken[i], "waiter for %d at %d", i, at)
				require.Equal(t, uint64(i) > at, probe.LessThan(uint64(i)))
			}
		}
		require.Equal(t, frontier.At(15), probe.Frontier(), "an advance to 5 after 9 changes nothing")
		p.Advance(frontier.Empty())
		synctest.Wait()
		require.NotContains(t, woken, false)
		require.False(t, probe.LessThan(1<<63))
		require.NoError(t, probe.Wait(t.Context(), 1<<63))
	})
}

func TestProbeEnds(t *testing.T) {
	cause := errors.New("cause")
	for _, end := range []error{nil, cause} {
		synctest.Test(t, func(t *testing.T) {
			p := progress.New()
			probe := p.Probe()
			p.Advance(frontier.At(3))

			cancelled, cancel := context.WithCancel(t.Context())
			answers := make(chan error, 2)
			go func() { answers <- probe.Wait(cancelled, 4) }()
			synctest.Wait()
			cancel()
			require.ErrorIs(t, <-answers, context.Canceled)
			require.Zero(t, probe.Waiting())

			go func() { answers <- probe.Wait(t.Context(), 4) }()
			synctest.Wait()
			p.End(end)
			<-probe.Done()
			p.End(errors.New("too late"))
			p.Advance(frontier.At(9))
			want := end
			if want == nil {
				want = progress.ErrEnded
			}
			require.ErrorIs(t, <-answers, want)
			require.ErrorIs(t, probe.Wait(t.Context(), 4), want)
			require.NoError(t, probe.Wait(t.Context(), 3))
			require.Equal(t, end, probe.Err())
			require.Equal(t, frontier.At(3), probe.Frontier())
		})
	}
}
