package indexed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// Engine is the one owner of a location: it takes commands, answers reads and
// keeps the place tidy. Its methods may be called by several goroutines at once.
//
// Goroutines, all started by Open and ended by Stop, which is one more while it lasts:
//
//	commit    decides commands, in order, and applies what is durable
//	append    writes and flushes groups; owned by commit
//	maintain  rounds of maintenance: flush, manifest, truncation
//	compact   merges batches
//	collect   deletes blobs that nobody needs any more
//
// and one for each call of Maintain, which ends when its caller's context has, and the
// write that is then under way.
type Engine struct {
	cfg     Config
	log     storage.Log
	blob    storage.Blob
	st      *state
	blobs   *part.Store
	metrics *metrics
	logger  *slog.Logger
	run     string // unique to this opening; part of the keys of its blobs

	queue     chan *request
	admission *semaphore.Weighted
	inFlight  inFlightBytes
	waiting   atomic.Int64 // bytes of updates that wait for admission
	handsOff  atomic.Bool  // no more background work: another owner has the log, or the state is broken
	handedOff sync.Once    // tells of it

	// submit guards closed: submitters hold it shared while they send to the queue, so
	// that once closed is set nothing more gets in.
	submit struct {
		sync.RWMutex
		closed bool
	}

	// ctx is done when the engine stops; background work runs under it.
	ctx    context.Context
	cancel context.CancelFunc
	// refusing is done when no more commands are accepted: nobody makes room any more
	// for those that wait for it.
	refusing   context.Context
	refuse     context.CancelCauseFunc
	stopping   chan struct{} // closed when the commit goroutine takes no more
	commitDone chan struct{}
	background sync.WaitGroup
	ending     ending
	// beginning guards ended: goroutines are added to background before that, so that the
	// end waits for them.
	beginning struct {
		sync.Mutex
		ended bool
	}

	maintenance maintenance
	collector   collector
	unregister  func()
}

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
	e.background.Add(3)
	go e.maintainLoop()
	go e.compactLoop()
	go e.collectLoop()
	return e, nil
}

