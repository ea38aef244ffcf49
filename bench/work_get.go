package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// The states of the cache in which single keys are read.
const (
	// statePages has next to no records in the cache of the store: 4 % of them, or 1 MiB. That
	// is room for the indexes and filters of every system. The file system has all files in
	// memory.
	statePages = "page-cache"
	// stateWarm has all records in the cache of the store.
	stateWarm = "warm"
)

// cacheBytes is how much of what it has read the store may keep.
func (j job) cacheBytes() int64 {
	if j.State == stateWarm {
		return 512 << 20
	}
	return max(1<<20, int64(j.Records)*recordSize/25)
}

// runGet measures reads of single random keys that are there.
func runGet(j job) (result, error) { return readKeys(j, true) }

// runGetAbsent measures reads of single random keys that are not there.
func runGetAbsent(j job) (result, error) { return readKeys(j, false) }

// readKeys reads one key after the other. Keys that are not there are those of records that
// come later in the input.
func readKeys(j job, present bool) (_ result, err error) {
	s, err := j.openKeyed(j.cacheBytes())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if j.State == stateWarm {
		if err := readAll(s, j.Records); err != nil {
			return nil, err
		}
	}
	var rec record
	var d digest
	visit := func(val []byte) { d.add(rec.key[:], val) }
	from, n := j.Records, uint64(0)
	if present {
		from = 0
	}
	rng := rand.New(rand.NewPCG(1, 2))
	t, err := startTimer()
	if err != nil {
		return nil, err
	}
	for ; t.spent < j.Duration; n++ {
		rec.fill(from + rng.Uint64N(j.Records))
		var want digest
		if present {
			want.add(rec.key[:], rec.val[:])
		}
		d = digest{}
		began := time.Now()
		err := s.get(rec.key[:], visit)
		t.add(time.Since(began))
		if err != nil {
			return nil, err
		}
		if d != want {
			return nil, fmt.Errorf("key %x: %d values with digest %x, want %d with %x", rec.key, d.n, d.sum, want.n, want.sum)
		}
	}
	r, err := t.stop(n)
	r[unitP50], r[unitP99] = t.percentile(50), t.percentile(99)
	if j.State == stateWarm && r[unitRead]*1024 > recordSize {
		return nil, fmt.Errorf("%.3g KiB for each key were read from files: the cache does not hold all records", r[unitRead])
	}
	return r, err
}

// readAll reads all records by their keys.
func readAll(s keyed, n uint64) error {
	all := orderOf(firstNumbers(n))
	var d digest
	if err := s.lookup(all.keys, d.add); err != nil {
		return err
	}
	if want := all.digest(0, len(all.keys)); d != want {
		return fmt.Errorf("%d records with digest %x, want %d with %x", d.n, d.sum, want.n, want.sum)
	}
	return nil
}
