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
type latency struct {
	of   time.Duration
	none atomic.Int32 // how many requests need background work to take no time
}

// delay is a delay for mem.Unreliable.SetDelay. Reads take no time, because they are done
// with locks held: in a bubble, time stops while a goroutine waits for a lock.
func (l *latency) delay(ctx context.Context, op mem.Op) error {
	wait := l.of
	switch op {
	case mem.OpAppend:
		wait *= 2
	case mem.OpSet, mem.OpSetIf, mem.OpTruncate:
		if l.none.Load() > 0 {
			return nil
		}
	default:
		return nil
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
		h.pass(h.latency.of)
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