// begin does something in a goroutine of the engine, which Stop waits for, unless the engine
// has stopped.
func (e *Engine) begin(do func()) bool {
	e.beginning.Lock()
	defer e.beginning.Unlock()
	if !e.beginning.ended {
		e.background.Go(do)
	}
	return !e.beginning.ended
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
		queue:      make(chan *request, cfg.MaxQueuedCommands),
		admission:  semaphore.NewWeighted(cfg.MaxTailBytes),
		stopping:   make(chan struct{}),
		commitDone: make(chan struct{}),
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
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.refusing, e.refuse = context.WithCancelCause(e.ctx)
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

// Register returns the id of a stream, which is created if its name is new.
//
// Errors: ErrInvalid if a new stream or its codecs have names that are not valid UTF-8, of
// 1 to 1,024 bytes for the stream and to 4,096 for a codec; ErrCodecMismatch,
// ErrDestroyed; as Submit.
func (e *Engine) Register(ctx context.Context, name, keyCodec, valCodec string) (StreamID, error) {
	var id StreamID
	if err := e.do(ctx, &request{plan: func(p *plan) (ops []op, err error) {
		id, ops, err = p.register(name, keyCodec, valCodec)
		return ops, err
	}}); err != nil {
		return 0, err
	}
	return id, nil
}

// Destroy destroys a stream for good: its data is deleted, its name and id are
// never used again. It reports whether the stream was there.
//
// Errors: ErrUnknownStream; as Submit.
func (e *Engine) Destroy(ctx context.Context, name string) (bool, error) {
	var destroyed bool
	if err := e.do(ctx, &request{plan: func(p *plan) (ops []op, err error) {
		destroyed, ops, err = p.destroy(name)
		return ops, err
	}}); err != nil {
		return false, err
	}
	return destroyed, nil
}

// Submit hands a command over, which is not to be used again. It returns once the command has its place in the
// order of commands: whatever is submitted after sees it. It blocks while the
// queue or the tail is full, under the context; the future is filled when the
// command is durable and applied, or was refused. A command that changes nothing is
// answered in its turn, with the position of the newest command before it, and is not
// written.
//
// Errors, in the future: ErrSealed, ErrSealRegression, ErrSinceRegression,
// ErrUpperMismatch, ErrPrevious, ErrUnknownStream, ErrDestroyed, ErrTooLarge: refused,
// nothing changed. ErrStopped and the context's: not taken, nothing changed. An error that
// matches storage.ErrNoEffect: the log could not take it, nothing changed.
// ErrOutcomeUnknown.
func (e *Engine) Submit(ctx context.Context, c *Command) *Future[storage.SeqNo] {
	r := &c.request
	if r.cmd != nil {
		return Failed[storage.SeqNo](fmt.Errorf("tidemark: %w: a command was submitted twice: make another one", ErrInvalid))
	}
	r.cmd = c
	if err := e.enqueue(ctx, r); err != nil {
		r.err = err // for those that follow
		r.answer(0, err)
	}
	return &c.future
}

// Describe returns the description of a stream, as of all commands before.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped.
func (e *Engine) Describe(ctx context.Context, name string) (frontier.Description, error) {
	var d frontier.Description
	var err error
	if doErr := e.do(ctx, &request{read: func(st *state) { d, err = st.describeLocked(name) }}); doErr != nil {
		return frontier.Description{}, doErr
	}
	return d, err
}

// Streams lists the live streams in order of their ids, as of all commands before.
func (e *Engine) Streams(ctx context.Context) ([]StreamInfo, error) {
	var infos []StreamInfo
	if err := e.do(ctx, &request{read: func(st *state) { infos = st.infosLocked() }}); err != nil {
		return nil, err
	}
	return infos, nil
}

// Snapshot returns the contents of a stream as of all commands before. It is to
// be closed.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped.
func (e *Engine) Snapshot(ctx context.Context, id StreamID) (*Snapshot, error) {
	s, _, err := e.snapshot(ctx, id, false)
	return s, err
}

// Listen returns a snapshot and a listener, in one step: whatever is in the
// snapshot is never delivered, and whatever comes after it is. Both are to be
// closed.
//
// Errors: as Snapshot.
func (e *Engine) Listen(ctx context.Context, id StreamID) (*Snapshot, *Listener, error) {
	return e.snapshot(ctx, id, true)
}

func (e *Engine) snapshot(ctx context.Context, id StreamID, listen bool) (snap *Snapshot, l *Listener, err error) {
	r := &request{read: func(st *state) {
		var s *stream
		if s, err = st.byIDLocked(id); err != nil {
			return
		}
		snap = st.snapshotLocked(s, e.blobs)
		//museum:listener-too-late
		if listen {
			l = st.newListenerLocked(s, e.log, e.metrics)
		}
	}}
	//museum:read-past-the-queue
	if doErr := e.do(ctx, r); doErr != nil {
		return nil, nil, doErr
	}
	//museum:listener-too-late/2
	return snap, l, err
}

// do hands a request over and waits for its answer. If the context ends before its
// turn, a read is abandoned and has no effect.
func (e *Engine) do(ctx context.Context, r *request) error {
	answer := make(chan error, 1)
	r.done = func(_ storage.SeqNo, err error) { answer <- err }
	if err := e.enqueue(ctx, r); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	e.st.mu.Lock()
	r.abandoned = !r.settled
	e.st.mu.Unlock()
	if !r.abandoned {
		// Its turn has come, so the answer is on its way and must not be lost.
		return <-answer
	}
	return ctx.Err()
}

// Collector returns the metrics of the engine, registered or not.
func (e *Engine) Collector() prometheus.Collector { return e.metrics }
