package indexed

import (
	"context"
	"fmt"
	"time"
)

// truncates reports whether the newest try to truncate the log has succeeded.
func (e *Engine) truncates() bool {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	return e.maintenance.truncation.failures == 0
}

// truncate lets go of the log that files hold too. After a failure it is not tried again
// for a while, unless forced. REQUIRES: round is held.
func (e *Engine) truncate(ctx context.Context, force bool) error {
	t := &e.maintenance.truncation
	e.st.mu.Lock()
	wait := !force && !t.due(time.Now())
	e.st.mu.Unlock()
	if wait {
		return nil
	}
	err := e.truncateLog(ctx)
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return err // which says nothing about the log
	} else if err != nil {
		t.failed(e.cfg.MinStepInterval)
	} else {
		t.succeeded()
	}
	return err
}

// truncateLog lets go of the log as far as nobody needs it: not the state, not the
// tails, not a listener that has fallen behind.
func (e *Engine) truncateLog(ctx context.Context) error {
	st, m := e.st, &e.maintenance
	st.mu.Lock()
	//museum:log-before-manifest
	keep := st.checkpoint
	for _, s := range st.changed {
		//museum:end-of-a-stream/2, end-in-between
		if s.destroyed && !s.manifest.created && s.unflushed {
			// Since the manifest was written. That still tells of a tail, which a reader
			// would miss to whom the end of the stream is not proven yet.
			keep = min(keep, s.listed)
		}
	}
	for _, s := range st.streams {
		if !s.tail.empty() {
			keep = min(keep, s.tail.first()-1)
		}
	}
	keep = min(keep, st.cutLaggedLocked(&m.meter, &e.cfg))
	truncated, broken := m.meter.truncated, e.life.refuses(noState)
	st.mu.Unlock()
	if keep <= truncated || broken {
		return nil
	}
	if err := e.log.Truncate(ctx, keep); err != nil {
		return fmt.Errorf("tidemark: truncate the log up to %s: %w", keep, err)
	}
	st.mu.Lock()
	m.meter.truncate(keep)
	st.mu.Unlock()
	return nil
}
