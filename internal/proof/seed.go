package proof

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/tidemark-go/tidemark/internal/seed"
)

// Run runs a body for n seeds, as parallel subtests that have the seed's number as their
// name. In the tiers that judge a change, the seeds are 1 to n, so that the verdict depends
// on the change alone. Tiers B and C draw the first seed. With TIDEMARK_SEED only that seed
// runs. Run returns when all subtests have ended, and says how many ran: fewer than n if go
// test was told to run only some. With -failfast, seeds that have not begun when one fails are
// skipped; go test itself does not skip parallel subtests.
func Run(t *testing.T, n int, body func(t *testing.T, seed uint64)) int {
	t.Helper()
	first, ran, failed := uint64(1), atomic.Int64{}, atomic.Bool{}
	failfast := flag.Lookup("test.failfast").Value.String() == "true"
	if only, ok := seedOfEnvironment(t); ok {
		first, n = only, 1
	} else if tier := Current(); tier == B || tier == C {
		first = rand.Uint64N(1 << 48)
	}
	t.Run("seed", func(t *testing.T) { // ends when its parallel children have ended
		for seed := first; seed < first+uint64(n); seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				if failfast && failed.Load() {
					t.SkipNow()
				}
				t.Cleanup(func() {
					if t.Failed() {
						failed.Store(true)
					}
				})
				repeatable(t, seed)
				ran.Add(1)
				body(t, seed)
			})
		}
	})
	return int(ran.Load())
}

// Seed returns the seed of a test that has only one: TIDEMARK_SEED; else 1, or a drawn one
// in tiers B and C.
func Seed(t testing.TB) uint64 {
	t.Helper()
	n, ok := seedOfEnvironment(t)
	if tier := Current(); !ok && (tier == B || tier == C) {
		n = rand.Uint64N(1 << 48)
	} else if !ok {
		n = 1
	}
	repeatable(t, n)
	return n
}

func seedOfEnvironment(t testing.TB) (n uint64, ok bool) {
	t.Helper()
	n, ok, err := seed.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return n, ok
}

// repeatable makes a failure print the command that repeats it.
func repeatable(t testing.TB, n uint64) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: %s", command(t.Name(), n))
		}
	})
}

func command(test string, n uint64) string {
	repeat := seed.Repeat(test, n)
	if tier := Current(); tier != Smoke {
		repeat = fmt.Sprintf("TIDEMARK_TIER=%s %s", tier, repeat)
	}
	return repeat
}
