package persist

import (
	"time"

	"github.com/tidemark-go/tidemark/indexed"
)

// Outage is a time in which an operator keeps trying to write, because the storage refuses
// its commands without effect. The metrics of the runtime count it. Config.Logger gets one
// line when it begins and one when it ends. One goroutine uses it.
//
// An outage is over when all commands have taken effect for 5s. A log that takes some
// commands and refuses others makes one outage, not many.
type Outage struct{ of *indexed.Outage }

// Outage begins an outage. operator names the operator that keeps trying, and cause is the
// error of the first command. End the outage with End. A handle that carries an error has
// no outages, and returns nil.
func (w *WriteHandle[K, V]) Outage(operator string, cause error) *Outage {
	if w.Err() != nil {
		return nil
	}
	return &Outage{w.writer.Outage(operator, w.engineID(), w.name, cause)}
}

// Retry counts another attempt.
func (o *Outage) Retry() { o.of.Retry() }

// Refused notes that a command had no effect again.
func (o *Outage) Refused() { o.of.Refused() }

// Took notes that a command has taken effect.
func (o *Outage) Took() { o.of.Took() }

// Calm returns a channel that gets a value when the outage is over, unless a command is
// refused before. It is nil if no command has taken effect since the last refusal.
func (o *Outage) Calm() <-chan time.Time { return o.of.Calm() }

// Over reports whether the outage is over. It is for callers that may not have received
// from Calm.
func (o *Outage) Over() bool { return o.of.Over() }

// End ends the outage: it is over, or the operator gives up because of err. If a command
// has taken effect since the last refusal, the operator has not given up, and err is
// ignored.
func (o *Outage) End(err error) { o.of.End(err) }
