package proof

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPick(t *testing.T) {
	for tier, want := range map[string]int{"": 1, "A": 2, "B": 3, "C": 3} {
		t.Setenv("TIDEMARK_TIER", tier)
		require.Equal(t, want, Pick(1, 2, 3), "tier %q", tier)
	}
	t.Setenv("TIDEMARK_TIER", "a")
	require.Panics(t, func() { Pick(1, 2, 3) })
}

func TestSeeds(t *testing.T) {
	t.Setenv("TIDEMARK_TIER", "A")
	run := func(n int) map[uint64]bool {
		var mu sync.Mutex
		seen := map[uint64]bool{}
		Run(t, n, func(_ *testing.T, seed uint64) {
			mu.Lock()
			defer mu.Unlock()
			seen[seed] = true
		})
		return seen
	}
	require.Equal(t, map[uint64]bool{1: true, 2: true, 3: true}, run(3))
	require.EqualValues(t, 1, Seed(t))
	t.Setenv("TIDEMARK_TIER", "B")
	require.Len(t, run(3), 3)
	t.Setenv("TIDEMARK_SEED", "17")
	require.Equal(t, map[uint64]bool{17: true}, run(3))
	require.EqualValues(t, 17, Seed(t))
	require.Equal(t, "TIDEMARK_TIER=B TIDEMARK_SEED=17 go test -count=1 ./internal/proof -run '^TestX$'", command("TestX/a*b/seed#01/17", 17))
}

// With -failfast a seed that fails is the last one, though seeds are parallel subtests.
func TestFailFast(t *testing.T) {
	const seeds = 50
	if os.Getenv("PROOF_FAILS") != "" {
		Run(t, seeds, func(t *testing.T, _ uint64) { t.Fail() })
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFailFast$", "-test.failfast", "-test.v", "-test.parallel=1")
	child.Env = append(os.Environ(), "PROOF_FAILS=yes")
	output, err := child.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 1, strings.Count(string(output), "--- FAIL: TestFailFast/seed/"))
	require.Equal(t, seeds-1, strings.Count(string(output), "--- SKIP: TestFailFast/seed/"))
}

func TestFigures(t *testing.T) {
	name := filepath.Join(t.TempDir(), "figures")
	t.Setenv("TIDEMARK_FIGURES", name)
	Reached(t, 3, "bytes damaged", 16384)
	Reached(t, 3, "pages swapped", uint64(4))
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "3\tTestFigures\tbytes damaged\t16384\n3\tTestFigures\tpages swapped\t4\n", string(got))
}
