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

// Open opens the location that log and blob hold together, for writing. It owns both from
// now on: Stop closes them, and Open closes them if it fails.
//
// Open reads the manifest and replays the log after it. The time that it takes is in
// proportion to both, and ctx bounds it.
//
// Errors: storage.CorruptError; ErrInvalid for a config out of range; the storage's own.
func Open(ctx context.Context, log storage.Log, blob storage.Blob, cfg Config) (*Engine, error) {
	e, err := open(ctx, log, blob, cfg)
	if err != nil {
		return nil, err
	}
	e.life.begin(e.maintainLoop)
	e.life.begin(e.mergeLoop)
	e.life.begin(e.collectLoop)
	return e, nil
}

// open is Open without the background work.
//
// # Recovery
//
// The log is the truth, but only its end is left: the manifest says which batches hold the
// rest. Three positions tell where each update is:
//
//	                 flushed, of each stream
//	                           |
//	log   After ---------------+------------- checkpoint --------------- Last
//	                in batches | to the tail     |     applied as a whole
//
// What they mean:
//
//   - checkpoint: the newest edit of the manifest reflects the log up to here. Its frontiers,
//     its registrations and its destroyed streams are those of this position.
//   - flushed: the batches of one stream hold its updates up to here. A stream whose tail was
//     not flushed when the edit was written has a flushed position before the checkpoint.
//   - After and Last: the log holds the entries after After, up to Last.
//
// The steps:
//
//  1. Load the base of the manifest and the edits after it.
//  2. Check that the log begins at or before the checkpoint, and ends at or after it.
//  3. Replay the log. Of an entry at or before the checkpoint only one kind of operation
//     counts: a write after the flushed position of its stream. It goes to the tail; the
//     manifest has everything else. A later entry is applied as a whole.
//  4. In the background, delete blobs that no manifest names (collectOrphans).
//
// What is missing is damage; it never opens as an older state. Three checks find it: an
// edit is missing before another edit (checkNoGap); the log does not reach the checkpoint
// from both sides; or the log begins after the flushed position of a stream that has a tail
// by the manifest. The last one finds that the newest edits are lost: the log was truncated
// for an edit that is not there.
//
// A round writes batches, then an edit, then truncates the log; garbage is deleted after
// the edit. A crash between two of these leaves:
//
//	crash after   what is left                   why that is harmless
//	batches       blobs that no manifest names   deleted as orphans; the log has the updates
//	the edit      a log longer than needed       flushed says what the batches hold already
//	truncation    batches that were replaced     no manifest names them: orphans again
//
// open writes nothing to the storage. After it, package file settles the location: it cuts a
// torn tail, makes the last group durable and flushes the directory (docs/format-file.md).
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

	// The replayed tail takes its share of MaxTailBytes. If it is larger than the limit,
	// the excess has no share, and gives none back when it leaves the tail.
	inherited := min(st.tailBytes, cfg.MaxTailBytes)
	e.admission.TryAcquire(inherited)
	excess := st.tailBytes - inherited
	st.onVisits = e.wakeMerges
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

// replay brings a state that was loaded from the manifest to the end of the log: see open.
// It returns a meter of what it has read, and the last position.
func replay(ctx context.Context, st *state, log storage.LogReader) (logMeter, storage.SeqNo, error) {
	var meter logMeter
	bounds, err := log.Bounds(ctx)
	if err != nil {
		return meter, 0, fmt.Errorf("tidemark: open the log: %w", err)
	}
	checkpoint := st.applied
	switch {
	case bounds.After > checkpoint:
		// A reader beside the owner sees this if the owner truncates the log between the
		// two reads. ErrTruncated tells the reader to load the location again.
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
	// A reader beside the owner may read further than Last: the owner appends meanwhile.
	if st.applied < bounds.Last {
		return meter, 0, storage.Corruptf("log", -1, "it was read up to position %s, but ends at %s", st.applied, bounds.Last)
	}
	// The manifest was read up to the newest edit that is there. If the log was truncated
	// for a still newer edit, that edit is lost. A stream that the log destroys later needs
	// no update of the missing entries, and it is gone from st.streams by now.
	for _, s := range st.streams {
		//museum:lost-edit
		if s.unflushed && bounds.After > s.flushed {
			return meter, 0, storage.Corruptf("log", -1, "it begins after position %s, but by the manifest, version of position %s, stream %s has updates after %s in it: entries of the log, or newer edits of the manifest, are missing: %w", bounds.After, checkpoint, quoteName(s.name), s.flushed, storage.ErrTruncated)
		}
	}
	st.checkpoint = checkpoint
	return meter, st.applied, nil
}

// replayLocked applies one entry of the log to a state that came from the manifest. Of an
// entry that the manifest reflects, it takes only the updates that are in no batch yet.
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
