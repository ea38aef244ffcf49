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
	// B is one command of about two hours.
	B Tier = "B"
	// C is B again and again, with new seeds, until it is interrupted.
	C Tier = "C"
)

// Current returns the tier that runs. It panics if the environment names a tier that does
// not exist: a run that does less than it was asked for must not look complete.
func Current() Tier {
	switch t := Tier(os.Getenv("TIDEMARK_TIER")); t {
	case Smoke, A, B, C:
		return t
	default:
		panic(fmt.Sprintf("TIDEMARK_TIER is %q: want A, B, C or nothing", t))
	}
}

// Pick returns the value of the tier that runs, most often a count. Tier C takes the value
// of B.
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
