package indexed

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// maintenance is the state of background work. A round flushes tails to batches, writes the
// manifest, and truncates the log, in this order: each makes the next one possible. Writers
// may wait for a round, so its work is bounded: see round and movedInRound. Merges, large
// moves and deletions are no part of rounds.
type maintenance struct {
	wake      chan struct{} // one token: something may be due
	mergeWake chan struct{} // one token: a merge may be possible
	// armed says that the maintain goroutine has a timer for the oldest tail. So an idle
	// runtime is woken once, and a busy one is not woken by every command.
	armed atomic.Bool

	// round is held by the one round that runs. A round takes no longer than to write what
	// tails hold and to read movedInRound. round guards manifest. Like merge it is a
	// semaphore: callers wait for it under their contexts.
	round    *semaphore.Weighted
	manifest manifestWriter
	// movedInRound is Config.movedInRound. moveLeft is how much of it this round still has;
	// moveLater says that it was not enough. round guards them.
	movedInRound, moveLeft int64
	moveLater              bool
	// flushFailures counts the flushes that have failed; round guards it.
	flushFailures uint64

	truncation retry // of the log; guarded by state.mu

	// merge is held by the one merge that runs. merges counts the merges that were applied.
	merge  *semaphore.Weighted
	merges atomic.Uint64

	meter logMeter // guarded by state.mu
	named map[string]bool
}

func (e *Engine) initMaintenance(m manifestReader, meter logMeter) {
	e.maintenance.round, e.maintenance.merge = semaphore.NewWeighted(1), semaphore.NewWeighted(1)
	e.maintenance.wake = make(chan struct{}, 1)
	e.maintenance.mergeWake = make(chan struct{}, 1)
	e.maintenance.manifest = manifestWriter{manifestReader: m, blob: e.blob, life: e.life, metrics: e.metrics}
	e.maintenance.meter = meter
	e.maintenance.movedInRound = e.cfg.movedInRound()
	e.maintenance.named = make(map[string]bool)
	// The manifest names batches of a destroyed stream until the next edit, and a reader of
	// blobs alone may be reading them.
	for _, s := range e.st.names {
		for _, b := range slices.Concat(s.set.all(), s.manifest.dropped) {
			for i := range b.parts {
				e.maintenance.named[b.parts[i].Key] = true
			}
		}
	}
}

