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

// Follower is a read-only view of a location that another process, or another
// engine of this one, writes to. It computes the same state from the same log and
// manifest, needs no lock and writes nothing. Its methods may be called by several
// goroutines at once.
//
// With a log every read reflects what was acknowledged before it. Without one (a
// reader of blobs alone) it reflects what the owner has flushed; listeners are
// then refused, since blobs do not tell the order of events.
type Follower struct {
	cfg      Config
	log      storage.LogReader // nil for a reader of blobs alone
	blob     storage.BlobReader
	blobs    *part.Store
	metrics  *metrics
	logger   *slog.Logger
	reported error // newest failure of the follow goroutine, so that it is logged once

	// refresh is held by the one refresh that runs; it guards manifest, pending and meter.
	// It is waited for under a context, since a refresh takes as long as the storage does.
	refresh  *semaphore.Weighted
	manifest manifestReader
	pending  []*edit // fetched and not applied yet
	rebase   bool    // pending begins with a full copy

	view struct {
		sync.Mutex
		st      *state // replaced when the log was truncated under us
		stopped bool
	}
	meter logMeter // of what the view has read; guarded by refresh

	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup
	ending     ending
	unregister func()
}

// OpenRead opens a location for reading. log may be nil. It takes ownership of
// both readers: Stop closes them, and so does OpenRead when it fails. A location
// that was never written is empty, not an error.
//
// Errors: storage.CorruptError; ErrInvalid for a config out of range; the
// storage's own.
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

// followLoop is the follow goroutine: it looks at the location in intervals, for
// the sake of listeners and of the tail's size; reads look for themselves.
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

// maxReloads bounds how often one refresh starts over because the owner went on
// faster than it was read.
const maxReloads = 10

// Refresh brings the view up to date with the location: afterwards it reflects
// everything that was acknowledged before the call.
//
// Errors: ErrStopped, also if the storage was closed, which ends the listeners;
// storage.CorruptError; the storage's own and the context's, after which a later call
// may succeed.
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
		// Nothing more can come, and listeners would wait for it.
		err = fmt.Errorf("tidemark: %w: the storage that it reads was closed; open the location again: %w", ErrStopped, err)
		f.current().endListeners(err)
	}
	return err
}

// catchUp applies what is new. The edits of the manifest are fetched first and
// applied last: the log then reaches at least as far as they reflect it, so that
// whatever they cover has been seen as events before.
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

// fetchEdits adds what the manifest has that is new to pending. A base that took
// the place of edits is followed by others, so it is looked at again after one.
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

// readLog applies the entries after those that the state has.
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

// confirmLog tells the log what the manifest proves: an edit is written after the
// entries that it reflects were durable.
func (f *Follower) confirmLog(applied storage.SeqNo) {
	if confirmer, ok := f.log.(storage.LogConfirmer); ok {
		confirmer.Confirm(applied)
	}
}

// holdLog keeps readable what this view and its listeners have yet to read, and cuts off
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

// reload loads the location anew, again if the owner truncates its log meanwhile,
// and ends the listeners of the view before.
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
		f.holdLog(ctx, st) // so that what the manifest does not reflect stays while it is replayed
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

// loadManifest loads the manifest to its end. An edit that is missing before others is
// damage if it is missing at a second look as well: at the first the owner may have
// been about to write more, or to put a base in place of them.
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
