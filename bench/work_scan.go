package main

import (
	"errors"
	"fmt"
)

// runScan measures reading everything back, in a process that has just opened the store.
// Then it reads once more.
func runScan(j job) (_ result, err error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r, want := result{}, digestOf(j.Records)
	for _, unit := range []string{unitCold, unitWarm} {
		m, err := startMeter(j.Dir)
		if err != nil {
			return nil, err
		}
		var d digest
		if err := s.scan(d.add); err != nil {
			return nil, err
		}
		once := result{}
		if err := m.stop(once, d.n); err != nil {
			return nil, err
		}
		r[unit] = once[unitRate]
		r[unitMemory] = once[unitMemory]
		if d != want {
			return nil, fmt.Errorf("read %d records with digest %x, where %d with digest %x were written", d.n, d.sum, want.n, want.sum)
		}
	}
	return r, nil
}

const (
	unitCold = "cold-records/s" // the first read of a process
	unitWarm = "warm-records/s" // the second
)
