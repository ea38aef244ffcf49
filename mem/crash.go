package mem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// ErrCrashed: the mutation was in flight when its place crashed. Its outcome is unknown to the
// caller.
var ErrCrashed = errors.New("mem: place crashed with the operation in flight")

// Keep decides how much of a mutation in flight survives a crash. An append has as many
// parts as entries. If Keep returns n, the first n survive. Every other mutation has one
// part: it happens or it does not.
//
// Keep is called once for every mutation in flight, in the order in which they began. The
// place is locked during the call, so Keep must not use it.
type Keep func(op Op, parts int) int

// KeepNone loses everything in flight.
func KeepNone(Op, int) int { return 0 }

// KeepAll keeps everything in flight. It was durable, but no caller was told.
func KeepAll(_ Op, parts int) int { return parts }

// KeepRandom keeps a random part of each mutation in flight. The choice depends on seed,
// and on how many of the same operation came before: not on what other operations are in
// flight.
func KeepRandom(seed uint64) Keep {
	var mu sync.Mutex // a Keep may serve several places; guards random
	random := newDraws(seed)
	return func(op Op, parts int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.next(op).IntN(parts + 1)
	}
}

// HoldFlushes keeps every mutation that begins from now on in flight, until the returned
// gate is opened or the place crashes. A mutation in flight is not visible, not durable and
// not acknowledged. Wait, of the gate, tells when mutations are in flight. If flushes are
// held already, HoldFlushes returns the same gate.
//
// A mutation whose context ends meanwhile returns, with an unknown outcome, and stays in
// flight. When a handle is closed or superseded, its mutations in flight are lost.
func (p *Place) HoldFlushes() *Gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flushes == nil {
		p.flushes = newGate(p.landFlights)
	}
	return p.flushes
}

// Crash ends every handle, readers too, as if all their processes had died at once.
// Mutations in flight return [ErrCrashed]. keep decides how much of each survives; nil
// means [KeepNone]. Afterwards flushes are no longer held, and any owner can open the place
// again at once.
func (p *Place) Crash(keep Keep) { p.crash(keep, true) }

// CrashWriter is Crash for the handles that write. Readers go on, as if they were in other
// processes.
func (p *Place) CrashWriter(keep Keep) { p.crash(keep, false) }

func (p *Place) crash(keep Keep, readers bool) {
	if keep == nil {
		keep = KeepNone
	}
	p.mu.Lock()
	held := p.flushes
	for _, f := range p.flights {
		kept := min(max(keep(f.op, f.parts), 0), f.parts)
		if kept > 0 {
			// No caller is left to get the answer, which may be a conflict.
			_ = f.apply(kept)
		}
		f.land(fmt.Errorf("%s of place %q: %w", f.op, p.name, ErrCrashed))
	}
	p.flights = nil
	for _, writer := range []*handle{p.logWriter, p.blobWriter} {
		if writer != nil {
			p.endLocked(writer, "lost in a crash")
		}
	}
	if readers {
		for reader := range p.readers {
			p.endLocked(reader, "lost in a crash")
		}
	}
	p.mu.Unlock()
	if held != nil {
		held.Open()
	}
}

// flight is a mutation that has begun and is not durable yet.
type flight struct {
	handle *handle
	op     Op
	parts  int
	// apply makes the first n parts happen. REQUIRES: place.mu is held.
	apply func(n int) error

	err    error         // the answer; set before landed is closed
	landed chan struct{} // closed when the outcome is decided
}

func (f *flight) land(err error) {
	f.err = err
	close(f.landed)
}

// mutate makes a mutation happen: at once, or after the flushes that are held. It reports
// whether the mutation has landed. If ctx ends before that, the mutation is still in
// flight. REQUIRES: place.mu is held; mutate unlocks it.
func (h *handle) mutate(ctx context.Context, op Op, parts int, apply func(n int) error) (landed bool, err error) {
	p := h.place
	if p.flushes == nil || parts == 0 {
		defer p.mu.Unlock()
		return true, apply(parts)
	}
	f := &flight{handle: h, op: op, parts: parts, apply: apply, landed: make(chan struct{})}
	p.flights = append(p.flights, f)
	p.flushes.arrive()
	p.mu.Unlock()

	select {
	case <-f.landed:
		return true, f.err
	case <-ctx.Done():
		return false, fmt.Errorf("mem: %s of place %q: still in flight, outcome unknown: %w", op, p.name, ctx.Err())
	}
}

// landFlights completes the mutations in flight when the gate of the hold is opened. That
// happens once for each hold.
func (p *Place) landFlights() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushes = nil
	for _, f := range p.flights {
		f.land(f.apply(f.parts))
	}
	p.flights = nil
}

// dropFlightsLocked drops the mutations in flight of h, which has ended.
// REQUIRES: p.mu is held.
func (p *Place) dropFlightsLocked(h *handle) {
	p.flights = slices.DeleteFunc(p.flights, func(f *flight) bool {
		if f.handle != h {
			return false
		}
		f.land(h.usableLocked(f.op))
		return true
	})
}
