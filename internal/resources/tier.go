package resources

import (
	"testing"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// TierCycles calls Cycles, with as many cycles as the current tier says. what names the
// cycles in the table of figures.
func TierCycles(t testing.TB, what string, cycle func()) {
	t.Helper()
	n := proof.Pick(20, 200, 10_000)
	Cycles(t, n, cycle)
	proof.Reached(t, 16, what, n)
}
