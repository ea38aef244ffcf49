package main

import (
	"errors"
	"sync/atomic"
	"time"
)

// warmUp is how long records are written to a store before anything is measured.
const warmUp = 300 * time.Millisecond

// runWrite measures durable writes of one record each. Every writer waits until its record
// is durable before it writes the next one.
func runWrite(j job) (_ result, err error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	at := new(atomic.Uint64)
	at.Store(j.From)
	if _, err := writeFor(s, j.Writers, warmUp, at); err != nil {
		return nil, err
	}
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	from := at.Load()
	took, err := writeFor(s, j.Writers, j.Duration, at)
	if err != nil {
		return nil, err
	}
	r := result{unitP50: took.percentile(50), unitP99: took.percentile(99)}
	return r, m.stop(r, at.Load()-from)
}

// writeFor lets writers write records of the input, from at on, for a time.
func writeFor(s store, writers int, d time.Duration, at *atomic.Uint64) (latencies, error) {
	parts := make([]latencies, writers)
	end := time.Now().Add(d)
	err := together(writers, func(i int) error {
		parts[i] = newLatencies()
		var rec record
		for begin := time.Now(); begin.Before(end); {
			rec.fill(at.Add(1) - 1)
			if err := s.put(&rec); err != nil {
				return err
			}
			now := time.Now()
			parts[i].add(now.Sub(begin))
			begin = now
		}
		return nil
	})
	all := newLatencies()
	for _, p := range parts {
		if p.h != nil {
			all.h.Merge(p.h)
		}
	}
	return all, err
}

// runPipelined measures one goroutine that keeps a number of records on their way.
func runPipelined(j job) (_ result, err error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	p, ok := s.(pipeliner)
	if !ok {
		return nil, errors.New("it takes no record before the last one is durable")
	}
	type flying struct {
		wait  func() error
		began time.Time
	}
	window := make([]flying, j.InFlight)
	took := newLatencies()
	at := uint64(0)
	pump := func(d time.Duration, measured bool) (n uint64, err error) {
		var rec record
		for end := time.Now().Add(d); ; n++ {
			f := &window[at%uint64(len(window))]
			if f.wait != nil {
				if err := f.wait(); err != nil {
					return n, err
				}
				if measured && !f.began.IsZero() {
					took.add(time.Since(f.began))
				}
			}
			if at%64 == 0 && time.Now().After(end) {
				f.wait = nil
				return n, nil
			}
			rec.fill(at)
			// One in 16 is timed: to read the clock costs time too, beside work of a
			// microsecond.
			if f.began = (time.Time{}); at%16 == 0 {
				f.began = time.Now()
			}
			at++
			if f.wait, err = p.putAsync(&rec); err != nil {
				return n, err
			}
		}
	}
	if _, err := pump(warmUp, false); err != nil {
		return nil, err
	}
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	n, err := pump(j.Duration, true)
	if err != nil {
		return nil, err
	}
	r := result{unitP50: took.percentile(50), unitP99: took.percentile(99)}
	if err := m.stop(r, n); err != nil {
		return nil, err
	}
	for _, f := range window {
		if f.wait != nil {
			if err := f.wait(); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}
