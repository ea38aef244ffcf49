package persist

import (
	"time"

	"github.com/tidemark-go/tidemark/indexed"
)

// Outage is a time in which an operator keeps trying to write, because the storage refuses
// its commands without effect. It is in the metrics of the runtime, and has a line in its log
// at the beginning and one at the end. It is for one goroutine.
//
// An outage is over when all commands have taken effect for 5s. A log that takes some
// commands and refuses others is in one outage, not in many.
type Outage struct{ of *indexed.Outage }

// Outage begins an outage: operator is who tries, and cause the error of the first command.
// End it. A handle that carries an error has none, and returns nil.
func (w *WriteHandle[K, V]) Outage(operator string, cause error) *Outage {
	if w.Err() != nil {
		return nil
	}
	return &Outage{w.writer.Outage(operator, w.engineID(), w.name, cause)}
}

// Retry counts a try.
func (o *Outage) Retry() { o.of.Retry() }

// Refused notes that a command had no effect, again.
func (o *Outage) Refused() { o.of.Refused() }

// Took notes that a command has taken effect.
func (o *Outage) Took() { o.of.Took() }

// Calm returns a channel that tells when the outage is over, unless a command is refused
// before. It is nil as long as no command has taken effect since the newest one that was
// refused.
func (o *Outage) Calm() <-chan time.Time { return o.of.Calm() }

// Over reports whether the outage is over, for callers that may not have read from Calm.
func (o *Outage) Over() bool { return o.of.Over() }

// End ends the outage: it is over, or the operator gives up because of err. If a command has
// taken effect after the newest one that was refused, nobody has given up, and err is
// ignored.
func (o *Outage) End(err error) { o.of.End(err) }
