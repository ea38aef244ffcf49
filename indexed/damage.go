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

// A batch that cannot be read fails its own stream's reads. Background work that met
// it goes round it: other streams are flushed and merged as ever, and of this one the
// tail still goes to unsealed batches, which reads no old ones, so that the log can be
// truncated and writers are not held up. Damage, and a format that this program does
// not know, last until the next opening, when the file may have been restored; what
// the store merely could not read is tried again after a while, by a round.

// unread is what a call of Maintain could not read, and goes round until it ends,
// although others may try it again meanwhile: so it ends, and reports it.
type unread map[*stream]error

// noteLocked notes what others have met in a stream, because of which it is left out.
func (u unread) noteLocked(s *stream) {
	if u != nil && u[s] == nil && s.damage != nil {
		u[s] = s.damage
	}
}

// foundDamage notes that background work could not read a stream's batches, and
// reports whether err is that. Only the first error is kept and logged.
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

// couldBeRead notes, with state.mu held, that all batches that background work needed of
// the stream could be read.
func (s *stream) couldBeRead() {
	s.damage = nil
	s.reading.succeeded()
}

// readAgain makes background work look again at batches that could not be read, for
// another reason than damage, and were to be tried again by now; the zero time means all.
func (e *Engine) readAgain(now time.Time) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	for _, s := range e.st.streams {
		if !s.reading.again.IsZero() && (now.IsZero() || s.reading.due(now)) {
			s.damage, s.reading.again = nil, time.Time{}
		}
	}
}

// damage returns what background work has met, or a call of Maintain, over all live
// streams.
func (e *Engine) damage(met unread) error {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	var errs []error
	for s := range e.st.sortedStreamsLocked() {
		errs = append(errs, cmp.Or(met[s], s.damage))
	}
	return errors.Join(errs...)
}
