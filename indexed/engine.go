package indexed

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// Engine is the one owner of a location: it takes commands, answers reads and does the
// background work. Its methods may be called by several goroutines at once.
//
// Open starts these goroutines, and Stop ends them:
//
//	commit    decides commands, in order, and applies what is durable
//	append    appends groups of commands to the log; belongs to commit
//	maintain  rounds: flush, manifest, truncation
//	merge     merges batches, and makes large moves to the trace
//	collect   deletes blobs that are not needed any more
//
// Stop has a goroutine of its own, and so has each call of Maintain. The goroutine of a
// call of Maintain ends when the work is done, or when the context of the call and the
// write that is then under way have ended.
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
	life      *lifecycle
	ending    ending

	maintenance maintenance
	collector   collector
	unregister  func()
}

// Register returns the id of a stream. If no stream has the name, Register creates one. It
// blocks until the stream is durable.
//
// Errors: ErrInvalid if a new stream or its codecs have names that are not valid UTF-8 of 1
// to 1,024 bytes for the stream, and of 1 to 4,096 for a codec; ErrCodecMismatch;
// ErrDestroyed; the errors of Submit.
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

// Destroy destroys a stream for ever: its data is deleted, and its name and id are never
// used again. It reports whether the stream was there.
//
// Errors: ErrUnknownStream; the errors of Submit.
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

// Submit hands a command over. The caller must not use the command again. When Submit
// returns, the command has its place in the order of commands: every later request sees its
// effect.
//
// Submit blocks while the queue or the tail is full, until ctx is done. The future is
// filled when the command is durable and applied, or has failed. A command that changes
// nothing is not written; in its turn it gets the position of the newest command before it.
//
// Errors, all of them in the future:
//
//	ErrSealed, ErrSealRegression, ErrSinceRegression,   refused, nothing changed
//	ErrUpperMismatch, ErrPrevious, ErrUnknownStream,
//	ErrDestroyed, ErrInvalid, ErrTooLarge
//	ErrStopped, the context's                           not taken, nothing changed
//	storage.ErrNoEffect                                 the log did not take it, nothing changed
//	ErrOutcomeUnknown                                   durable or not: open the location again
func (e *Engine) Submit(ctx context.Context, c *Command) *Future[storage.SeqNo] {
	if c.submitted {
		return Failed[storage.SeqNo](fmt.Errorf("tidemark: %w: a command was submitted twice: make another one", ErrInvalid))
	}
	c.submitted = true
	if err := e.enqueueCommand(ctx, c); err != nil {
		c.err = err // for commands that follow this one
		c.answer(0, err)
	}
	return &c.future
}

// Describe returns the upper and the since of a stream, after all commands before the call.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped; the context's.
func (e *Engine) Describe(ctx context.Context, name string) (frontier.Description, error) {
	var d frontier.Description
	var err error
	if doErr := e.do(ctx, &request{read: func(st *state) { d, err = st.describeLocked(name) }}); doErr != nil {
		return frontier.Description{}, doErr
	}
	return d, err
}

// Streams lists the live streams by id, as they are after all commands before the call.
//
// Errors: ErrStopped; the context's.
func (e *Engine) Streams(ctx context.Context) ([]StreamInfo, error) {
	var infos []StreamInfo
	if err := e.do(ctx, &request{read: func(st *state) { infos = st.infosLocked() }}); err != nil {
		return nil, err
	}
	return infos, nil
}

// Snapshot returns the contents of a stream after all commands before the call. The caller
// must close it.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped; the context's.
func (e *Engine) Snapshot(ctx context.Context, id StreamID) (*Snapshot, error) {
	s, _, err := e.snapshot(ctx, id, false)
	return s, err
}

// Listen returns a snapshot and a listener that begins exactly there: the listener delivers
// everything that the snapshot does not have, and nothing else. The caller must close both.
//
// Errors: those of Snapshot.
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

// do hands a request over and waits for its answer. If ctx ends before the turn of the
// request, a read is abandoned and has no effect.
func (e *Engine) do(ctx context.Context, r *request) error {
	if err := e.enqueue(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.future.Done():
	case <-ctx.Done():
		e.st.mu.Lock()
		r.abandoned = !r.settled
		e.st.mu.Unlock()
		if r.abandoned {
			return ctx.Err()
		}
		// Its turn has come, so the answer is on its way and must not be lost.
	}
	_, err := r.future.Wait(context.Background())
	return err
}

// Collector returns the metrics of the engine, registered or not.
func (e *Engine) Collector() prometheus.Collector { return e.metrics }
