package program

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/internal/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Random programs agree with the model, and are not mostly noise.
func TestRandomPrograms(t *testing.T) {
	n := proof.Pick(100, 2_000, 40_000)
	total := RunRandom(t, n, func(*rand.Rand) Place { return InMemory() }, func(total Report) {
		require.Greater(t, total.Accepted, 2*total.Refused, "%+v", total)
		require.Greater(t, total.Refused, total.Accepted/50, "%+v", total)
		require.Greater(t, total.Checked, 10*n, "%+v", total)
		require.Zero(t, total.Unknown+total.Failed, "%+v", total)
	})
	proof.Reached(t, 17, "commands of random programs", total.Accepted+total.Refused)
}

// So do they on a storage that fails at some operation, once or from then on.
func TestRandomProgramsOnFailingStorage(t *testing.T) {
	n := proof.Pick(100, 2_000, 40_000)
	total := RunRandom(t, n, func(random *rand.Rand) Place {
		return Failing(Fault(byte(random.Uint32()), byte(random.IntN(6)), byte(random.Uint32())))
	}, func(total Report) {
		require.Greater(t, total.Accepted, 5*n, "%+v", total)
		require.Greater(t, total.Unknown, n/20, "%+v", total)
		require.Greater(t, total.Failed, n/4, "%+v", total)
		require.Greater(t, total.Checked, 10*n, "%+v", total)
	})
	proof.Reached(t, 17, "random programs on a failing storage", total.Programs)
}

// The examples use every command.
func TestExamples(t *testing.T) {
	var total Report
	for _, code := range Examples() {
		total.add(Run(t, InMemory(), code))
	}
	require.NotContains(t, total.kinds[:], 0)
	require.Greater(t, total.Accepted, 30)
	require.NotZero(t, total.Refused)
}
