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
// truncated and writers are not held up. Damage lasts until the next opening, when the
// file may have been restored; what the store merely could not read is tried again
// after a while.

// foundDamage notes that background work could not read a stream's batches, and
// reports whether err is that. Only the first error is kept and logged.
func (e *Engine) foundDamage(s *stream, err error) bool {
	corrupt := errors.Is(err, storage.ErrCorrupt)
	if !corrupt && (!errors.As(err, new(unreadError)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return false
	}
	e.st.mu.Lock()
	first := s.damage == nil
	if first || corrupt && !s.again.IsZero() {
		s.damage = fmt.Errorf("tidemark: stream %q: %w", s.name, err)
	}
	s.failures++
	s.again = time.Time{}
	if !corrupt {
		s.again = time.Now().Add(e.cfg.MinStepInterval << min(s.failures, 6))
	}
	e.st.mu.Unlock()
	if first {
		e.logger.Error("a batch cannot be read: background work goes round its stream; other streams go on",
			"stream", s.name, "error", err)
	}
	return true
}

// hurtLocked reports that background work goes round the stream's batches.
func (s *stream) hurtLocked() bool {
	return s.damage != nil && (s.again.IsZero() || time.Now().Before(s.again))
}

// tryReadingAgain makes background work look at once at batches that could not be
// read for another reason than damage.
func (e *Engine) tryReadingAgain() {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	for _, s := range e.st.streams {
		if !s.again.IsZero() {
			s.damage, s.again = nil, time.Time{}
		}
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
