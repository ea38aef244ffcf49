package indexed

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
)

// garbage is a blob that is not needed any more: a part of a batch that neither the durable
// manifest nor a snapshot needs, a part that no manifest has named, or an edit that the
// base of the manifest contains.
type garbage struct {
	key  string
	kind string // the label in metrics
	size int64  // 0: not known
}

// trash is the garbage of a state.
type trash struct {
	blobs []garbage
	kept  []garbage // blobs that could not be deleted
	tries retry     // of deleting kept; its again is zero if kept is empty
	// onMore, if set, is told of new garbage. It must not block.
	onMore func()
}

func (t *trash) add(blobs ...garbage) {
	t.blobs = append(t.blobs, blobs...)
	if len(blobs) > 0 && t.onMore != nil {
		t.onMore()
	}
}

// addBatch adds the parts of a batch. REQUIRES: the batch is in no set and in no manifest.
func (t *trash) addBatch(b *batch) {
	blobs := make([]garbage, len(b.parts))
	for i := range b.parts {
		blobs[i] = garbage{b.parts[i].Key, b.kind(), b.parts[i].Size}
	}
	t.add(blobs...)
}

func (t *trash) count() int { return len(t.blobs) + len(t.kept) }

// collector deletes garbage. It is apart from rounds for two reasons: deleting much, or
// failing to delete, delays no flush; and on a full disk it frees space even if a round
// cannot write the manifest.
type collector struct {
	wake chan struct{} // one token: there is garbage
	turn *semaphore.Weighted
}

func (e *Engine) wakeCollector() {
	select {
	case e.collector.wake <- struct{}{}:
	default:
	}
}

// collectLoop is the collect goroutine. It sleeps until there is garbage, or until a failed
// deletion is due again.
func (e *Engine) collectLoop() {
	timer := time.NewTimer(0) // what an earlier opening left is deleted at once
	defer timer.Stop()
	var searches, deletions outage
	searched := false
	var search retry
	for {
		select {
		case <-e.collector.wake:
		case <-timer.C:
		case <-e.life.work.Done():
			return
		}
		timer.Stop()
		if !searched && search.due(time.Now()) {
			if err := e.collectOrphans(e.life.work); err == nil {
				searched = true
				search.succeeded()
				searches.over(e.logger, "blobs could be listed again")
			} else if e.life.work.Err() == nil {
				searches.failed(e.logger, slog.LevelWarn, "could not list blobs to find those that no manifest names; it is tried again and again", err)
				//museum:orphans-given-up
				search.failed(e.cfg.MinStepInterval)
			}
		}
		err := e.deleteGarbage(e.life.work, false)
		if e.life.work.Err() != nil || e.life.refuses(noBackground) {
			return
		}
		if err != nil {
			deletions.failed(e.logger, slog.LevelWarn, "blobs that are needed no more could not be deleted; it is tried again and again", err)
		}
		e.st.mu.Lock()
		again := e.st.trash.tries.again
		e.st.mu.Unlock()
		if again.IsZero() {
			deletions.over(e.logger, "blobs could be deleted again")
		}
		if again.IsZero() || !searched && search.again.Before(again) {
			again = search.again
		}
		if !again.IsZero() {
			timer.Reset(max(0, time.Until(again)))
		}
	}
}

// deleteGarbage deletes the garbage that there is. A blob that cannot be deleted is tried
// again later, or now if force is set.
func (e *Engine) deleteGarbage(ctx context.Context, force bool) error {
	if err := e.collector.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer e.collector.turn.Release(1)
	st, t := e.st, &e.st.trash
	st.mu.Lock()
	again := force || !t.tries.again.IsZero() && t.tries.due(time.Now())
	if again {
		t.blobs, t.kept = append(t.blobs, t.kept...), nil
	}
	n := len(t.blobs) // later garbage is for the next call
	st.mu.Unlock()

	var first error
	failed := 0
	for range n {
		if err := e.life.refused(noBackground); err != nil {
			return err
		}
		st.mu.Lock()
		g := t.blobs[0]
		if t.blobs = t.blobs[1:]; len(t.blobs) == 0 {
			t.blobs = nil // frees the memory
		}
		st.mu.Unlock()
		start := time.Now()
		e.blobs.Forget(g.key)
		err := e.blob.Delete(ctx, g.key)
		if err == nil {
			e.metrics.deletedBlob(g.kind, g.size, time.Since(start))
			continue
		}
		if ctx.Err() != nil {
			st.mu.Lock()
			t.add(g)
			st.mu.Unlock()
			return err
		}
		e.taken(err)
		e.metrics.blobDeleteErrors.Inc()
		if failed++; failed == 1 {
			first = fmt.Errorf("tidemark: delete %s: %w", g.key, err)
		}
		st.mu.Lock()
		t.kept = append(t.kept, g)
		st.mu.Unlock()
	}

	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case len(t.kept) == 0:
		t.tries.succeeded()
	case again || t.tries.again.IsZero():
		t.tries.failed(e.cfg.MinStepInterval)
	}
	if failed > 1 {
		return fmt.Errorf("%w; and %d more", first, failed-1)
	}
	return first
}

// collectOrphans finds the blobs of batches that no manifest names, because an earlier
// opening ended after it wrote them and before it wrote the edit. This is safe: the
// location has one owner, and the keys of this opening's blobs contain its id.
func (e *Engine) collectOrphans(ctx context.Context) error {
	m := &e.maintenance
	var orphans []garbage
	for info, err := range e.blob.List(ctx, batchPrefix) {
		if err != nil {
			return err
		}
		//museum:orphan-that-is-not
		if !m.named[info.Key] && !strings.Contains(info.Key, e.run) {
			orphans = append(orphans, garbage{info.Key, kindOrphan, info.Size})
		}
	}
	m.named = nil
	e.st.mu.Lock()
	e.st.trash.add(orphans...)
	e.st.mu.Unlock()
	if len(orphans) > 0 {
		e.logger.Info("found blobs that no manifest names; deleting them", "count", len(orphans))
	}
	return nil
}
