package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// transient says that the command had no effect because of the storage, and that a retry
// may succeed.
func (w *writer[K, V]) transient(err error) bool { return persist.IsRetryable(err) && !w.fatal(err) }

// fatal says that no command will succeed any more. The error of a context that has ended
// is fatal, with one exception: the context is one of the storage's own, so that the
// command had no effect and the sink's context still lives.
func (w *writer[K, V]) fatal(err error) bool {
	for _, kind := range []error{
		persist.ErrStopped, persist.ErrOutcomeUnknown, persist.ErrDestroyed, persist.ErrUnknownStream,
		persist.ErrReadOnly, storage.ErrFailed,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	return ended && (w.ctx.Err() != nil || !errors.Is(err, persist.ErrNoEffect))
}

// maxBackoff bounds the wait between two tries. So the sink notices the end of an outage at
// most this much later.
const maxBackoff = 5 * time.Second

// backOff arms the timer of the next try: one timer for all commands that failed meanwhile.
func (w *writer[K, V]) backOff(err error) error {
	if w.retry != nil {
		w.refused(err)
		return nil
	}
	wait, err := w.tryAgain(err)
	if err != nil {
		return err
	}
	w.retry = time.After(wait)
	return nil
}

// tryAgain returns how long to wait before the next try, or an error if there is none.
func (w *writer[K, V]) tryAgain(err error) (time.Duration, error) {
	if most := w.opts.retries; most != 0 && w.attempts >= most {
		return 0, fmt.Errorf("tidemark: sink of stream %q: given up after %d retries: %w", w.write.StreamName(), w.attempts, err)
	}
	w.refused(err)
	w.outage.Retry()
	wait := w.opts.backoff
	for range min(w.attempts, 30) {
		wait = min(2*wait, max(maxBackoff, w.opts.backoff))
	}
	w.attempts++
	return wait, nil
}

// refused is called when a command had no effect and will be tried again.
func (w *writer[K, V]) refused(err error) {
	w.endIfOver()
	if w.outage == nil {
		w.outage = w.write.Outage("a sink", err)
	}
	w.outage.Refused()
}

// recovered is called when a command has taken effect.
func (w *writer[K, V]) recovered() {
	w.attempts = 0
	w.endIfOver()
	if w.outage != nil {
		w.outage.Took()
	}
}

// calm fires when the outage, if there is one, is over. A busy sink may listen late: see
// endIfOver.
func (w *writer[K, V]) calm() <-chan time.Time {
	if w.outage == nil {
		return nil
	}
	return w.outage.Calm()
}

// endIfOver ends the outage if it is over.
func (w *writer[K, V]) endIfOver() {
	if w.outage != nil && w.outage.Over() {
		//museum:outage-never-ends
		w.outage.End(nil)
		w.outage = nil
	}
}
