package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// rangeRows is how many records a range has.
const rangeRows = 1000

// runRange measures reads of ranges: the records from a random key on, without an end that
// the store is told. The process has just opened the store.
func runRange(j job) (_ result, err error) {
	all := orderOf(firstNumbers(j.Records))
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
	for ; t.spent < j.Duration; n += rangeRows {
		from := rng.IntN(len(all.keys) - rangeRows + 1)
		var d digest
		began := time.Now()
		err := s.readFrom(all.keys[from], rangeRows, d.add)
		t.add(time.Since(began))
		if err != nil {
			return nil, err
		}
		if want := all.digest(from, from+rangeRows); d != want {
			return nil, fmt.Errorf("%d records with digest %x, want %d with %x", d.n, d.sum, want.n, want.sum)
		}
	}
	r, err := t.stop(n)
	r[unitP50], r[unitP99] = t.percentile(50), t.percentile(99)
	return r, err
}
