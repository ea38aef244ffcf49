package indexed

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/storage"
)

// request is one task of the commit goroutine, with its answer. It is a command unless
// plan, read or stop is set. Every request is answered once, by answer.
type request struct {
	plan func(*plan) ([]op, error) // a mutation that is decided in its turn; called again if it is decided again
	read func(*state)              // called once, with state.mu held
	stop bool                      // the last request that is accepted

	ops      []op            // of a command, or the result of plan
	expected []expectedUpper // of a command
	after    *request        // see Command.Follow; nil if there is none, or once this request was answered
	entry    []byte          // for the log; nil if there is nothing to append
	weight   int64           // bytes of updates; so much of admission is held

	submitted bool  // the command was handed over; only its caller uses it
	idle      bool  // accepted, and changes nothing, so nothing is appended; of the commit goroutine
	err       error // why the request is refused; of the commit goroutine

	// Guarded by state.mu.
	settled   bool // its turn has come
	abandoned bool // no caller waits any more: a read is not run

	future Future[storage.SeqNo]
}

// isCommand reports whether a caller has built the request as a Command.
func (r *request) isCommand() bool { return r.plan == nil && r.read == nil && !r.stop }

// appends reports whether the log must take an entry of the request, by its decision.
func (r *request) appends() bool { return r.err == nil && r.entry != nil && !r.idle }

// answer fills the future, and drops the updates. The future is part of the request and may
// be kept for long, so the request must not keep memory.
func (r *request) answer(seqno storage.SeqNo, err error) {
	clear(r.ops) // they may lie in the command itself
	r.ops, r.expected, r.after, r.entry = nil, nil, nil, nil
	r.future.Fill(seqno, err)
}

// inFlightBytes counts the updates between admission and the tail.
type inFlightBytes struct{ n atomic.Int64 }

func (b *inFlightBytes) add(n int64) { b.n.Add(n) }
func (b *inFlightBytes) get() int64  { return b.n.Load() }

// enqueue puts a request into the queue, or returns why it cannot.
func (e *Engine) enqueue(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.send(ctx, r); err != nil {
		return err
	}
	if !r.stop {
		e.metrics.cmdQueued.Inc()
	}
	return nil
}

// enqueueCommand encodes a command in the caller's goroutine, waits for room, and puts the
// command into the queue.
func (e *Engine) enqueueCommand(ctx context.Context, c *Command) error {
	if err := e.prepare(ctx, c); err != nil {
		return err
	}
	if err := e.admit(ctx, c.weight); err != nil {
		return err
	}
	if err := e.enqueue(ctx, &c.request); err != nil {
		//museum:room-never-given-back
		e.admission.Release(c.weight) // from now on the commit goroutine would do that
		return err
	}
	return nil
}

// prepare checks the size of a command and encodes it.
func (e *Engine) prepare(ctx context.Context, c *Command) error {
	defer func() { c.room = nil }() // the entry has that memory, or it is not needed
	if err := ctx.Err(); err != nil {
		return err
	}
	c.normalise()
	for i := range c.ops {
		c.weight += int64(c.ops[i].cols.Size())
	}
	if c.weight > part.MaxUpdateBytes {
		return e.tooLarge(c.ops, fmt.Errorf("%w: %d bytes of updates, the limit of a %d-bit program is %d", ErrTooLarge, c.weight, strconv.IntSize, part.MaxUpdateBytes))
	}
	if c.weight > e.cfg.MaxTailBytes {
		return e.tooLarge(c.ops, fmt.Errorf("%w: %d bytes of updates, Config.MaxTailBytes is %d", ErrTooLarge, c.weight, e.cfg.MaxTailBytes))
	}
	if err := e.checkSize(c.ops, c.weight); err != nil { // before memory is taken for the entry
		return err
	}
	if len(c.ops) > 0 {
		c.entry = c.encode()
	}
	return e.checkSize(c.ops, int64(len(c.entry)))
}

// checkSize refuses a command that the log cannot take, not even alone.
func (e *Engine) checkSize(ops []op, bytes int64) error {
	size := sizeOf(e.log)
	if stored := size.stored(1, bytes); stored > size.max() {
		return e.tooLarge(ops, fmt.Errorf("%w: %d bytes in the log, which takes %d at a time", ErrTooLarge, stored, size.max()))
	}
	return nil
}

// tooLarge names the largest update of a command. The caller sees from it whether splitting
// the command helps.
func (e *Engine) tooLarge(ops []op, err error) error {
	var of *op
	updates, at, most := 0, 0, -1
	for i := range ops {
		updates += ops[i].cols.Len()
		if k, size := ops[i].cols.Largest(); size > most {
			of, at, most = &ops[i], k, size
		}
	}
	if of == nil {
		return fmt.Errorf("tidemark: %w: split it", err)
	}
	return fmt.Errorf("tidemark: stream %s: %w: the largest of %d updates has %d bytes, of key %s at time %d: split it",
		quoteName(e.st.nameOf(of.stream)), err, updates, most, brief.Bytes(of.cols.Key(at)), of.cols.Time(at))
}

// admit waits until there is room for so many bytes of updates in the queue and the tails.
func (e *Engine) admit(ctx context.Context, weight int64) error {
	if weight == 0 || e.admission.TryAcquire(weight) {
		return nil
	}
	e.waiting.Add(weight)
	defer e.waiting.Add(-weight)
	e.wakeMaintenance()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.life.room, func() { cancel(e.life.roomEnded()) })()
	if err := e.admission.Acquire(ctx, weight); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return nil
}

func (e *Engine) send(ctx context.Context, r *request) error {
	if err := e.life.enter(); err != nil {
		return err
	}
	defer e.life.leave()
	e.inFlight.add(r.weight)
	select {
	case e.queue <- r:
		return nil
	default:
	}
	select {
	case e.queue <- r:
		return nil
	case <-ctx.Done():
		e.inFlight.add(-r.weight)
		return ctx.Err()
	case <-e.life.leaving:
		e.inFlight.add(-r.weight)
		return stoppedError()
	}
}

// MaxCommandBytes returns how many bytes of encoded updates a command may have, in the
// units of Columns.Size.
func (e *Engine) MaxCommandBytes() int64 {
	most := sizeOf(e.log).max()
	most -= min(4<<10, most/4) // for what an entry and the log add to updates
	return min(e.cfg.MaxTailBytes, most, part.MaxUpdateBytes)
}
