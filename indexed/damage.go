package indexed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// A batch that cannot be read fails the reads of its own stream. Background work skips what
// needs that batch, so that one bad file does not stop the rest:
//
//  - Other streams are flushed and merged as usual.
//  - The tail of this stream still goes to unsealed batches, which needs no old batch. So the
//    log can be truncated, and writers do not wait.
//
// Damage lasts until the next opening, when the file may have been restored, and so does a
// format that this program does not know. If the store only failed to read, a round tries
// again after a while.

// unread is the streams that one call of Maintain could not read. The call skips them to
// its end, even if a round tries them again meanwhile. So the call terminates, and reports
// them.
type unread map[*stream]error

// noteLocked notes the damage that other background work has found in a stream.
func (u unread) noteLocked(s *stream) {
	if u != nil && u[s] == nil && s.damage != nil {
		u[s] = s.damage
	}
}

// foundDamage notes that background work could not read a batch of a stream. It returns
// false if err has another reason. Only the first error is kept and logged.
func (e *Engine) foundDamage(s *stream, err error, met unread) bool {
	lasting := errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNewerFormat)
	//museum:bad-sector-holds-up-others
	if !lasting && (!part.IsUnread(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return false
	}
	err = fmt.Errorf("tidemark: stream %s: %w", quoteName(s.name), err)
	if met != nil {
		met[s] = err
	}
	e.st.mu.Lock()
	first := s.damage == nil
	if first || lasting && !s.reading.again.IsZero() {
		s.damage = err
	}
	s.reading.failed(e.cfg.MinStepInterval)
	if lasting {
		s.reading.again = time.Time{}
	}
	e.st.mu.Unlock()
	if first {
		e.logger.Error("a batch cannot be read: background work goes round its stream; other streams go on",
			"stream", s.shownName(), "error", err)
	}
	return true
}

// couldBeRead notes that background work could read all batches that it needed of the
// stream. REQUIRES: state.mu is held.
func (s *stream) couldBeRead() {
	s.damage = nil
	s.reading.succeeded()
}

// readAgain lets background work try the batches again that the store failed to read, if
// their time has come by now; a zero now means all of them. Damage stays as it is.
func (e *Engine) readAgain(now time.Time) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	for _, s := range e.st.streams {
		if !s.reading.again.IsZero() && (now.IsZero() || s.reading.due(now)) {
			s.damage, s.reading.again = nil, time.Time{}
		}
	}
}

// damage returns the errors of all live streams with a batch that cannot be read: those
// that met has, and those of background work.
func (e *Engine) damage(met unread) error {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	var errs []error
	for s := range e.st.sortedStreamsLocked() {
		errs = append(errs, cmp.Or(met[s], s.damage))
	}
	return errors.Join(errs...)
}
