//go:build race

package indexed_test

// copiesOfRace: pools lose what they have under the race detector, on purpose, so that
// some copies more are made of a value that is flushed.
const copiesOfRace = 3.0
