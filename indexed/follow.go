package indexed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// Follower is a read-only view of a location that another process, or another engine of
// this process, writes to. It computes the same state from the same log and manifest. It
// takes no lock and writes nothing. Its methods may be called by several goroutines at
// once.
//
// With a log, every read reflects what was acknowledged before the read. Without a log (a
// reader of blobs alone), a read reflects what the owner has flushed. Such a reader has no
// listeners, because blobs do not tell the order of events.
type Follower struct {
	cfg      Config
	log      storage.LogReader // nil for a reader of blobs alone
	blob     storage.BlobReader
	blobs    *part.Store
	metrics  *metrics
	logger   *slog.Logger
	reported error // newest failure of the follow goroutine, so that it is logged once

	// refresh is held by the one refresh that runs. It guards manifest, pending and meter.
	// It is a semaphore because a refresh takes as long as the storage does: callers wait
	// for it under their contexts.
	refresh  *semaphore.Weighted
	manifest manifestReader
	pending  []*edit // fetched and not applied yet
	rebase   bool    // pending begins with a full copy

	view struct {
		sync.Mutex
		st      *state // replaced when the log was truncated before it was read
		stopped bool
	}
	meter logMeter // of the entries that the view has read; guarded by refresh

	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup
	ending     ending
	unregister func()
}

// OpenRead opens a location for reading. log may be nil. OpenRead owns both readers from
// now on: Stop closes them, and OpenRead closes them if it fails. A location that was never
// written opens as an empty one.
//
// Errors: storage.CorruptError; ErrInvalid for a config out of range; the storage's own.
func OpenRead(ctx context.Context, log storage.LogReader, blob storage.BlobReader, cfg Config) (_ *Follower, err error) {
	f := &Follower{log: log, blob: blob, refresh: semaphore.NewWeighted(1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.closeStorage())
		}
	}()
	if f.cfg, err = cfg.withDefaults(); err != nil {
		return nil, err
	}
	f.logger = f.cfg.Logger
	f.metrics = newMetrics(f.current)
	if f.blobs, err = part.NewStore(blob, f.cfg.parts(), f.metrics.reads); err != nil {
		return nil, err
	}
	f.metrics.cache = f.blobs.Cached
	f.view.st = newState(f.cfg.ListenerWindowBytes)
	if err := f.reload(ctx); err != nil {
		return nil, err
	}
	if f.unregister, err = f.metrics.register(f.cfg.Registerer); err != nil {
		return nil, err
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.background.Add(1)
	go f.followLoop()
	return f, nil
}

// followLoop is the follow goroutine. It refreshes in intervals, so that listeners get
// events and the tail stays small. Reads refresh by themselves.
func (f *Follower) followLoop() {
	defer f.background.Done()
	ticker := time.NewTicker(f.cfg.FollowInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-f.ctx.Done():
			return
		}
		err := f.Refresh(f.ctx)
		if f.ctx.Err() != nil {
			return
		}
		if errors.Is(err, ErrStopped) {
			f.logger.Error("the location is followed no more", "error", err)
			return
		}
		if (err == nil) != (f.reported == nil) {
			if err != nil {
				f.logger.Warn("cannot follow the location; trying again", "error", err)
			} else {
				f.logger.Info("following the location again")
			}
			f.reported = err
		}
	}
}

func (f *Follower) current() *state {
	f.view.Lock()
	defer f.view.Unlock()
	return f.view.st
}

// maxReloads bounds how often one call starts again because the owner was faster than it.
const maxReloads = 10

// Refresh brings the view up to date. Afterwards it reflects everything that was
// acknowledged before the call.
//
// Errors: ErrStopped if the follower was stopped, or if the storage was closed, which also
// ends the listeners; storage.CorruptError. After an error of the storage or the context a
// later call may succeed.
func (f *Follower) Refresh(ctx context.Context) error {
	//museum:refresh-behind-refresh
	if err := f.refresh.Acquire(ctx, 1); err != nil {
		return err
	}
	defer f.refresh.Release(1)
	f.view.Lock()
	stopped := f.view.stopped
	f.view.Unlock()
	if stopped {
		return stoppedError()
	}
	err := f.catchUp(ctx)
	if errors.Is(err, storage.ErrTruncated) {
		f.logger.Warn("the log was truncated beyond what was read; loading the location anew")
		err = f.reload(ctx)
	}
	if errors.Is(err, storage.ErrClosed) {
		// Nothing more can come. Without an end, listeners would wait for ever.
		err = fmt.Errorf("tidemark: %w: the storage that it reads was closed; open the location again: %w", ErrStopped, err)
		f.current().endListeners(err)
	}
	return err
}

