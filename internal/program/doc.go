// Package program runs a byte string as a program: commands on a few streams of a runtime,
// compared with the model of package tidemarktest. The fuzz tests of the API share it.
//
// A program is read byte by byte, and missing bytes are zeros. So every byte string is a
// program. [Run] opens the runtime, runs the commands, and ends with a restart. Then it
// compares the contents of every stream once more:
//
//	f.Fuzz(func(t *testing.T, code []byte) {
//		registry := mem.NewRegistry()
//		program.Run(t, program.Place{Open: registry.Runtime}, code)
//	})
//
// A place may fail while a program runs. Then an error of the storage is accepted in place
// of an answer. Commands with an unknown outcome leave several possible worlds: in each
// world, the first few of these commands have happened, in the order of the calls, and the
// others have not. After the place was repaired and opened again, its contents must be one
// of the possible worlds: everything that was acknowledged, each once, and nothing that was
// refused.
package program
