package indexed

import (
	"context"
	"log/slog"
	"time"
)

// outage is a time in which something fails, is tried again, and fails again. It has a
// line in the log at its beginning and one at its end, however many failures there are
// in between. The zero value is none; it is for one goroutine.
type outage struct {
	since    time.Time // of the first failure
	failures int       // 0: there is none
	err      error     // the newest
}

// failed counts a failure, and tells of the first.
func (o *outage) failed(logger *slog.Logger, level slog.Level, text string, err error) {
	if o.failures == 0 {
		o.since = time.Now()
		logger.Log(context.Background(), level, text, "error", err)
	}
	o.failures++
	o.err = err
}

// over tells that it is over, if there was one: work that was tried has succeeded.
func (o *outage) over(logger *slog.Logger, text string) {
	if o.failures > 0 {
		logger.Info(text, "took", time.Since(o.since), "failures", o.failures)
		*o = outage{}
	}
}

// Outage is a time in which somebody keeps trying because the log refuses his commands
// without effect. It is in the metrics, and has a line in the log at its beginning and one
// at its end. It is for one goroutine.
type Outage struct {
	outage
	metrics *metrics
	logger  *slog.Logger
}

// Outage begins one: who tries, to write what stream, and why he has to.
func (e *Engine) Outage(who, stream string, cause error) *Outage {
	o := &Outage{metrics: e.metrics, logger: e.logger.With("stream", stream)}
	o.metrics.outages.Inc()
	o.failed(o.logger, slog.LevelWarn, who+" cannot write and keeps trying", cause)
	return o
}

// Retry counts a try.
func (o *Outage) Retry() {
	o.failures++
	o.metrics.retries.Inc()
}

// End ends it: with nil when a command has taken effect, else with the reason why nobody
// tries any more.
func (o *Outage) End(err error) {
	o.metrics.outages.Dec()
	attrs := []any{"took", time.Since(o.since), "retries", o.failures - 1}
	if err != nil {
		o.logger.Error("gave up trying to write", append(attrs, "error", err)...)
		return
	}
	o.logger.Info("writes again", attrs...)
}

// logCalm is how long the log must have taken all appends for an outage of it to be over:
// a disk that is nearly full takes small ones and refuses large ones.
const logCalm = 5 * time.Second

// logOutage is a time in which the log refuses appends without effect, as the committer
// sees it, who goes on. It belongs to the commit goroutine.
type logOutage struct {
	outage
	logger   *slog.Logger
	metrics  *metrics
	commands int              // that failed
	again    time.Time        // when an append took effect after the newest failure; zero: none did
	calm     <-chan time.Time // tells that it is over; nil: it is not to be expected
}

// refused counts an append that had no effect, of so many commands.
func (o *logOutage) refused(commands int, err error) {
	o.failed(o.logger, slog.LevelError, "the log refuses commands; they fail without effect until it takes them again", err)
	o.commands += commands
	o.again, o.calm = time.Time{}, nil
	o.metrics.logOutage.Set(1)
}

// took notes that an append has taken effect.
func (o *logOutage) took() {
	if o.failures > 0 && o.calm == nil {
		o.again, o.calm = time.Now(), time.After(logCalm)
		o.metrics.logOutage.Set(0)
	}
}

// end ends it, if there is one: it is over, or the log will not be asked any more.
func (o *logOutage) end() {
	if o.failures == 0 {
		return
	}
	attrs := []any{"commands", o.commands, "appends", o.failures, "newest_error", o.err}
	if o.again.IsZero() {
		o.logger.Error("the log refused commands to the end", append(attrs, "took", time.Since(o.since))...)
	} else {
		o.logger.Info("the log takes commands again", append(attrs, "took", o.again.Sub(o.since))...)
	}
	o.outage, o.commands, o.again, o.calm = outage{}, 0, time.Time{}, nil
}
