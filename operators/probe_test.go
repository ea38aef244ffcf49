package operators_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
)

// Every waiter is woken by the first frontier that passes its time, and not before.
func TestProbeWakesEachWaiterInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		progress := operators.NewProgress()
		probe := progress.Probe()
		woken := make([]bool, 20)
		for i := range woken {
			go func() {
				if probe.Wait(t.Context(), uint64((i*7)%20)) == nil {
					woken[(i*7)%20] = true
				}
			}()
		}
		for _, upTo := range []uint64{0, 1, 2, 9, 5, 15} {
			progress.Advance(frontier.At(upTo))
			synctest.Wait()
			at, _ := probe.Frontier().Elem()
			for i := range woken {
				require.Equal(t, uint64(i) <= at, woken[i], "waiter for %d at %d", i, at)
				require.Equal(t, uint64(i) > at, probe.LessThan(uint64(i)))
			}
		}
		require.Equal(t, frontier.At(15), probe.Frontier(), "an advance to 5 after 9 changes nothing")
		progress.Advance(frontier.Empty())
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
			progress := operators.NewProgress()
			probe := progress.Probe()
			progress.Advance(frontier.At(3))

			cancelled, cancel := context.WithCancel(t.Context())
			answers := make(chan error, 2)
			go func() { answers <- probe.Wait(cancelled, 4) }()
			synctest.Wait()
			cancel()
			require.ErrorIs(t, <-answers, context.Canceled)
			require.Zero(t, probe.Waiting())

			go func() { answers <- probe.Wait(t.Context(), 4) }()
			synctest.Wait()
			progress.End(end)
			<-probe.Done()
			progress.End(errors.New("too late"))
			progress.Advance(frontier.At(9))
			want := end
			if want == nil {
				want = operators.ErrEnded
			}
			require.ErrorIs(t, <-answers, want)
			require.ErrorIs(t, probe.Wait(t.Context(), 4), want)
			require.NoError(t, probe.Wait(t.Context(), 3))
			require.Equal(t, end, probe.Err())
			require.Equal(t, frontier.At(3), probe.Frontier())
		})
	}
}

func ExampleProbe() {
	progress := operators.NewProgress()
	probe := progress.Probe()
	fmt.Println(probe.Frontier(), probe.LessThan(5))
	progress.Advance(frontier.At(5))
	fmt.Println(probe.Frontier(), probe.LessThan(5))
	fmt.Println(probe.Wait(context.Background(), 5))
	// Output:
	// {0} true
	// {5} false
	// <nil>
}
