package mem

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-go/tidemark/storage"
)

// Unreliable makes the logs, blobs and readers that it wraps fail, wait, or lie about what
// has happened, on demand. Everything that one Unreliable wraps shares its switch, faults
// and gates. A new Unreliable passes every call on.
//
// A call goes through these steps:
//
//  1. the delay;
//  2. the gate before the operation;
//  3. the decision whether it fails: an injected [Fault] first, then the switch, then chance;
//  4. the operation itself;
//  5. the gate after the operation.
//
// Close is special. It always happens, so that locks are released, and then reports the
// failure. Only faults and the switch apply to it.
//
// All methods may be called at any time, from several goroutines at once.
type Unreliable struct {
	mu struct {
		sync.Mutex
		down   bool
		faults []*armed
		chance *chance // nil: nothing fails by chance
		delay  func(context.Context, Op) error
		before map[Op]*Gate
		after  map[Op]*Gate
		calls  map[Op]int
	}
}

// NewUnreliable returns an Unreliable that passes every call on until it is told otherwise.
func NewUnreliable() *Unreliable {
	u := &Unreliable{}
	u.mu.before = make(map[Op]*Gate)
	u.mu.after = make(map[Op]*Gate)
	u.mu.calls = make(map[Op]int)
	return u
}

// SetDown makes every operation fail without effect until SetUp. The error matches
// ErrUnavailable and storage.ErrNoEffect, and reads for a Set: "unavailable: blob set".
func (u *Unreliable) SetDown() { u.setDown(true) }

// SetUp ends what SetDown began.
func (u *Unreliable) SetUp() { u.setDown(false) }

func (u *Unreliable) setDown(down bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.down = down
}

// Inject adds a fault and returns a function that removes it. A fault that is not Sticky
// removes itself when it has struck. If several faults match a call, all of them count the
// call, and the oldest that is due strikes.
func (u *Unreliable) Inject(fault Fault) (remove func()) {
	added := &armed{Fault: fault}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.faults = append(u.mu.faults, added)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.removeLocked(added)
	}
}

func (u *Unreliable) removeLocked(fault *armed) {
	u.mu.faults = slices.DeleteFunc(u.mu.faults, func(other *armed) bool { return other == fault })
}

// SetChance makes operations fail by chance. What happens to a call depends on seed, and on
// how many calls of the same operation came before:
//
//	happens        with probability shouldHappen
//	times out      with probability shouldTimeOut, independently of the first
//
// So an operation that timed out may have happened. One that did not happen and did not
// time out is known to have had no effect. An append that does not happen and times out may
// leave some of its entries behind. (1, 0) ends it; (0, 1) lets nothing pass.
func (u *Unreliable) SetChance(seed uint64, shouldHappen, shouldTimeOut float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.chance = &chance{
		random:  newDraws(seed),
		happen:  shouldHappen,
		timeOut: shouldTimeOut,
	}
}

// SetDelay makes every operation call delay first. If delay returns an error, the operation
// fails with that error and has no effect. A nil delay ends it. [Latency] makes one.
func (u *Unreliable) SetDelay(delay func(ctx context.Context, op Op) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.delay = delay
}

// Latency returns a delay, for SetDelay, of a random time in [least, most). The time
// depends on seed, and on how many calls of the same operation came before. The delay ends
// early, with an error, when the context ends.
func Latency(seed uint64, least, most time.Duration) func(context.Context, Op) error {
	var mu sync.Mutex // guards random
	random := newDraws(seed)
	return func(ctx context.Context, op Op) error {
		mu.Lock()
		wait := least + time.Duration(random.next(op).Int64N(int64(max(most-least, 1))))
		mu.Unlock()
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// GateBefore stops every call of op before it happens, until the returned gate is opened. A
// call whose context ends at the gate has no effect. An open gate stops nothing any more. A
// new gate replaces the one before it.
func (u *Unreliable) GateBefore(op Op) *Gate { return u.setGate(u.mu.before, op) }

// GateAfter stops every call of op after it has happened and before it returns, until the
// returned gate is opened. If the context of a mutation ends at the gate, its outcome is
// unknown.
func (u *Unreliable) GateAfter(op Op) *Gate { return u.setGate(u.mu.after, op) }

func (u *Unreliable) setGate(gates map[Op]*Gate, op Op) *Gate {
	u.mu.Lock()
	defer u.mu.Unlock()
	var gate *Gate
	gate = newGate(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if gates[op] == gate {
			delete(gates, op)
		}
	})
	gates[op] = gate
	return gate
}

// Calls returns how many calls of op have begun, whatever their outcome.
func (u *Unreliable) Calls(op Op) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.mu.calls[op]
}

// begin lets a call wait and decides what happens to it. entries is the number of entries
// of an append.
func (u *Unreliable) begin(ctx context.Context, op Op, key string, entries int) verdict {
	u.mu.Lock()
	u.mu.calls[op]++
	delay, gate := u.mu.delay, u.mu.before[op]
	u.mu.Unlock()
	if delay != nil {
		if err := delay(ctx, op); err != nil {
			return verdict{err: storage.NoEffect(fmt.Errorf("delayed: %s: %w", op, err))}
		}
	}
	if gate != nil {
		if err := gate.pass(ctx); err != nil {
			return verdict{err: storage.NoEffect(fmt.Errorf("stopped before it began: %s: %w", op, err))}
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if v, ok := u.decideLocked(op, key); ok {
		return v
	}
	if u.mu.chance != nil {
		if fault, ok := u.mu.chance.strike(op, entries); ok {
			return fault.verdict(op)
		}
	}
	return verdict{happens: true}
}

// decideLocked applies faults and the switch. It returns false if neither makes the call
// fail. REQUIRES: u.mu is held.
func (u *Unreliable) decideLocked(op Op, key string) (verdict, bool) {
	var struck *armed
	for _, fault := range u.mu.faults {
		if fault.matches(op, key) && fault.strikes() && struck == nil {
			struck = fault
		}
	}
	if struck != nil {
		if !struck.Sticky {
			u.removeLocked(struck)
		}
		return struck.verdict(op), true
	}
	if u.mu.down {
		return Fault{}.verdict(op), true
	}
	return verdict{}, false
}

// end stops a call that has happened at the gate behind it.
func (u *Unreliable) end(ctx context.Context, op Op) error {
	u.mu.Lock()
	gate := u.mu.after[op]
	u.mu.Unlock()
	if gate == nil {
		return nil
	}
	if err := gate.pass(ctx); err != nil {
		return fmt.Errorf("stopped after it happened: %s: %w", op, err)
	}
	return nil
}

// closing passes a Close on, and reports a failure afterwards.
func (u *Unreliable) closing(op Op, do func() error) error {
	u.mu.Lock()
	u.mu.calls[op]++
	v, _ := u.decideLocked(op, "")
	u.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	return v.err
}

// call runs one operation through all steps of Unreliable.
func call[T any](ctx context.Context, u *Unreliable, op Op, key string, do func() (T, error)) (T, error) {
	var none T
	v := u.begin(ctx, op, key, 0)
	if !v.happens {
		return none, v.err
	}
	answer, err := do()
	if late := u.end(ctx, op); late != nil {
		return none, late
	}
	if v.err != nil {
		return none, v.err
	}
	return answer, err
}