// catchUp applies what is new. It fetches new edits of the manifest first, reads the log
// after that, and applies the edits last. So the log was read at least as far as the edits
// reflect it, and whatever an edit moves into batches was seen as an event before.
func (f *Follower) catchUp(ctx context.Context) error {
	st := f.current()
	if err := f.fetchEdits(ctx); err != nil {
		return err
	}
	if f.log != nil {
		if n := len(f.pending); n > 0 {
			f.confirmLog(f.pending[n-1].applied)
		}
		//museum:edits-before-the-log
		if err := f.readLog(ctx, st); err != nil {
			return err
		}
	}
	if len(f.pending) > 0 {
		// The owner deletes what the edits drop. A file that is open here would keep its space.
		f.blobs.ReleaseAll()
	}
	defer f.holdLog(ctx, st)
	st.mu.Lock()
	defer st.mu.Unlock()
	for len(f.pending) > 0 {
		e := f.pending[0]
		if f.log != nil && e.applied > st.applied {
			return storage.Corruptf("log", -1, "it ends at position %s, but the manifest reflects it up to %s: entries are missing", st.applied, e.applied)
		}
		if f.rebase {
			st.rebaseLocked(e)
		}
		if err := st.applyEditLocked(e); err != nil {
			return storage.Corruptf(manifestPrefix, -1, "version %d: %w", e.version, err)
		}
		f.pending, f.rebase = f.pending[1:], false
	}
	return nil
}

// fetchEdits appends new edits of the manifest to pending. If a base has replaced the next
// edits, pending becomes that base and the edits after it.
func (f *Follower) fetchEdits(ctx context.Context) error {
	for {
		replaced, err := f.manifest.follow(ctx, func(e *edit) error {
			f.pending = append(f.pending, e)
			return nil
		})
		if err != nil || !replaced {
			return err
		}
		base, err := f.manifest.loadBase(ctx)
		if err != nil {
			return err
		}
		f.pending, f.rebase = []*edit{base}, true
	}
}

// readLog applies the entries of the log after those that the state has.
func (f *Follower) readLog(ctx context.Context, st *state) error {
	st.mu.Lock()
	applied := st.applied
	st.mu.Unlock()
	for entry, err := range f.log.Read(ctx, applied) {
		if err != nil {
			return fmt.Errorf("tidemark: follow the log after position %s: %w", applied, err)
		}
		ops, err := decodeEntry(entry.Data)
		if err == nil {
			st.mu.Lock()
			err = st.applyLocked(entry.SeqNo, ops, time.Now())
			st.mu.Unlock()
		}
		if err != nil {
			return unreadableEntry(entry.SeqNo, err)
		}
		applied = entry.SeqNo
		f.meter.read(entry, sizeOf(f.log))
	}
	return nil
}

// confirmLog tells the log which entries are proven durable: the owner writes an edit only
// after the entries that the edit reflects are durable.
func (f *Follower) confirmLog(applied storage.SeqNo) {
	if confirmer, ok := f.log.(storage.LogConfirmer); ok {
		confirmer.Confirm(applied)
	}
}

// holdLog keeps readable what this view and its listeners have not read yet. It cuts off
// listeners that would hold too much of what the owner has truncated.
func (f *Follower) holdLog(ctx context.Context, st *state) {
	holder, ok := f.log.(storage.LogHolder)
	if !ok {
		return
	}
	st.mu.Lock()
	//museum:follower-holds-all
	hold := st.cutLaggedLocked(&f.meter, &f.cfg)
	st.mu.Unlock()
	f.meter.truncate(hold)
	holder.Hold(ctx, hold)
}

// reload loads the location from the beginning, and again if the owner truncates its log
// meanwhile. It ends the listeners of the old view.
func (f *Follower) reload(ctx context.Context) error {
	err := f.load(ctx)
	for range maxReloads {
		if !errors.Is(err, storage.ErrTruncated) {
			break
		}
		err = f.load(ctx)
	}
	return err
}

func (f *Follower) load(ctx context.Context) error {
	manifest := manifestReader{blob: f.blob}
	st, err := f.loadManifest(ctx, &manifest)
	if err != nil {
		return err
	}
	var meter logMeter
	if f.log != nil {
		f.confirmLog(st.applied)
		f.holdLog(ctx, st) // the entries that replay needs must stay until it has read them
		var err error
		if meter, _, err = replay(ctx, st, f.log); err != nil {
			return err
		}
	}
	f.manifest, f.pending, f.rebase, f.meter = manifest, nil, false, meter
	f.view.Lock()
	old := f.view.st
	f.view.st = st
	f.view.Unlock()
	old.endListeners(fmt.Errorf("tidemark: %w: the log was truncated while this reader was away: listen again", ErrLagged))
	return nil
}

// loadManifest loads the manifest up to its newest edit. A missing edit before another one
// is damage only if it is missing at a second look too: at the first look the owner may
// have been writing edits, or replacing them by a base.
func (f *Follower) loadManifest(ctx context.Context, m *manifestReader) (*state, error) {
	for seen, again := uint64(0), false; ; seen, again = m.version, true {
		*m = manifestReader{blob: f.blob}
		st, err := m.load(ctx, f.cfg.ListenerWindowBytes)
		if err != nil {
			return nil, err
		}
		err = m.checkNoGap(ctx)
		if err == nil {
			return st, nil
		}
		if !errors.Is(err, storage.ErrCorrupt) || again && m.version == seen {
			return nil, err
		}
	}
}

// Collector returns the metrics of the follower, registered or not.
func (f *Follower) Collector() prometheus.Collector { return f.metrics }

func (f *Follower) closeStorage() error {
	var err error
	if f.log != nil {
		err = f.log.Close()
	}
	return errors.Join(err, f.blob.Close())
}
