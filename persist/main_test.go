// The tests of this package see the runtime as its users do, in memory and on
// disk. By default they take about half a minute with the race detector. The long
// forms of the same tests, with the counts that a release has to pass, run in tier B,
//
//	TIDEMARK_TIER=B go test -race -timeout 60m ./persist
//
// and more of the model's random histories with
//
//	go test ./persist -run TestModel -rapid.checks=10000
package persist_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/internal/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scale returns how often to do something: the first number, or the second in the
// long form of the tests.
func scale(short, full int) int {
	return proof.Pick(short, short, full)
}
