package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/persist"
)

// emitter is the state of a batch source's goroutine.
//
// INVARIANT: every update with a time in advance of lower is in one of four places. It is in
// pending, in ready, or yet to come from the listener; or its time is in advance of the
// horizon, and a later snapshot has it. No other update is in any of them.
//
// The horizon is {} until more is pending than MaxPendingBytes. Then the latest times are
// given up, since they are needed last. So one read of a snapshot serves all seals up to the
// horizon.
type emitter[K, V any] struct {
	*BatchSource[K, V]
	target chan<- any

	lower   frontier.Antichain // of the next batch to be made
	sealed  frontier.Antichain // the upper, as far as the listener has told
	ready   *operators.Batch[K, V]
	pending *pending // of times before the horizon
	horizon frontier.Antichain
	failed  error // ends the source when ready was taken: ready ends where it happened
}

// errSpilled: a seal has passed the horizon. The updates there are read from a new position.
var errSpilled = errors.New("spilled")

// follow emits the sealed updates of the position's snapshot, and then those that its
// listener delivers. It returns errSpilled, io.EOF at the end of the stream, or another error.
func (e *emitter[K, V]) follow() error {
	if err := e.replay(); err != nil {
		return err
	}
	if e.lower.IsEmpty() {
		return io.EOF
	}
	listened := e.listen()
	defer listened.stop()
	for {
		if err := e.make(); err != nil {
			return err
		}
		var target chan<- any
		var batch any
		if e.ready != nil {
			target, batch = e.target, *e.ready
		}
		events := listened.events
		if e.full() {
			events = nil // until the consumer has taken a batch
		}
		select {
		case target <- batch:
			e.taken()
			if e.lower.IsEmpty() {
				return io.EOF
			}
		case heard := <-events:
			if err := e.hear(heard); err != nil {
				return err
			}
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
}

// replay emits [lower, upper) of the snapshot, and puts the updates after that into pending.
func (e *emitter[K, V]) replay() error {
	snapshot := e.position.snapshot
	upper := snapshot.Upper()
	if err := e.history.check(snapshot.Since(), e.lower, upper); err != nil {
		if e.positions.Load() > 1 {
			err = fmt.Errorf("tidemark: what was not sealed took more than the %d bytes of source.MaxPendingBytes and has to be read again: allow compaction up to the time before the sink's upper at most, or raise that limit: %w",
				e.opts.maxPendingBytes, err)
		}
		return err
	}
	if e.lower.IsEmpty() {
		return nil // resumed at the end
	}
	e.sealed = upper
	if e.history.asOf.LessThan(upper) {
		if err := e.replaySealed(snapshot, upper); err != nil {
			return err
		}
	}
	e.pending.clear()
	e.horizon = frontier.Empty()
	for row, err := range e.history.rows(e.ctx, snapshot, e.lower, frontier.Empty()) {
		if err != nil {
			return err
		}
		e.hold(row)
		if !e.lower.LessThan(e.horizon) {
			break // nothing of it can be held
		}
	}
	return snapshot.Close()
}

// replaySealed emits [lower, upper) of the snapshot.
func (e *emitter[K, V]) replaySealed(snapshot *persist.Snapshot[K, V], upper frontier.Antichain) error {
	read := e.history.replay(e.ctx, snapshot, e.lower, upper, e.opts.maxBatch)
	defer read.stop()
	for intervals := range read.intervals {
		for i := range intervals {
			for in := range intervals[i].split(e.opts.maxBatch) {
				e.prepare(in.upper, in.updates)
				select {
				case e.target <- *e.ready:
					e.taken()
				case <-e.ctx.Done():
					return e.ctx.Err()
				}
			}
			intervals[i] = interval[K, V]{} // the consumer's alone
		}
	}
	return read.err
}

func (e *emitter[K, V]) prepare(upper frontier.Antichain, updates []persist.Update[K, V]) {
	e.ready = &operators.Batch[K, V]{
		Description: frontier.Description{Lower: e.lower, Upper: upper, Since: e.history.asOf},
		Updates:     updates,
	}
	e.lower = upper
}

// make prepares the next batch, if one is due and the last one was taken. So all seals that
// come while the consumer is busy make one batch, unless that would be too large.
func (e *emitter[K, V]) make() error {
	switch {
	case e.ready != nil:
		return nil
	case e.failed != nil:
		return e.failed
	case !e.due():
		return nil
	}
	//museum:horizon-forgotten
	upper := e.sealed.Meet(e.horizon)
	if upper != e.sealed && !e.pending.has(upper) {
		return errSpilled
	}
	taken, end, failed := e.pending.take(upper, e.opts.maxBatch)
	updates := make([]persist.Update[K, V], 0, taken.len())
	read := 0
	for row := range taken.rows() {
		if err := ended(e.ctx, read); err != nil {
			return err
		}
		read++
		if end.Admits(row.Time) {
			continue // at or after an update that cannot be decoded
		}
		u, err := e.history.decoder.Decode(row)
		if err != nil {
			failed, end = err, frontier.At(row.Time)
			continue
		}
		updates = append(updates, u)
	}
	if failed != nil {
		updates = slices.DeleteFunc(updates, func(u persist.Update[K, V]) bool { return end.Admits(u.Time) })
		if len(updates) == 0 || !e.history.mayEnd(e.lower, end) {
			return failed
		}
		e.failed = failed
	}
	e.prepare(end, updates)
	e.giveUp()
	return nil
}

// due reports whether a batch can be made.
func (e *emitter[K, V]) due() bool {
	return e.history.mayEnd(e.lower, e.sealed)
}

// taken notes that the consumer has the batch.
func (e *emitter[K, V]) taken() {
	e.progress.Advance(e.ready.Upper)
	e.ready = nil
}

// full reports whether more is pending than may be, and the consumer can change that: some of
// it is sealed, and leaves when the consumer takes the next batch.
func (e *emitter[K, V]) full() bool {
	return e.ready != nil && e.due() && e.pending.bytes > e.opts.maxPendingBytes
}

// hold takes in an update if its time is in [lower, horizon).
func (e *emitter[K, V]) hold(row persist.Row) {
	row.Time = e.history.asOf.Advance(row.Time)
	if e.horizon.Admits(row.Time) || !e.lower.Admits(row.Time) {
		return
	}
	e.pending.add(row)
	e.giveUp()
}

// giveUp moves the horizon back while more is pending than may be. It does nothing if a batch
// is due, since the consumer then makes room.
func (e *emitter[K, V]) giveUp() {
	for e.pending.bytes > e.opts.maxPendingBytes && !e.due() {
		//museum:spill-forgets-all
		e.horizon = frontier.At(e.pending.dropLatest())
	}
}

// heard is an answer of the listener.
type heard struct {
	event persist.RawEvent
	err   error
}

func (e *emitter[K, V]) hear(h heard) error {
	if errors.Is(h.err, io.EOF) {
		// The seal to {} came before. The loop ends when its batch was taken.
		return nil
	}
	if h.err != nil {
		return h.err
	}
	if h.event.Rows == nil {
		e.sealed = e.sealed.Join(h.event.Sealed)
		return nil
	}
	for row := range h.event.Rows {
		e.hold(row)
	}
	return nil
}

// listening is the goroutine that waits for the listener. So the emitter can wait for its
// consumer at the same time. The goroutine ends with the listener, or by stop.
type listening struct {
	events chan heard
	cancel context.CancelFunc
	over   chan struct{}
}

func (e *emitter[K, V]) listen() *listening {
	ctx, cancel := context.WithCancel(e.ctx)
	l := &listening{events: make(chan heard), cancel: cancel, over: make(chan struct{})}
	next := e.position.listener.NextRaw
	go func() {
		defer close(l.over)
		err := errExited
		defer func() {
			if p := recover(); p != nil {
				err = edge.PanicError(p)
			}
			l.tell(ctx, heard{err: err})
		}()
		err = l.run(ctx, next)
	}()
	return l
}

// run tells the emitter of events. It returns why there are no more.
func (l *listening) run(ctx context.Context, next func(context.Context) (persist.RawEvent, error)) error {
	for {
		event, err := next(ctx)
		if err != nil {
			return err
		}
		if !l.tell(ctx, heard{event: event}) {
			return ctx.Err()
		}
	}
}

func (l *listening) tell(ctx context.Context, h heard) bool {
	select {
	case l.events <- h:
		return true
	case <-ctx.Done():
		return false
	}
}

// stop ends the goroutine and waits for it.
func (l *listening) stop() {
	l.cancel()
	<-l.over
}
