package indexed

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// undeleted is garbage that is to be deleted and has not been so far.
type undeleted struct {
	batches  []*batch
	orphans  []string // blobs that no manifest names
	failures int      // in a row
	// again is when what could not be deleted is tried again; zero: at once.
	again time.Time
}

// deleteGarbage deletes the blobs that neither the manifest nor a snapshot needs, and the
// edits that the manifest's base contains.
// What cannot be deleted is tried again after a while, or now if forced. REQUIRES:
// round is held.
func (e *Engine) deleteGarbage(ctx context.Context, force bool) error {
	st, u := e.st, &e.st.undeleted
	st.mu.Lock()
	due := undeleted{batches: st.garbage}
	st.garbage = nil
	again := force || !time.Now().Before(u.again)
	if again {
		due.batches, due.orphans = append(due.batches, u.batches...), u.orphans
		u.batches, u.orphans = nil, nil
	}
	st.mu.Unlock()

	var left undeleted
	var first error
	failed := func(err error) {
		if left.failures++; left.failures == 1 {
			first = err
		}
	}
	for _, b := range due.batches {
		if err := e.deleteBatch(ctx, b); err != nil {
			left.batches = append(left.batches, b)
			failed(err)
		}
	}
	for _, key := range due.orphans {
		if err := e.blob.Delete(ctx, key); err != nil {
			left.orphans = append(left.orphans, key)
			failed(fmt.Errorf("tidemark: delete orphan %s: %w", key, err))
		}
	}
	if again {
		if err := e.maintenance.manifest.deleteOldEdits(ctx); err != nil {
			failed(err)
		}
	}

	st.mu.Lock()
	defer st.mu.Unlock()
	u.batches, u.orphans = append(u.batches, left.batches...), append(u.orphans, left.orphans...)
	switch {
	case first != nil:
		u.failures++
		u.again = time.Now().Add(e.cfg.MinStepInterval << min(u.failures, 6))
	case again:
		u.failures, u.again = 0, time.Time{}
	}
	if left.failures > 1 {
		return fmt.Errorf("%w; and %d more", first, left.failures-1)
	}
	return first
}

func (e *Engine) deleteBatch(ctx context.Context, b *batch) error {
	kind := kindUnsealed
	if b.trace {
		kind = kindTrace
	}
	for i := range b.parts {
		p := &b.parts[i]
		e.blobs.forget(p)
		start := time.Now()
		if err := e.blob.Delete(ctx, p.key); err != nil {
			return fmt.Errorf("tidemark: delete %s: %w", p.key, err)
		}
		e.metrics.deletedBlob(kind, p.size, time.Since(start))
	}
	return nil
}

// collectOrphans finds the blobs of batches that earlier openings wrote and never
// named in a manifest, because they ended in between. It is safe because the
// location has one owner, and the blobs of this opening are told by their key.
func (e *Engine) collectOrphans(ctx context.Context) error {
	m := &e.maintenance
	var orphans []string
	for info, err := range e.blob.List(ctx, batchPrefix) {
		if err != nil {
			return err
		}
		if !m.named[info.Key] && !strings.Contains(info.Key, e.run) {
			orphans = append(orphans, info.Key)
		}
	}
	m.named = nil
	e.st.mu.Lock()
	e.st.undeleted.orphans = orphans
	e.st.mu.Unlock()
	if len(orphans) > 0 {
		e.logger.Info("found blobs that no manifest names; deleting them", "count", len(orphans))
		e.wakeMaintenance()
	}
	return nil
}
