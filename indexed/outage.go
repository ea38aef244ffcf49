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
	//museum:line-per-failure
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

// outageCalm is how long everything must have taken effect for an outage to be over: a
// disk that is nearly full takes small appends and refuses large ones.
const outageCalm = 5 * time.Second

// calm is the time since something has taken effect in an outage, after which nothing has
// failed. The zero value is none.
type calm struct {
	began time.Time
	over  <-chan time.Time // tells that it was long enough; nil: there is none
}

// took notes that something has taken effect.
func (c *calm) took() {
	if c.over == nil {
		c.began, c.over = time.Now(), time.After(outageCalm)
	}
}

// Outage is a time in which somebody keeps trying because the log refuses his commands
// without effect. It is in the metrics, and has a line in the log at its beginning and one
// at its end. It is over when all commands have taken effect for 5s: a log that takes some
// and refuses others is one outage. It is for one goroutine.
type Outage struct {
	outage
	calm    calm
	metrics *metrics
	logger  *slog.Logger
}

// Outage begins one: who tries, to write what stream, and why he has to.
func (e *Engine) Outage(who string, id StreamID, stream string, cause error) *Outage {
	o := &Outage{metrics: e.metrics, logger: e.logger.With("stream", ShownName(id, stream))}
	o.metrics.outages.Inc()
	o.failed(o.logger, slog.LevelWarn, who+" cannot write and keeps trying", cause)
	return o
}

// Retry counts a try.
func (o *Outage) Retry() {
	o.failures++
	o.metrics.retries.Inc()
}

// Refused notes that a command had no effect, again.
func (o *Outage) Refused() { o.calm = calm{} }

// Took notes that a command has taken effect.
func (o *Outage) Took() { o.calm.took() }

// Calm tells when the outage is over, unless a command is refused before. It is nil while
// none has taken effect since the newest that was refused.
func (o *Outage) Calm() <-chan time.Time { return o.calm.over }

// Over says that the outage is over, for those who may not have listened to Calm.
func (o *Outage) Over() bool {
	return o.calm.over != nil && time.Since(o.calm.began) >= outageCalm
}

// End ends it: it is over, or nobody will try any more, with the reason if there is one. If
// a command has taken effect after the newest that had none, nobody has given up.
func (o *Outage) End(err error) {
	o.metrics.outages.Dec()
	ended := time.Now()
	if o.calm.over != nil {
		ended, err = o.calm.began, nil
	}
	attrs := []any{"took", ended.Sub(o.since), "retries", o.failures - 1}
	if err != nil {
		o.logger.Error("gave up trying to write", append(attrs, "error", err)...)
		return
	}
	o.logger.Info("writes again", attrs...)
}

// logOutage is a time in which the log refuses appends without effect, as the committer
// sees it, who goes on. It belongs to the commit goroutine.
type logOutage struct {
	outage
	logger   *slog.Logger
	metrics  *metrics
	commands int  // that failed
	calm     calm // since an append took effect after the newest failure
}

// refused counts an append that had no effect, of so many commands.
func (o *logOutage) refused(commands int, err error) {
	o.failed(o.logger, slog.LevelError, "the log refuses commands; they fail without effect until it takes them again", err)
	o.commands += commands
	o.calm = calm{}
	o.metrics.logOutage.Set(1)
}

// took notes that an append has taken effect.
func (o *logOutage) took() {
	if o.failures > 0 {
		o.calm.took()
		o.metrics.logOutage.Set(0)
	}
}

// end ends it, if there is one: it is over, or the log will not be asked any more.
func (o *logOutage) end() {
	if o.failures == 0 {
		return
	}
	attrs := []any{"commands", o.commands, "appends", o.failures, "newest_error", o.err}
	if o.calm.over == nil {
		o.logger.Error("the log refused commands to the end", append(attrs, "took", time.Since(o.since))...)
	} else {
		o.logger.Info("the log takes commands again", append(attrs, "took", o.calm.began.Sub(o.since))...)
	}
	o.outage, o.commands, o.calm = outage{}, 0, calm{}
}