func (e *Engine) wakeMaintenance() {
	select {
	case e.maintenance.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) wakeMerges() {
	select {
	case e.maintenance.mergeWake <- struct{}{}:
	default:
	}
}

// maintenanceDueLocked reports whether a limit was reached, or a tail has no timer.
func (e *Engine) maintenanceDueLocked() bool {
	st := e.st
	return st.tailBytes >= e.cfg.FlushBytes || st.untidy || e.logTooLongLocked() ||
		st.tailCount > 0 && (e.cfg.FlushInterval > 0 && !e.maintenance.armed.Load() || e.waiting.Load() > 0)
}

func (e *Engine) logTooLongLocked() bool {
	m := &e.maintenance.meter
	return m.after(m.truncated) >= e.cfg.MaxLogBytes
}

// maintainLoop is the maintain goroutine. It sleeps until something may be due.
func (e *Engine) maintainLoop() {
	// Look first at what an earlier opening has left: old tails, dropped batches.
	e.wakeMaintenance()
	timer := time.NewTimer(0)
	if !timer.Stop() {
		<-timer.C
	}
	defer timer.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	var last time.Time
	var tries retry
	var rounds, truncations outage
	for {
		select {
		case <-e.maintenance.wake:
		case <-timer.C:
		case <-e.life.work.Done():
			return
		}
		// Rounds keep a distance, and a greater one after failures. A tail that would soon
		// make writers wait does not wait.
		for {
			wait := tries.distance(e.cfg.MinStepInterval) - time.Since(last)
			if last.IsZero() || wait <= 0 || tries.failures == 0 && e.tailPresses() {
				break
			}
			pause.Reset(wait)
			select {
			case <-pause.C:
			case <-e.maintenance.wake:
			case <-e.life.work.Done():
				return
			}
		}
		last = time.Now()
		truncated, err := e.runRound(e.life.work, false, nil)
		if e.life.work.Err() != nil {
			return
		}
		timer.Stop()
		if failed := errors.Join(truncated, err); errors.Is(failed, storage.ErrFailed) {
			e.life.refuse(noRoom, "its storage failed", failed)
		}
		if e.life.refuses(noBackground) {
			return
		}
		if truncated != nil {
			truncations.failed(e.logger, slog.LevelWarn, "could not truncate the log; it is tried again and again", truncated)
		} else if truncations.failures > 0 && e.truncates() {
			truncations.over(e.logger, "the log could be truncated again")
		}
		if err != nil {
			rounds.failed(e.logger, slog.LevelWarn, "maintenance failed; it is tried again and again", err)
			e.maintenance.armed.Store(true)
			timer.Reset(tries.failed(e.cfg.MinStepInterval))
			continue
		}
		tries.succeeded()
		rounds.over(e.logger, "maintenance succeeds again")
		e.arm(timer)
	}
}

// tailPresses reports whether a writer waits for room, or soon will. Soon means: tails fill
// half of MaxTailBytes. The other half is for writers until a round has made room.
func (e *Engine) tailPresses() bool {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	return e.waiting.Load() > 0 || e.st.tailBytes >= e.cfg.MaxTailBytes/2
}

// arm sets the timer for the tail that will be too old first, and for reads and truncations
// that are tried again.
func (e *Engine) arm(timer *time.Timer) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	var due time.Time
	first := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	tails := false
	for _, s := range e.st.streams {
		if e.cfg.FlushInterval > 0 && !s.tail.empty() {
			tails = true
			first(s.tailStart.Add(e.cfg.FlushInterval))
		}
		if !s.reading.again.IsZero() {
			first(s.reading.again)
		}
	}
	if again := e.maintenance.truncation.again; !again.IsZero() {
		first(again)
	}
	e.maintenance.armed.Store(tails)
	if !due.IsZero() {
		timer.Reset(max(0, time.Until(due)))
	}
}

