package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// transient says that the command had no effect because of the storage, and may
// have one later.
func (w *writer[K, V]) transient(err error) bool { return persist.IsRetryable(err) && !w.fatal(err) }

// fatal says that no command will succeed any more. A context that ended counts if it is
// the sink's: storage has some of its own.
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

// maxBackoff bounds the wait between two tries: so soon is it noticed at the latest that
// an outage is over.
const maxBackoff = 5 * time.Second

// backOff arms the timer of the next try, once for all that failed meanwhile.
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

// tryAgain returns how long to wait before the next try, or why there is none.
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

// refused is called when a command had no effect and is to be tried again.
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

// calm tells when the outage is over, if there is one. Who is busy may be late to listen:
// see endIfOver.
func (w *writer[K, V]) calm() <-chan time.Time {
	if w.outage == nil {
		return nil
	}
	return w.outage.Calm()
}

// endIfOver ends an outage that has been over.
func (w *writer[K, V]) endIfOver() {
	if w.outage != nil && w.outage.Over() {
		//museum:outage-never-ends
		w.outage.End(nil)
		w.outage = nil
	}
}
