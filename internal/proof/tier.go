package proof

import (
	"fmt"
	"os"
)

// Tier says how much the heavy tests do.
type Tier string

const (
	// Smoke is plain go test: a few seconds for each package, also with the race
	// detector.
	Smoke Tier = ""
	// A runs with every change.
	A Tier = "A"
	// B is one command of an hour at most.
	B Tier = "B"
	// C is B again and again, with new seeds, until told to stop.
	C Tier = "C"
)

// Current returns the tier that runs. It panics if the environment names none that
// exists: a run that does less than it was asked to must not look like one.
func Current() Tier {
	switch t := Tier(os.Getenv("TIDEMARK_TIER")); t {
	case Smoke, A, B, C:
		return t
	default:
		panic(fmt.Sprintf("TIDEMARK_TIER is %q: want A, B, C or nothing", t))
	}
}

// Pick returns what the tier that runs takes, counts most of the time. Tier C does what B does.
func Pick[T any](smoke, a, b T) T {
	switch Current() {
	case Smoke:
		return smoke
	case A:
		return a
	default:
		return b
	}
}
