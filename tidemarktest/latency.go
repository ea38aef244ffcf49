package tidemarktest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tidemark-go/tidemark/mem"
)

// latency makes changes of a store take virtual time. Without it nothing would ever be in
// flight. The delay depends on the operation alone, since it must not matter which of two
// goroutines comes first.
//
// Nor may an append and a change of background work end at one moment, if they began at one.
// A snapshot that the append lets through then has what is being flushed in memory or in a
// batch, as chance will have it, and after Stop only one of the two can be read. So each
// append takes a nanosecond more, and each change of background work a microsecond more.
type latency struct {
	of   time.Duration
	none atomic.Int32 // how many requests need background work to take no time
}

// ofAppend is how long an append takes.
func (l *latency) ofAppend() time.Duration {
	if l.of == 0 {
		return 0
	}
	return 2*l.of + time.Nanosecond
}

// ofChange is how long a change of background work takes.
func (l *latency) ofChange() time.Duration {
	if l.of == 0 {
		return 0
	}
	return l.of + time.Microsecond
}

// delay is a delay for mem.Unreliable.SetDelay. Reads take no time, because they are done
// with locks held: in a bubble, time stops while a goroutine waits for a lock.
func (l *latency) delay(ctx context.Context, op mem.Op) error {
	var wait time.Duration
	switch op {
	case mem.OpAppend:
		wait = l.ofAppend()
	case mem.OpSet, mem.OpSetIf, mem.OpTruncate:
		if l.none.Load() == 0 {
			wait = l.ofChange()
		}
	}
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maintain asks for maintenance. One round waits for another with a lock. So in a bubble no
// round may take time meanwhile, and no flush may be held.
func (h *history) maintain() result {
	if h.virtual && h.release != nil {
		return skipped{}
	}
	if h.latency != nil {
		h.latency.none.Add(1)
		h.pass(h.latency.ofChange())
	}
	m := &maintenance{}
	client := h.life.client
	h.ask(&m.answer, func() {
		m.err = client.Maintain(h.ctx)
		if h.latency != nil {
			h.latency.none.Add(-1)
		}
	})
	h.judge.maintenances = append(h.judge.maintenances, m)
	return m
}
