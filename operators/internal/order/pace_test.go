package order_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/order"
)

// What is taken while a call is slow is bounded in bytes, whatever the size of a batch is;
// and a batch that is done and waits behind others is reached in a time that follows the
// wait, at once if it is the next one.
func TestPace(t *testing.T) {
	const mib = 1 << 20
	limits := order.Limits{Batches: 1024, Updates: 1 << 20, Bytes: 64 * mib}
	for name, tt := range map[string]struct {
		batch   int64
		long    time.Duration
		taken   float64 // times Limits.Bytes, at most
		batches int     // at most
		behind  int     // how many others the batch waits then
		reached time.Duration
	}{
		"large, 2s":     {16 * mib, 2 * time.Second, 5, 20, 4, 2 * time.Second},
		"large, 4m":     {16 * mib, 4 * time.Minute, 16, 64, 4, 3 * time.Minute},
		"large, 1h":     {16 * mib, time.Hour, 44, 176, 4, 3 * time.Minute},
		"large, 20ms":   {16 * mib, 20 * time.Millisecond, 0.25, 1, 4, 300 * time.Millisecond},
		"16 large, 2s":  {16 * mib, 2 * time.Second, 5, 20, 16, 15 * time.Second},
		"16 large, 30s": {16 * mib, 30 * time.Second, 11, 44, 16, 4 * time.Minute},
		"16 large, 10m": {16 * mib, 10 * time.Minute, 19, 76, 16, 9 * time.Minute},
		"5 MiB, 2s":     {5 * mib, 2 * time.Second, 5, 64, 16, 3 * time.Second},
		"5 MiB, 1h":     {5 * mib, time.Hour, 44, 560, 16, 4 * time.Minute},
		"4 KiB, 2s":     {4 << 10, 2 * time.Second, 0.1, 400, 16, time.Second},
		"4 KiB, 1h":     {4 << 10, time.Hour, 0.2, 1700, 16, time.Minute},
		"4 KiB, 20ms":   {4 << 10, 20 * time.Millisecond, 0.1, 32, 16, 20 * time.Millisecond},
		"1 GiB, 2s":     {1 << 30, 2 * time.Second, 96, 6, 4, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pace := order.NewPace(limits)
				defer pace.Stop()
				began, batches := time.Now(), 0
				take := func(until func() bool) { // from an upstream that always has one
					for !until() {
						receive, wake := pace.Next(true, frontier.At(0))
						if !receive {
							<-wake
							pace.Woken()
							continue
						}
						pace.Received()
						pace.Weighed(tt.batch)
						batches++
					}
				}
				take(func() bool { return time.Since(began) > tt.long })
				require.LessOrEqual(t, float64(batches)*float64(tt.batch), tt.taken*float64(limits.Bytes))
				require.LessOrEqual(t, batches, tt.batches)

				done, last := time.Now(), batches+tt.behind+1
				take(func() bool { return batches >= last })
				require.LessOrEqual(t, time.Since(done), tt.reached)

				for quiet := false; !quiet; { // nothing more comes, so there is nothing to pause for
					receive, wake := pace.Next(true, frontier.At(0))
					select {
					case <-wake:
						pace.Woken()
						require.Less(t, time.Since(done), 3*time.Hour)
					case <-time.After(time.Hour):
						require.True(t, receive)
						quiet = true
					}
				}
			})
		})
	}
}
