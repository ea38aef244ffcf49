package indexed

import (
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/storage"
)

// A damaged batch fails its own stream's reads. Background work that met it goes
// round it: other streams are flushed and merged as ever, and of this one the tail
// still goes to unsealed batches, which reads no old ones, so that the log can be
// truncated and writers are not held up. It lasts until the next opening, when the
// file may have been restored.

// foundDamage notes damage that background work met in a stream's batches, and
// reports whether err is that. Only the first is kept and logged.
func (e *Engine) foundDamage(s *stream, err error) bool {
	if !errors.Is(err, storage.ErrCorrupt) {
		return false
	}
	e.st.mu.Lock()
	first := s.damage == nil
	if first {
		s.damage = fmt.Errorf("tidemark: stream %q: %w", s.name, err)
	}
	e.st.mu.Unlock()
	if first {
		e.logger.Error("a batch is damaged: its stream is no longer compacted until the next opening; other streams go on",
			"stream", s.name, "error", err)
	}
	return true
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
