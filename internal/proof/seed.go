package proof

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Run runs a body for n seeds, as parallel subtests that bear the seed's number. In
// the tiers that judge a change the seeds are 1 to n, so that the verdict depends on
// the change alone; tiers B and C draw where they begin. With TIDEMARK_SEED only
// that one runs. Run returns when all have ended, and says how many ran.
func Run(t *testing.T, n int, body func(t *testing.T, seed uint64)) int {
	t.Helper()
	first := uint64(1)
	if only, ok := seedOfEnvironment(t); ok {
		first, n = only, 1
	} else if tier := Current(); tier == B || tier == C {
		first = rand.Uint64N(1 << 48)
	}
	t.Run("seed", func(t *testing.T) { // ends when its parallel children have
		parent := t.Name()[:len(t.Name())-len("/seed")]
		for seed := first; seed < first+uint64(n); seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				repeatable(t, parent, seed)
				body(t, seed)
			})
		}
	})
	return n
}

// Seed returns the seed of a test that has one only: TIDEMARK_SEED, or 1, or a
// drawn one in tiers B and C.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed, ok := seedOfEnvironment(t)
	if tier := Current(); !ok && (tier == B || tier == C) {
		seed = rand.Uint64N(1 << 48)
	} else if !ok {
		seed = 1
	}
	repeatable(t, t.Name(), seed)
	return seed
}

func seedOfEnvironment(t testing.TB) (seed uint64, ok bool) {
	t.Helper()
	text, ok := os.LookupEnv("TIDEMARK_SEED")
	if !ok {
		return 0, false
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("TIDEMARK_SEED: %v", err)
	}
	return seed, true
}

// repeatable makes a failure print the command that repeats it.
func repeatable(t testing.TB, test string, seed uint64) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: %s", command(test, seed))
		}
	})
}

func command(test string, seed uint64) string {
	env := fmt.Sprintf("TIDEMARK_SEED=%d", seed)
	if tier := Current(); tier != Smoke {
		env = fmt.Sprintf("TIDEMARK_TIER=%s %s", tier, env)
	}
	return fmt.Sprintf("%s go test -count=1 %s -run '^%s$'", env, packageDir(), test)
}

// packageDir is the directory of the package under test, seen from that of its
// module: a test runs in its package's directory.
func packageDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			rel, _ := filepath.Rel(root, dir)
			return "./" + filepath.ToSlash(rel)
		}
		if root == filepath.Dir(root) {
			return dir
		}
	}
}
