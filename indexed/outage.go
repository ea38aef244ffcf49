package indexed

import (
	"context"
	"log/slog"
	"time"
)

// outage is a time in which some work fails, again and again. The log gets one line when it
// begins and one when it ends, however many failures there are. The zero value is no
// outage. One goroutine uses it.
type outage struct {
	since    time.Time // of the first failure
	failures int       // 0: no outage
	err      error     // the newest
}

// failed counts a failure, and logs the first.
func (o *outage) failed(logger *slog.Logger, level slog.Level, text string, err error) {
	//museum:line-per-failure
	if o.failures == 0 {
		o.since = time.Now()
		logger.Log(context.Background(), level, text, "error", err)
	}
	o.failures++
	o.err = err
}

// over ends the outage, if there is one, and logs that: the work has succeeded.
func (o *outage) over(logger *slog.Logger, text string) {
	if o.failures > 0 {
		logger.Info(text, "took", time.Since(o.since), "failures", o.failures)
		*o = outage{}
	}
}

// outageCalm is how long everything must succeed before an outage is over. A disk that is
// nearly full takes small appends and refuses large ones.
const outageCalm = 5 * time.Second

// calm is a time within an outage in which everything succeeds. The zero value is none.
type calm struct {
	began time.Time
	over  <-chan time.Time // gets a value when it was long enough; nil: no calm
}

// took notes that something has taken effect.
func (c *calm) took() {
	if c.over == nil {
		c.began, c.over = time.Now(), time.After(outageCalm)
	}
}

// Outage is a time in which a client keeps trying to write, because the log refuses its
// commands without effect. Metrics count it, and the log gets one line when it begins and
// one when it ends. It is over when all commands have taken effect for 5s: a log that takes
// some commands and refuses others makes one outage. One goroutine uses it.
type Outage struct {
	outage
	calm    calm
	metrics *metrics
	logger  *slog.Logger
}

// Outage begins an outage: who keeps trying, which stream it writes, and the error.
func (e *Engine) Outage(who string, id StreamID, stream string, cause error) *Outage {
	o := &Outage{metrics: e.metrics, logger: e.logger.With("stream", ShownName(id, stream))}
	o.metrics.outages.Inc()
	o.failed(o.logger, slog.LevelWarn, who+" cannot write and keeps trying", cause)
	return o
}

// Retry counts another attempt.
func (o *Outage) Retry() {
	o.failures++
	o.metrics.retries.Inc()
}

// Refused notes that a command had no effect again.
func (o *Outage) Refused() { o.calm = calm{} }

// Took notes that a command has taken effect.
func (o *Outage) Took() { o.calm.took() }

// Calm returns a channel that gets a value when the outage is over, unless a command is
// refused before. It is nil if no command has taken effect since the last refusal.
func (o *Outage) Calm() <-chan time.Time { return o.calm.over }

// Over reports whether the outage is over, for callers that may not have received from
// Calm.
func (o *Outage) Over() bool {
	return o.calm.over != nil && time.Since(o.calm.began) >= outageCalm
}

// End ends the outage: it is over, or the client gives up, with err as the reason if there
// is one. If a command has taken effect since the last refusal, the client has not given
// up.
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

// logOutage is a time in which the log refuses appends without effect, and the committer
// goes on. The commit goroutine owns it.
type logOutage struct {
	outage
	logger   *slog.Logger
	metrics  *metrics
	commands int  // commands that failed
	calm     calm // begins with the first append that takes effect after a failure
}

// refused counts an append without effect, of so many commands.
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

// end ends the outage, if there is one: it is over, or the log is not used any more.
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
