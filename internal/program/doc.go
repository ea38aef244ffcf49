// Package program runs a byte string as a program: commands on a few streams of a
// runtime, which are held against the model of package tidemarktest. It is what the
// fuzz tests of the API have in common.
//
// A program is read byte by byte, and missing bytes are zeros, so every byte string
// is one. [Run] opens the runtime, runs the commands and ends with a restart, after
// which the contents of every stream are compared once more:
//
//	f.Fuzz(func(t *testing.T, code []byte) {
//		registry := mem.NewRegistry()
//		program.Run(t, program.Place{Open: registry.Runtime}, code)
//	})
//
// A place may fail while a program runs. Then an error of the storage is accepted in
// place of an answer, and commands with an unknown outcome leave several possible
// worlds: in each of them the first few have happened, in the order of the calls, and
// the others have not. When the place was repaired and opened again, what is there must
// be one of the possible worlds: whatever was acknowledged, each once, and nothing that
// was refused.
package program
