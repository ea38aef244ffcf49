package indexed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/storage"
)

// A batch that cannot be read fails its own stream's reads. Background work that met
// it goes round it: other streams are flushed and merged as ever, and of this one the
// tail still goes to unsealed batches, which reads no old ones, so that the log can be
// truncated and writers are not held up. Damage, and a format that this program does
// not know, last until the next opening, when the file may have been restored; what
// the store merely could not read is tried again after a while, by a round.

// foundDamage notes that background work could not read a stream's batches, and
// reports whether err is that. Only the first error is kept and logged.
func (e *Engine) foundDamage(s *stream, err error) bool {
	lasting := errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNewerFormat)
	if !lasting && (!errors.As(err, new(unreadError)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return false
	}
	e.st.mu.Lock()
	first := s.damage == nil
	if first || lasting && !s.again.IsZero() {
		s.damage = fmt.Errorf("tidemark: stream %q: %w", s.name, err)
	}
	s.failures++
	s.again = time.Time{}
	if !lasting {
		s.again = time.Now().Add(e.cfg.MinStepInterval << min(s.failures, 6))
	}
	e.st.mu.Unlock()
	if first {
		e.logger.Error("a batch cannot be read: background work goes round its stream; other streams go on",
			"stream", s.name, "error", err)
	}
	return true
}

// tryReadingAgain makes background work look again at batches that could not be read a
// while ago. While somebody calls Maintain it leaves that to them: what they have met
// is what they are told at the end.
func (e *Engine) tryReadingAgain() {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	if e.maintenance.callers > 0 {
		return
	}
	now := time.Now()
	for _, s := range e.st.streams {
		if !s.again.IsZero() && !now.Before(s.again) {
			s.damage, s.again = nil, time.Time{}
		}
	}
}

// tryReadingEverything makes background work look at once at batches that could not be
// read for another reason than damage, and then not again before done is called.
func (e *Engine) tryReadingEverything() (done func()) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	if e.maintenance.callers++; e.maintenance.callers == 1 {
		for _, s := range e.st.streams {
			if !s.again.IsZero() {
				s.damage, s.again = nil, time.Time{}
			}
		}
	}
	return func() {
		e.st.mu.Lock()
		e.maintenance.callers--
		e.st.mu.Unlock()
		e.wakeMaintenance() // for what is to be tried again
	}
}

// damage returns what background work has met, over all live streams.
func (e *Engine) damage() error {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	var errs []error
	for s := range e.st.sortedStreamsLocked() {
		if s.damage != nil {
			errs = append(errs, s.damage)
		}
	}
	return errors.Join(errs...)
}
