package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// runLookup measures reads of many random keys, in the order of the keys. The process has
// just opened the store. It reads other keys each time.
func runLookup(j job) (_ result, err error) {
	s, err := j.openKeyed(cacheSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	rng, n := rand.New(rand.NewPCG(1, 2)), uint64(0)
	t, err := startTimer()
	if err != nil {
		return nil, err
	}
	for ; t.spent < j.Duration; n += j.Keys {
		some := orderOf(someNumbers(rng, j.Records, j.Keys))
		var d digest
		began := time.Now()
		err := s.lookup(some.keys, d.add)
		t.add(time.Since(began))
		if err != nil {
			return nil, err
		}
		if want := some.digest(0, len(some.keys)); d != want {
			return nil, fmt.Errorf("%d records with digest %x, want %d with %x", d.n, d.sum, want.n, want.sum)
		}
	}
	return t.stop(n)
}
