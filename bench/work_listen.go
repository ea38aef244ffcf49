package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// runListen measures the time from the beginning of a durable write until a listener
// receives it. It also measures the time until the writer is told that the write is
// durable.
func runListen(j job) (_ result, err error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l, ok := s.(listenable)
	if !ok {
		return nil, errors.New("it has no listeners")
	}
	// The time when each write began, by its number. The value of the write begins with
	// that number.
	begun := make([]atomic.Int64, maxListened)
	var received atomic.Uint64
	var measuring atomic.Bool
	took := newLatencies()
	origin := time.Now()
	stop, err := l.listen(func(val []byte) {
		now := time.Since(origin)
		if measuring.Load() {
			took.add(now - time.Duration(begun[numberOf(val)].Load()))
		}
		received.Add(1) // last: a reader that has seen all of them may look at took
	})
	if err != nil {
		return nil, err
	}
	defer stop()

	var next atomic.Uint64
	write := func(d time.Duration) (latencies, error) {
		parts := make([]latencies, j.Writers)
		end := time.Now().Add(d)
		err := together(j.Writers, func(i int) error {
			parts[i] = newLatencies()
			var rec record
			for time.Now().Before(end) {
				n := next.Add(1) - 1
				if n >= maxListened {
					return errors.New("more writes than there is room to remember")
				}
				rec.fill(n)
				putNumber(rec.val[:], n)
				begin := time.Since(origin)
				begun[n].Store(int64(begin))
				if err := s.put(&rec); err != nil {
					return err
				}
				parts[i].add(time.Since(origin) - begin)
			}
			return nil
		})
		all := newLatencies()
		for _, p := range parts {
			all.h.Merge(p.h)
		}
		if err != nil {
			return all, err
		}
		return all, poll(func() bool { return received.Load() >= next.Load() })
	}
	if _, err := write(warmUp); err != nil {
		return nil, err
	}
	measuring.Store(true)
	acked, err := write(j.Duration)
	if err != nil {
		return nil, err
	}
	stop()
	if received.Load() != next.Load() {
		return nil, fmt.Errorf("%d records were written and %d received", next.Load(), received.Load())
	}
	return result{
		unitP50: took.percentile(50), unitP99: took.percentile(99), unitAckP50: acked.percentile(50),
		unitRate: float64(took.h.TotalCount()) / j.Duration.Seconds(),
	}, nil
}

const (
	maxListened = 1 << 22
	hexDigits   = 8
)

// putNumber writes n at the beginning of a value, as ASCII.
func putNumber(val []byte, n uint64) { copy(val, fmt.Sprintf("%0*x", hexDigits, n)) }

func numberOf(val []byte) (n uint64) {
	for _, c := range val[:hexDigits] {
		d := c - '0'
		if c >= 'a' {
			d = c - 'a' + 10
		}
		n = n<<4 | uint64(d)
	}
	return n
}

// runFanOut measures writers that write at a fixed pace while many listeners listen. It
// measures how late the slowest listener is at the end, and what a write takes.
func runFanOut(j job) (_ result, err error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	source, ok := s.(listenable)
	if !ok {
		return nil, errors.New("it tells nobody of what is written")
	}
	received := make([]atomic.Uint64, j.Listeners)
	for i := range received {
		stop, err := source.listen(func([]byte) { received[i].Add(1) })
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	m, err := startMeter(j.Dir)
	if err != nil {
		return nil, err
	}
	const writers = 16
	parts := make([]latencies, writers)
	began := time.Now()
	var written atomic.Uint64
	// Each writer has its share of the pace. A writer that falls behind writes as fast as
	// it can until it has caught up.
	if err := together(writers, func(i int) error {
		parts[i] = newLatencies()
		every := time.Duration(writers) * time.Second / time.Duration(j.Pace)
		var rec record
		for n := 0; ; n++ {
			due := began.Add(time.Duration(n) * every)
			if due.After(began.Add(j.Duration)) {
				return nil
			}
			time.Sleep(time.Until(due))
			rec.fill(written.Add(1))
			begin := time.Now()
			if err := s.put(&rec); err != nil {
				return err
			}
			parts[i].add(time.Since(begin))
		}
	}); err != nil {
		return nil, err
	}
	r := result{}
	if err := m.stop(r, written.Load()); err != nil {
		return nil, err
	}
	ended := time.Now()
	if err := poll(func() bool {
		for i := range received {
			if received[i].Load() < written.Load() {
				return false
			}
		}
		return true
	}); err != nil {
		return nil, err
	}
	r[unitLate] = time.Since(ended).Seconds()
	all := newLatencies()
	for _, p := range parts {
		all.h.Merge(p.h)
	}
	r[unitP50], r[unitP99] = all.percentile(50), all.percentile(99)
	return r, nil
}

// unitLate is how long after the last write the last listener had received all.
const unitLate = "late-s"
