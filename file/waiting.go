package file

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// operations are what a handle has under way on the disk for those who read. A disk may
// hang, and the system takes no operation back. So each runs in a goroutine of its own, and
// who asked for it waits under his context: when that ends, the operation is left to itself.
// It changes nothing on the disk, its buffers are its own, and when the disk answers it gives
// back what it has opened and ends.
//
// There are maxUnderWay of them at most; who comes then waits for one to end, and begins
// none. The handle owns them all: its Close waits for them.
type operations struct{ slots *semaphore.Weighted }

const maxUnderWay = 64

//museum:hanging-reads-pile-up
func newOperations() operations { return operations{semaphore.NewWeighted(maxUnderWay)} }

// wait waits for all operations under way.
func (o operations) wait() {
	_ = o.slots.Acquire(context.Background(), maxUnderWay) // which does not end
	o.slots.Release(maxUnderWay)
}

// errGoexit is the outcome of an operation that has ended its goroutine, as failed
// assertions of tests do.
var errGoexit = errors.New("an operation on the disk has ended its goroutine")

// errNoAnswer: an operation was given up, and goes on.
var errNoAnswer = errors.New("the disk has not answered yet")

// await does something that reads, and returns its outcome, or when the context has ended.
// undo, unless it is nil, gives back what an operation returns that nobody waits for.
//
// Under a context that never ends the caller does it himself.
func await[T any](ctx context.Context, o operations, do func() (T, error), undo func(T)) (T, error) {
	if err := o.slots.Acquire(ctx, 1); err != nil {
		var none T
		return none, err
	}
	return awaitBegun(ctx, o, do, undo)
}

// awaitBegun is await for who has a slot, which ends with what is done.
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
	var settled atomic.Bool // it is known who has the outcome: who waits, or undo
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

// openings are those of runtimes, of this process, that are under way: each is one operation.
var openings = newOperations()

// latePatience is how long an opening that is to end has for taking back what it did.
const latePatience = time.Second

// givenUpWhole is the key in the context of an opening: that is given up as a whole, and not
// at an operation of it.
type givenUpWhole struct{}

// openWhole opens a runtime. All of it may hang, that it is taken back as well. So when the
// context has ended, and the opening has not within patience, it goes on by itself: it is
// refused, and takes back what it did, once the disk answers. If it should succeed all the
// same, the runtime is stopped.
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