// Maintain does all background work that is outstanding, now. Afterwards everything that
// was acknowledged before the call is in batches that the manifest names, and batches are
// merged as far as they will be. So readers of blobs alone, and other programs, see it.
// Durability does not need Maintain. Maintain does not wait for what is written during the
// call, so it ends however much that is.
//
// Errors: storage.CorruptError, storage.ErrNewerFormat or the storage's error, for every
// stream with a batch that cannot be read, for the log if it cannot be truncated, and for
// blobs that cannot be deleted; in these cases all other work was done. After any other error
// of the storage Maintain ends its round and deletes what is not needed any more, which makes
// room if the disk is full. Two errors end the call at once: the context's, and
// storage.ErrConflict, since the location has another owner then. What was done stays done.
//
// If ctx ends during a write to the storage, Maintain returns at once. The write is waited
// for in the background, because its outcome must be known, and nothing is written after
// it.
func (e *Engine) Maintain(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The work has a goroutine of its own: a write may hang, and its outcome must be known,
	// and locks be held, longer than the caller waits. Stop waits for this goroutine. Each
	// one that a caller has left holds round, merge or collector.turn, so there are at most
	// three; they end with the write that hangs.
	answer := make(chan error, 1)
	if !e.life.begin(func() {
		err := part.ErrGoexit
		defer func() { answer <- err }()
		err = e.maintain(ctx)
	}) {
		return stoppedError()
	}
	defer context.AfterFunc(e.life.work, func() { cancel(stoppedError()) })()
	select {
	case err := <-answer:
		return causeOf(ctx, err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *Engine) maintain(ctx context.Context) error {
	defer e.wakeMaintenance() // for work that is tried again
	defer e.wakeCollector()
	e.readAgain(time.Time{})
	met := unread{}
	// A merge of the merge goroutine counts too: the manifest must name its result.
	before := e.maintenance.merges.Load()
	truncated, err := e.runRound(ctx, true, met)
	if err == nil {
		// On a full disk this makes room for merges. What fails here is tried again below.
		//museum:merges-before-room
		_ = e.deleteGarbage(ctx, false)
		err = e.mergeAll(ctx, met)
	}
	//museum:maintain-returns-early
	if err == nil && e.maintenance.merges.Load() != before {
		truncated, err = e.runRound(ctx, true, met)
	}
	if err != nil && (ctx.Err() != nil || e.life.refuses(noBackground)) {
		return errors.Join(err, truncated)
	}
	// If something has failed, the disk may be full: this makes room for the next call.
	return errors.Join(err, e.damage(met), truncated, e.deleteGarbage(ctx, true))
}

// mergeAll does the merges that are outstanding now.
func (e *Engine) mergeAll(ctx context.Context, met unread) error {
	for scope := e.outstanding(met); ; {
		//museum:chasing-writers
		if did, err := e.mergeOnce(ctx, scope); !did || err != nil {
			return err
		}
	}
}

// causeOf returns why ctx has ended, if that is why the work has failed.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// taken checks whether work has failed because another process owns the location now. Then
// all background work here ends: what is garbage here may be in the manifest of the new
// owner.
func (e *Engine) taken(err error) {
	if errors.Is(err, storage.ErrConflict) && !errors.Is(err, ErrStopped) {
		e.endBackground("somebody else writes to its location", err)
	}
}

// endBackground ends all background work, and logs why.
func (e *Engine) endBackground(why string, cause error) {
	if e.life.refuse(noBackground, why, cause) {
		e.tellBackgroundEnded(cause)
	}
}

func (e *Engine) tellBackgroundEnded(cause error) {
	//museum:background-ends-silently
	e.logger.Error("background work has ended: no more is flushed, merged or deleted until the location is opened again", "error", cause)
}

// runRound does one round: what is due, or everything if force is set. truncated is the
// error of truncating the log. It is apart from err, because a log that is too long only
// takes space: it is no reason to slow rounds down. Streams that cannot be read are added
// to met, unless met is nil.
func (e *Engine) runRound(ctx context.Context, force bool, met unread) (truncated, err error) {
	m := &e.maintenance
	if err := m.round.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer m.round.Release(1)
	if err := e.life.refused(noBackground); err != nil {
		return nil, err
	}
	start := time.Now()
	e.metrics.rounds.Inc()
	defer func() {
		e.metrics.roundSeconds.Add(time.Since(start).Seconds())
		if err != nil || truncated != nil {
			e.metrics.roundErrors.Inc()
			e.taken(errors.Join(err, truncated))
		}
	}()

	e.readAgain(start)
	m.moveLeft, m.moveLater = m.movedInRound, false
	var flushed error
	for _, s := range e.flushCandidates(force) {
		s.flushFailure = 0
		if flushed = e.flush(ctx, s, force, met); flushed != nil {
			m.flushFailures++
			s.flushFailure = m.flushFailures
			break // on a full disk the rest of the round needs little space, and frees some
		}
	}
	e.wakeMerges()
	if m.moveLater {
		defer e.wakeMaintenance() // the next round goes on
	}
	if e.manifestDue(force) {
		if err := m.manifest.write(ctx, e.st); err != nil {
			return nil, errors.Join(flushed, err)
		}
	}
	//museum:undeletable-slows-all, stuck-log-slows-all
	return e.truncate(ctx, force), flushed
}

// flushCandidates returns the streams to flush, in this order:
//
//  1. those with a tail that is due, the oldest first;
//  2. those that a limit asks for, the ones that free most first. What has failed frees
//     nothing: others are asked for as much, and it comes after them;
//  3. those without a tail that may have something to move to the trace;
//  4. those whose last flush has failed, the latest failure last. A failure ends the flushes
//     of a round, so a stream that fails each time must not come first.
//
// The order never depends on that of a map: no test could be repeated.
// REQUIRES: round is held.
func (e *Engine) flushCandidates(force bool) []*stream {
	st := e.st
	st.mu.Lock()
	defer st.mu.Unlock()
	st.untidy = false
	now := time.Now()
	var due, rest, move []*stream
	for _, s := range st.streams {
		switch {
		case s.tail.empty():
			if len(s.set.unsealed) > 0 && s.damage == nil && !s.moving && s.set.traceUpper().LessThan(s.upper) {
				move = append(move, s) // perhaps
			}
		case force, s.tailBytes >= e.cfg.FlushBytes,
			e.cfg.FlushInterval > 0 && now.Sub(s.tailStart) >= e.cfg.FlushInterval:
			due = append(due, s)
		default:
			rest = append(rest, s)
		}
	}
	byAge := func(a, b *stream) int {
		return cmp.Or(cmp.Compare(a.tail.first(), b.tail.first()), cmp.Compare(a.id, b.id))
	}
	slices.SortFunc(due, byAge)
	slices.SortFunc(move, func(a, b *stream) int { return cmp.Compare(a.id, b.id) })
	// remaining is what tails will hold after this round, if what has failed fails again.
	remaining := int64(0)
	for _, s := range rest {
		remaining += s.tailBytes
	}
	for _, s := range due {
		//museum:failing-stream-as-room
		if s.flushFailure > 0 {
			remaining += s.tailBytes
		}
	}
	// Writers have the other half of the limit while a round runs. If writers wait already,
	// the round frees as much as they need, whatever their size.
	//museum:large-writer-waits
	if waiting := e.waiting.Load(); waiting > 0 || remaining >= e.cfg.MaxTailBytes/2 {
		enough := max(0, min(e.cfg.MaxTailBytes/4, e.cfg.MaxTailBytes-waiting))
		//museum:failing-stream-chosen
		slices.SortFunc(rest, func(a, b *stream) int {
			return cmp.Or(cmp.Compare(a.flushFailure, b.flushFailure), cmp.Compare(b.tailBytes, a.tailBytes), cmp.Compare(a.id, b.id))
		})
		for len(rest) > 0 && remaining > enough {
			remaining -= rest[0].tailBytes
			due, rest = append(due, rest[0]), rest[1:]
		}
	}
	if e.logTooLongLocked() {
		slices.SortFunc(rest, byAge)
		for len(rest) > 0 && e.maintenance.meter.after(rest[0].tail.first()) >= e.cfg.MaxLogBytes/2 {
			due, rest = append(due, rest[0]), rest[1:]
		}
	}
	due = append(due, move...)
	//museum:failing-stream-first
	slices.SortStableFunc(due, func(a, b *stream) int { return cmp.Compare(a.flushFailure, b.flushFailure) })
	return due
}

// manifestDue reports whether an edit is worth writing. Frontiers alone are not: the log
// has them, until the log is to be truncated. Two things cannot wait:
//
//   - What was flushed. The log may be truncated in the middle of it, and a replay of half of
//     what cancelled out would give rows.
//   - The end of a stream. The log is about to let go of its tail.
func (e *Engine) manifestDue(force bool) bool {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	if force || e.maintenance.manifest.pending != nil || e.logTooLongLocked() {
		return true
	}
	for _, s := range e.st.changed {
		//museum:half-of-what-cancels, end-of-a-stream
		if s.destroyed || s.manifest.flushed || len(s.manifest.added) > 0 || len(s.manifest.dropped) > 0 {
			return true
		}
	}
	return false
}
