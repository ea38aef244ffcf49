package mem

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
)

// ErrCrashed is what a mutation returns that was in flight when its place crashed.
// Its outcome is unknown to the caller.
var ErrCrashed = errors.New("mem: place crashed with the operation in flight")

// Keep decides how much of a mutation in flight survives a crash. An append has
// as many parts as entries, of which the first n survive if Keep returns n. Every
// other mutation has one part: it happens or it does not.
//
// It is called once for every mutation in flight, in the order in which they
// began, with the place locked: it must not use the place.
type Keep func(op Op, parts int) int

// KeepNone loses everything in flight.
func KeepNone(Op, int) int { return 0 }

// KeepAll keeps everything in flight: it was durable, only nobody was told.
func KeepAll(_ Op, parts int) int { return parts }

// KeepRandom keeps a part of each mutation in flight that depends on seed only.
func KeepRandom(seed uint64) Keep {
	var mu sync.Mutex // a Keep may serve several places
	random := rand.New(rand.NewPCG(seed, 0))
	return func(_ Op, parts int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(parts + 1)
	}
}

// HoldFlushes keeps every mutation that begins from now on in flight: not visible
// to anybody, not durable and not acknowledged, until the returned gate is opened
// or the place crashes. Wait tells when mutations are in flight. While flushes are
// held already, it returns the same gate.
//
// A mutation whose context ends meanwhile returns, with an unknown outcome, and
// stays in flight. Closing or superseding a handle loses what it has in flight.
func (p *Place) HoldFlushes() *Gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flushes == nil {
		p.flushes = newGate(p.landFlights)
	}
	return p.flushes
}

// Crash ends the life of every handle, readers too, as if all their processes had
// died at once. Of the mutations in flight, which return [ErrCrashed], keep says
// how much survives; nil means [KeepNone]. Flushes are no longer held afterwards,
// so the place can be opened again at once, by anybody.
func (p *Place) Crash(keep Keep) { p.crash(keep, true) }

// CrashWriter is Crash for the handles that write. Readers are taken to live in
// other processes and go on.
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
			// The answer, a conflict perhaps, has nobody left to go to.
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

// mutate makes a mutation happen, at once or after the flushes that are held. It
// says whether the mutation has landed; if not, because ctx ended, it is still in
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

// landFlights completes what is in flight, when the gate of the hold is opened,
// which happens once for each hold.
func (p *Place) landFlights() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushes = nil
	for _, f := range p.flights {
		f.land(f.apply(f.parts))
	}
	p.flights = nil
}

// dropFlightsLocked loses what h, which has ended, has in flight.
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
