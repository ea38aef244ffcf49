package indexed

import (
	"context"
	"fmt"
	"time"
)

// truncates reports whether the newest attempt to truncate the log has succeeded.
func (e *Engine) truncates() bool {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	return e.maintenance.truncation.failures == 0
}

// truncate truncates the log as far as nothing needs it. After a failure it waits before it
// tries again, unless force is set. REQUIRES: round is held.
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
		return err // says nothing about the health of the log
	} else if err != nil {
		t.failed(e.cfg.MinStepInterval)
	} else {
		t.succeeded()
	}
	return err
}

// truncateLog truncates the log up to the position that something still needs: the
// manifest, a tail, or a listener that has fallen behind.
func (e *Engine) truncateLog(ctx context.Context) error {
	st, m := e.st, &e.maintenance
	st.mu.Lock()
	//museum:log-before-manifest
	keep := st.checkpoint
	for _, s := range st.changed {
		//museum:end-of-a-stream/2, end-in-between
		if s.destroyed && !s.manifest.created && s.unflushed {
			// The stream was destroyed after the newest edit, which still names a tail. A
			// reader that has loaded this edit, and has not read the end of the stream in
			// the log yet, needs that tail.
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
