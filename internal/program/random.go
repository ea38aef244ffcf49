package program

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// RunRandom runs n random programs, each on a place of its own. One seed makes 25 programs,
// so n must be a multiple of 25. Together the programs must have used every command. active
// checks what else they must have done.
func RunRandom(t *testing.T, n int, place func(random *rand.Rand) Place, active func(total Report)) (total Report) {
	const each = 25
	require.Zero(t, n%each, "%d programs are no multiple of %d", n, each)
	var mu sync.Mutex // guards total
	proof.Run(t, n/each, func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		for range each {
			code := make([]byte, random.IntN(400))
			for i := range code {
				code[i] = byte(random.Uint32())
			}
			r := Run(t, place(random), code)
			mu.Lock()
			total.add(r)
			mu.Unlock()
		}
	})
	if total.Programs == n { // not one seed alone, to look at a failure
		require.NotContains(t, total.kinds[:], 0, "every command")
		active(total)
	}
	return total
}
