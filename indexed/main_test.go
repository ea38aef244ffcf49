package indexed

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	leastGroupBytes = 1 // small parts have row groups as well
	goleak.VerifyTestMain(m)
}
