package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/reugn/go-streams"

	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/progress"
	"github.com/tidemark-go/tidemark/persist"
)

// Batch is operators.Batch, the element that a BatchSource emits. It has a name here, so that
// a flow between a source and a sink does not need package operators.
type Batch[K, V any] = operators.Batch[K, V]

// BatchSource emits a stream in batch mode. It emits sealed updates only: one batch for each
// advance of the upper, with the description of what the batch covers.
//
//	stream   u1 -- seal 2 -- u2 -- seal 5 -- seal 7 -- finish
//
//	out      ------ [0,2) --------- [2,5) --- [5,7) --- [7,{}) --|
//
//	probe    {0} --- {2} ----------- {5} ----- {7} ------ {} ----
//
// Elements are operators.Batch[K, V], in order, without gaps. All seals that come while the
// consumer is busy make one batch. A batch that would be too large is cut into several
// (MaxBatchUpdates, MaxBatchBytes). The outlet takes one consumer.
type BatchSource[K, V any] struct {
	ctx      context.Context
	read     *persist.ReadHandle[K, V]
	opts     batchOptions
	history  history[K, V]
	position position[K, V]
	progress *progress.Progress
	out      *edge.Outlet
	errs     *edge.Errors[operators.Error]
	refused  atomic.Bool // a second consumer came
	// How many positions were taken, one after the other. More than one: pending updates did
	// not fit.
	positions atomic.Int64
}

var _ streams.Source = (*BatchSource[string, string])(nil)

// NewBatches returns a source of the stream's sealed contents. Like New, it takes its
// position when it is called. It returns a source even if the stream cannot be read.
//
// Shape:  batches [l0, l1), [l1, l2), ..., from the lower of From on. Each is complete, and
// consolidated by the encoding of keys and values. Times are advanced to the as-of. A sum of
// math.MinInt64, which no write takes, is two updates, of -math.MaxInt64 and -1. The emitted
// updates depend on the contents of the stream alone. How they are cut into batches also
// depends on when the source was built. The batches are the consumer's: it may change them.
//
// Errors: a batch is complete or not emitted, so the source ends with its first error. It
// reports the error by Err, Errs and its probe, and closes its outlet. Errors are those of New,
// and those of From: persist.ErrInvalid and persist.ErrAsOfBeforeSince for a start from which
// the output would not be exact; and persist.ErrInvalid for an option that is refused.
//
// An update is decoded when its batch is made (and again, if stored history has to be cut into
// smaller batches than was planned). If it cannot be decoded, the source ends when a seal has
// covered it, after a batch that ends at its time: all updates before that time were emitted.
// If it was retracted by then, the source does not end. A sum that no int64 holds
// (persist.ErrOverflow) ends the source in the same way, but of stored history the batch
// before it may be missing.
//
// Ends:   as a source of New.
//
// Holds:  as a source of New; about MaxPendingBytes of updates that are not sealed; the batch
// that the consumer takes next; stored history, as MaxBatchBytes says.
func NewBatches[K, V any](ctx context.Context, read *persist.ReadHandle[K, V], opts ...BatchOption) *BatchSource[K, V] {
	if read == nil {
		read = new(persist.ReadHandle[K, V]) // which carries an error
	}
	o, err := batchOptionsOf(opts)
	s := &BatchSource[K, V]{ctx: ctx, read: read, opts: o, progress: progress.New(), position: position[K, V]{err: err}}
	if err == nil {
		s.position = listen(ctx, read)
	}
	s.history = history[K, V]{stream: read.StreamName(), asOf: s.opts.asOf, decoder: read.Decoder()}
	s.errs = edge.NewErrors[operators.Error](ctx.Done(), s.name())
	s.out = edge.NewOutlet(ctx.Done(), s.run, func() any {
		s.refused.Store(true)
		s.report(edge.ConnectedTwice(s.name()))
		return nil
	})
	s.progress.Advance(s.opts.from)
	releaseWhenDone(ctx, s, s.progress)
	return s
}

