// The tests of this package see the runtime as its users do, in memory and on
// disk. By default they take about half a minute with the race detector. The long
// forms of the same tests, with the counts that a release has to pass, run in tier B,
//
//	TIDEMARK_TIER=B go test -race -timeout 60m ./persist
package persist_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
