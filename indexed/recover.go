package indexed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// Open opens the location that the log and the blobs make up, and takes ownership
// of both: Stop closes them, and so does Open when it fails.
//
// It reads the manifest and replays the log after it, so it takes time in
// proportion to both; the context bounds it.
//
// Errors: storage.CorruptError; ErrInvalid for a config out of range; the
// storage's own.
func Open(ctx context.Context, log storage.Log, blob storage.Blob, cfg Config) (*Engine, error) {
	e, err := open(ctx, log, blob, cfg)
	if err != nil {
		return nil, err
	}
	e.life.begin(e.maintainLoop)
	e.life.begin(e.compactLoop)
	e.life.begin(e.collectLoop)
	return e, nil
}

// open is Open without the background work.
func open(ctx context.Context, log storage.Log, blob storage.Blob, cfg Config) (_ *Engine, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, log.Close(), blob.Close())
		}
	}()
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	manifest := manifestReader{blob: blob}
	st, err := manifest.load(ctx, cfg.ListenerWindowBytes)
	if err != nil {
		return nil, err
	}
	if err := manifest.checkNoGap(ctx); err != nil {
		return nil, err
	}
	st.packTails()
	meter, last, err := replay(ctx, st, log)
	if err != nil {
		return nil, err
	}

	e := &Engine{
		cfg: cfg, log: log, blob: blob, st: st, logger: cfg.Logger, run: uuid.NewString(),
		queue:     make(chan *request, cfg.MaxQueuedCommands),
		admission: semaphore.NewWeighted(cfg.MaxTailBytes),
		life:      newLifecycle(),
	}
	e.metrics = newMetrics(func() *state { return st })
	e.metrics.queue = func() (int, int64) { return len(e.queue), e.inFlight.get() }
	if e.blobs, err = part.NewStore(blob, e.cfg.parts(), e.metrics.reads); err != nil {
		return nil, err
	}
	e.metrics.cache = e.blobs.Cached
	if e.unregister, err = e.metrics.register(cfg.Registerer); err != nil {
		return nil, err
	}
	e.initMaintenance(manifest, meter)

	// The tail that was replayed takes its share of the limit, as far as there is one.
	inherited := min(st.tailBytes, cfg.MaxTailBytes)
	e.admission.TryAcquire(inherited)
	excess := st.tailBytes - inherited
	st.onDrop = func(bytes int64) {
		unadmitted := min(excess, bytes)
		excess -= unadmitted
		e.admission.Release(bytes - unadmitted)
	}

	e.collector = collector{wake: make(chan struct{}, 1), turn: semaphore.NewWeighted(1)}
	st.mu.Lock() // metrics may be read from now on
	st.trash.onMore = e.wakeCollector
	st.trash.add(manifest.old...)
	st.mu.Unlock()

	e.logger.InfoContext(ctx, "runtime opened", "seqno", uint64(st.applied), "streams", len(st.streams),
		"tail_bytes", st.tailBytes, "manifest_version", manifest.version)
	c := newCommitter(e, last)
	go c.loop()
	return e, nil
}

// replay brings the state that the manifest describes up to the end of the log.
func replay(ctx context.Context, st *state, log storage.LogReader) (logMeter, storage.SeqNo, error) {
	var meter logMeter
	bounds, err := log.Bounds(ctx)
	if err != nil {
		return meter, 0, fmt.Errorf("tidemark: open the log: %w", err)
	}
	checkpoint := st.applied
	switch {
	case bounds.After > checkpoint:
		// A reader beside the owner may see this when the owner truncates between the two
		// reads, so it can tell by ErrTruncated that another look is worth it.
		return meter, 0, storage.Corruptf("log", -1, "it begins after position %s, but the manifest ends at %s: entries between them are missing: %w", bounds.After, checkpoint, storage.ErrTruncated)
	case bounds.Last < checkpoint:
		return meter, 0, storage.Corruptf("log", -1, "it ends at position %s, but the manifest reflects it up to %s: entries are missing", bounds.Last, checkpoint)
	}
	meter.truncated = bounds.After
	size := sizeOf(log)
	now := time.Now()
	for entry, err := range log.Read(ctx, bounds.After) {
		if err != nil {
			return meter, 0, fmt.Errorf("tidemark: replay the log: %w", err)
		}
		if err := st.replayLocked(entry, checkpoint, now); err != nil {
			return meter, 0, unreadableEntry(entry.SeqNo, err)
		}
		meter.read(entry, size)
	}
	// A reader beside the owner may have got further: the owner appends meanwhile.
	if st.applied < bounds.Last {
		return meter, 0, storage.Corruptf("log", -1, "it was read up to position %s, but ends at %s", st.applied, bounds.Last)
	}
	// The manifest was read to its end, as far as one can see. If it is older than what
	// the log was truncated by, its newest edits are lost. A stream that
	// the log destroys further on needs nothing of it, and is gone by now.
	for _, s := range st.streams {
		//museum:lost-edit
		if s.unflushed && bounds.After > s.flushed {
			return meter, 0, storage.Corruptf("log", -1, "it begins after position %s, but by the manifest, version of position %s, stream %s has updates after %s in it: entries of the log, or newer edits of the manifest, are missing: %w", bounds.After, checkpoint, quoteName(s.name), s.flushed, storage.ErrTruncated)
		}
	}
	st.checkpoint = checkpoint
	return meter, st.applied, nil
}

// replayLocked applies an entry of the log to a state that came from the manifest:
// of those that the manifest reflects, only the data that is in no batch yet.
func (st *state) replayLocked(entry storage.Entry, checkpoint storage.SeqNo, now time.Time) error {
	ops, err := decodeEntry(entry.Data)
	if err != nil {
		return err
	}
	if entry.SeqNo > checkpoint {
		return st.applyLocked(entry.SeqNo, ops, now)
	}
	for i := range ops {
		o := &ops[i]
		//museum:twice-after-restart
		if s := st.streams[o.stream]; s != nil && o.kind == opWrite && o.cols.Len() > 0 && entry.SeqNo > s.flushed {
			st.appendTailLocked(s, tailChunk{entry.SeqNo, entry.SeqNo, o.cols}, now)
		}
	}
	return nil
}
