//go:build !race

package indexed_test

const copiesOfRace = 0.0