func (s *BatchSource[K, V]) name() string {
	return fmt.Sprintf("source of stream %q", s.read.StreamName())
}

// Probe shows the upper of the last batch that the consumer has taken. Waiting ends with the
// source's error when the source fails, and with the context's when the context ends.
func (s *BatchSource[K, V]) Probe() *operators.Probe { return (*operators.Probe)(s.progress.Probe()) }

// Err returns the error that ended the source. It returns nil while the source runs, and
// after the end of a finished stream. After a second consumer was refused, the error matches
// operators.ErrConnected.
func (s *BatchSource[K, V]) Err() error {
	err := s.progress.Probe().Err()
	if s.refused.Load() {
		err = errors.Join(err, edge.ConnectedTwice(s.name()))
	}
	return err
}

// Errs returns the source's err side, for pipelines that collect errors. It may be
// left alone. It closes when the source has ended.
func (s *BatchSource[K, V]) Errs() *operators.ErrSide { return (*operators.ErrSide)(s.errs) }

// Out returns the channel of batches, the same one every time.
func (s *BatchSource[K, V]) Out() <-chan any { return s.out.Out() }

// Via wires the source to a flow and returns the flow. A second consumer, by Via, To or Out,
// gets nothing: Err then matches operators.ErrConnected, and Errs gets that error, too, unless
// it has closed.
func (s *BatchSource[K, V]) Via(flow streams.Flow) streams.Flow { return s.out.Via(flow) }

// To wires the source to a sink and blocks until it has completed.
func (s *BatchSource[K, V]) To(sink streams.Sink) { s.out.To(sink) }

// Done is closed when the context of the source has ended.
func (s *BatchSource[K, V]) Done() <-chan struct{} { return s.out.Done() }

func (s *BatchSource[K, V]) outlet() *edge.Outlet { return s.out }

func (s *BatchSource[K, V]) release() {
	s.position.close()
	s.errs.Finish()
}

func (s *BatchSource[K, V]) report(err error) {
	time, _ := s.progress.Probe().Frontier().Elem()
	s.errs.Report(operators.Error{Err: err, Time: time, Diff: 1})
}

// run is the source's goroutine. It ends with the stream, at an error, or with the context.
func (s *BatchSource[K, V]) run() {
	defer s.errs.Finish()
	defer s.out.Close()
	err := errExited
	defer func() { s.end(err) }() // also if a codec ends this goroutine
	err = s.emit()
}

// end reports why the source has ended.
func (s *BatchSource[K, V]) end(err error) {
	switch {
	case errors.Is(err, io.EOF):
		s.progress.End(nil)
	case s.ctx.Err() != nil:
		s.progress.End(context.Cause(s.ctx))
	default:
		if closed := s.out.Err(); closed != nil {
			err = closed
		}
		s.report(err)
		s.progress.End(err)
	}
}

// emit takes one position after the other. A position lasts until a seal passes the horizon.
// The next position has the updates that were given up.
func (s *BatchSource[K, V]) emit() error {
	defer s.out.Guard()
	defer func() { s.position.close() }()
	if s.position.err != nil {
		return s.position.err
	}
	e := &emitter[K, V]{BatchSource: s, target: s.out.Target(), lower: s.opts.from, pending: newPending(s.read.StreamName())}
	for {
		s.positions.Add(1)
		err := e.follow()
		if errors.Is(err, persist.ErrOverflow) {
			return fmt.Errorf("tidemark: if that time is sealed already, what retracts some of the sum comes too late for it: then begin again with an empty sink, as of the time of the retraction or later (source.AsOf): %w", err)
		}
		if !errors.Is(err, errSpilled) {
			return err
		}
		s.position.close()
		s.position = listen(s.ctx, s.read)
		if s.position.err != nil {
			return s.position.err
		}
	}
}
