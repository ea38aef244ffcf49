package file

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// operations counts the reads of the disk that a handle has under way. A disk may hang, and
// the system cannot cancel an operation. So each operation runs in a goroutine of its own,
// and its caller waits under the caller's context. When the context ends, the caller
// leaves, and the operation goes on alone. It changes nothing on the disk, and its buffers
// are its own. When the disk answers, the operation gives back what it has opened and ends.
//
// At most maxUnderWay operations are under way. Further callers wait for one to end, and
// begin none. The handle owns all operations: its Close waits for them.
type operations struct{ slots *semaphore.Weighted }

const maxUnderWay = 64

//museum:hanging-reads-pile-up
func newOperations() operations { return operations{semaphore.NewWeighted(maxUnderWay)} }

// wait waits for all operations under way.
func (o operations) wait() {
	_ = o.slots.Acquire(context.Background(), maxUnderWay) // the context never ends
	o.slots.Release(maxUnderWay)
}

// errGoexit: the operation has ended its goroutine, as failed assertions of tests do.
var errGoexit = errors.New("an operation on the disk has ended its goroutine")

// errNoAnswer: the caller has given up, and the operation goes on.
var errNoAnswer = errors.New("the disk has not answered yet")

// await runs do, which reads from the disk, as an operation. It returns when do has ended,
// or when the context has ended. If the caller has left, undo gives back the result of do;
// undo may be nil.
//
// In two cases do runs in the goroutine of the caller: if the context never ends, and in an
// opening, which is given up as a whole (givenUpWhole).
func await[T any](ctx context.Context, o operations, do func() (T, error), undo func(T)) (T, error) {
	if err := o.slots.Acquire(ctx, 1); err != nil {
		var none T
		return none, err
	}
	return awaitBegun(ctx, o, do, undo)
}

// awaitBegun is await for a caller that has a slot. The slot is given up when do has ended.
func awaitBegun[T any](ctx context.Context, o operations, do func() (T, error), undo func(T)) (T, error) {
	if ctx.Done() == nil || ctx.Value(givenUpWhole{}) != nil {
		defer o.slots.Release(1)
		return do()
	}
	type outcome struct {
		value T
		err   error
	}
	answer := make(chan outcome, 1)
	var settled atomic.Bool // it is decided whether the caller or undo gets the outcome
	go func() {
		defer o.slots.Release(1)
		out := outcome{err: errGoexit}
		defer func() {
			if settled.CompareAndSwap(false, true) {
				answer <- out
			} else if out.err == nil && undo != nil {
				undo(out.value)
			}
		}()
		out.value, out.err = do()
	}()
	select {
	case out := <-answer:
		return out.value, out.err
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			var none T
			return none, fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
		}
		out := <-answer
		return out.value, out.err
	}
}

// openings counts the openings of runtimes that are under way in this process. Each opening
// is one operation.
var openings = newOperations()

// latePatience is how long an opening whose context has ended may take to undo its work.
const latePatience = time.Second

// givenUpWhole is a key in the context of an opening. It says that the caller gives up the
// whole opening, not a single operation of it.
type givenUpWhole struct{}

// openWhole opens a runtime as one operation, because any step of an opening may hang, even
// the steps that undo its work. When ctx has ended, the opening has patience to end. If it
// takes longer, openWhole returns, and the opening goes on alone. When the disk answers,
// the opening is refused and undoes its work. If it succeeds all the same, stop stops the
// runtime.
func openWhole[C any](ctx context.Context, patience time.Duration, what string, open func(ctx context.Context) (C, error), stop func(C) error) (C, error) {
	var none C
	if err := openings.slots.Acquire(ctx, 1); err != nil {
		return none, fmt.Errorf("file: %s: %d openings of this process are under way, of this and other locations, on disks that do not answer: %w", what, maxUnderWay, err)
	}
	waiting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(patience, giveUp) })()
	whole := context.WithValue(ctx, givenUpWhole{}, true)
	c, err := awaitBegun(waiting, openings, func() (C, error) { return open(whole) }, func(c C) { _ = stop(c) }) // its logger is told
	if errors.Is(err, errNoAnswer) {
		return none, fmt.Errorf("file: %s: %w, and the opening goes on by itself until it does: %w", what, errNoAnswer, ctx.Err())
	}
	return c, err
}
