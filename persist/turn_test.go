package persist

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// One call at a time has the turn. Every other call gets it in the end, or ends with its
// context; calls that give up take no wake-up away from those that go on.
func TestTurn(t *testing.T) {
	tr := turn{freed: make(chan struct{}, 1)}
	const goroutines, rounds = 8, 2000
	var all sync.WaitGroup
	var holders, taken, gaveUp atomic.Int64
	guarded := int64(0)
	for g := range goroutines {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			for range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if rng.IntN(3) == 0 {
					go cancel()
				}
				if err := tr.take(ctx); err != nil {
					require.ErrorIs(t, err, context.Canceled)
					gaveUp.Add(1)
				} else {
					if holders.Add(1) != 1 {
						t.Error("two have the turn")
					}
					guarded++
					taken.Add(1)
					holders.Add(-1)
					tr.give()
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.EqualValues(t, goroutines*rounds, taken.Load()+gaveUp.Load())
	require.Equal(t, taken.Load(), guarded)
	require.Zero(t, tr.waiting.Load())
}
