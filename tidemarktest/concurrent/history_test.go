package concurrent_test

import (
	"testing"
	"testing/synctest"

	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

func TestConcurrentHistoriesInMemory(t *testing.T) {
	n := proof.Run(t, proof.Pick(1, 50, 500), func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			concurrent.Run(t, inMemory(seed, hurried()), concurrent.Options{Seed: seed})
		})
	})
	proof.Reached(t, 10, "histories in memory", n)
}

func TestConcurrentHistoriesOnDisk(t *testing.T) {
	n := proof.Run(t, proof.Pick(1, 12, 250), func(t *testing.T, seed uint64) {
		concurrent.Run(t, onDisk(t, hurried()), concurrent.Options{Seed: seed})
	})
	proof.Reached(t, 10, "histories on disk", n)
}

func TestListsInMemory(t *testing.T) {
	n := proof.Run(t, proof.Pick(1, 20, 500), func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			concurrent.RunLists(t, inMemory(seed, hurried()), concurrent.Options{Seed: seed, Listeners: 4})
		})
	})
	proof.Reached(t, 11, "list histories in memory", n)
}

func TestListsOnDisk(t *testing.T) {
	n := proof.Run(t, proof.Pick(1, 5, 250), func(t *testing.T, seed uint64) {
		concurrent.RunLists(t, onDisk(t, hurried()), concurrent.Options{Seed: seed, Listeners: 4})
	})
	proof.Reached(t, 11, "list histories on disk", n)
}
