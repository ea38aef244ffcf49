package persist_test

import (
	"testing"

	"github.com/tidemark-go/tidemark/internal/program"
)

// FuzzAPI runs a byte string as a program of commands on a runtime in memory and
// compares every answer, snapshot and event with a model.
func FuzzAPI(f *testing.F) {
	for _, code := range program.Examples() {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) { program.Run(t, program.InMemory(), code) })
}

// FuzzAPIFaults is FuzzAPI with a storage that fails: at the nth operation once, or
// from then on, with one of the outcomes that an operation can have. Afterwards
// nothing is lost that was acknowledged, nothing is there twice, and nothing that was
// refused.
func FuzzAPIFaults(f *testing.F) {
	for i, code := range program.Examples() {
		f.Add(byte(5+7*i), byte(0), byte(i), code)
		f.Add(byte(1+i), byte(1+i), byte(i+3), code)
	}
	f.Fuzz(func(t *testing.T, nth, op, how byte, code []byte) {
		program.Run(t, program.Failing(program.Fault(nth, op, how)), code)
	})
}
