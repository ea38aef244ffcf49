package main

import (
	"errors"
	"fmt"
	"sync/atomic"
)

const (
	bulkBatch   = 1000
	bulkWriters = 4
)

// runBulk measures durable batches of 1,000 records from 4 writers. It ends when the last
// batch is durable, and no background work is left.
func runBulk(j job) (_ result, err error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	if err := load(s, j.From, j.Records); err != nil {
		return nil, err
	}
	r := result{}
	if err := m.stop(r, j.Records); err != nil {
		return nil, err
	}
	rate, throughput := r[unitRate], r[unitMB]
	if err := s.settle(); err != nil {
		return nil, err
	}
	if err := m.stop(r, j.Records); err != nil {
		return nil, err
	}
	// Bytes, seconds of CPU and memory are those of everything. The rate is that of
	// writing.
	r[unitSettled] = r[unitRate]
	r[unitRate], r[unitMB] = rate, throughput
	used, err := diskUsage(j.Dir)
	r[unitDisk] = used / (float64(j.From+j.Records) * recordSize)
	return r, err
}

// unitSettled is the rate of records until no background work is left.
const unitSettled = "settled/s"

// load writes the records from..from+n in batches.
func load(s store, from, n uint64) error {
	if n%bulkBatch != 0 {
		return fmt.Errorf("%d records are no whole number of batches of %d", n, bulkBatch)
	}
	var next atomic.Uint64
	return together(bulkWriters, func(int) error {
		rs := make([]record, bulkBatch)
		for {
			begin := next.Add(bulkBatch) - bulkBatch
			if begin >= n {
				return nil
			}
			for i := range rs {
				rs[i].fill(from + begin + uint64(i))
			}
			if err := s.putAll(rs); err != nil {
				return err
			}
		}
	})
}
