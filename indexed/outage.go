package indexed

import (
	"log/slog"
	"time"
)

// Outage is a time in which somebody keeps trying because the log refuses his commands
// without effect. It is in the metrics, and has a line in the log at its beginning and one
// at its end. It is for one goroutine.
type Outage struct {
	metrics *metrics
	logger  *slog.Logger
	since   time.Time
	retries int
}

// Outage begins one: who tries, to write what stream, and why he has to.
func (e *Engine) Outage(who, stream string, cause error) *Outage {
	o := &Outage{metrics: e.metrics, logger: e.logger.With("stream", stream), since: time.Now()}
	o.metrics.outages.Inc()
	o.logger.Warn(who+" cannot write and keeps trying", "error", cause)
	return o
}

// Retry counts a try.
func (o *Outage) Retry() {
	o.retries++
	o.metrics.retries.Inc()
}

// End ends it: with nil when a command has taken effect, else with the reason why nobody
// tries any more.
func (o *Outage) End(err error) {
	o.metrics.outages.Dec()
	attrs := []any{"took", time.Since(o.since), "retries", o.retries}
	if err != nil {
		o.logger.Error("gave up trying to write", append(attrs, "error", err)...)
		return
	}
	o.logger.Info("writes again", attrs...)
}
