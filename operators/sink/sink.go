package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"weak"

	"github.com/reugn/go-streams"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/progress"
	"github.com/tidemark-go/tidemark/persist"
)

// Sink writes the elements that it gets to a stream. Its inlet takes one upstream.
//
//	persist.Update, []persist.Update, operators.Result: written, not sealed
//	operators.Batch: written, and sealed to its upper, in one atomic command if it fits
type Sink[K, V any] struct {
	ctx      context.Context
	write    *persist.WriteHandle[K, V]
	opts     options
	refused  error // why the options cannot be used
	in       *edge.Inlet
	progress *progress.Progress
	done     chan struct{}         // closed when everything is durable or has failed
	start    *frontier.Description // of the stream when New asked; nil if there was no answer
	sideName string                // of the side stream
	hasSide  bool                  // the side stream was there when New asked

	mu      sync.Mutex
	errs    []error     // guarded by mu: the first maxErrors
	further int         // guarded by mu
	forget  func() bool // guarded by mu; undoes endWithContext; nil if there is nothing to undo
}

var _ streams.Sink = (*Sink[string, string])(nil)

// maxErrors is how many errors Err keeps. The rest are counted.
const maxErrors = 16

// New returns a sink that writes to the stream. New asks for the stream's upper. This waits
// for the commands that were called before, and at most until ctx ends. Work starts with
// the first element or with AwaitCompletion; after a call of Done or Probe, it also starts
// with the end of the context. If the handle carries an error, or is nil, New returns a
// sink all the same: it discards its input, and Err says why.
//
// Records are written as they come. While commands are on their way, several records are
// gathered into one command. If a record is refused, Err tells it, and the other records
// are written. The sink never seals for records.
//
// Batches may come in any order. The sink puts them in order by their descriptions, and
// writes and seals each one at once. The first batch continues the stream at the upper that
// the stream had when the sink was built. What lies before that upper was written before a
// restart: the sink skips it, also the part of a batch that lies across the upper. So a
// pipeline whose source starts at or before the sink's upper writes each update exactly
// once, no matter how it was stopped. With several sinks, the source starts at the least of
// their uppers (operators.Resume).
//
// The batch across the upper must have its Since before the upper. If its times were
// advanced further, what was written before can no longer be told from the rest, and the
// sink refuses the batch with operators.ErrOverlap.
//
// From the upper on, no other writer may seal the stream. If another one does, such as a
// second pipeline, that writer goes on, and this sink ends with persist.ErrUpperMismatch.
//
// A batch that is larger than a command is written in several commands (docs/parts.md). If
// it has several times, each command seals the times that it writes. A single time that is
// larger than a command is written in parts, which stay unsealed until the last one. If a
// kill leaves such parts, the next sink of the stream takes them back when it begins,
// whatever it is given. So begin no other sink, not even of records, while one writes the
// stream in batches: the one that writes batches would end with persist.ErrUpperMismatch.
//
// The since of the stream follows the Since of the batches: contents that a source has
// advanced to its as-of are not exact as of earlier times, and the stream says so. The
// command that writes the batch advances the since, unless the since is there already.
// Records carry no as-of. If a source in record mode has one, move the since by
// AllowCompaction.
//
// Seals need evidence: a time is sealed because a batch said that it is complete. The end
// of the input seals nothing. After an error among the elements (a Result with an error, a
// foreign element, a refused record), the sink seals nothing more: what is incomplete must
// not be declared complete.
//
// Elements belong to the sink once it has received them. From then on, nothing that their
// keys and values refer to may be changed.
//
// Err has two kinds of errors:
//
//   - Errors after which the sink goes on: operators.ErrForeignElement; the error of a
//     Result; refusals of records (persist.ErrSealed, ErrTooLarge, ErrInvalid, a codec's).
//   - Fatal errors: operators.ErrMissing, ErrOverlap; persist.ErrUpperMismatch, ErrStopped,
//     ErrOutcomeUnknown, ErrDestroyed; any refusal of a batch; that of a storage that stays
//     without effect for longer than Retry says (by default, Retry sets no limit); the
//     context's.
//
// After a fatal error, input is discarded until it is closed, so that no sender hangs.
func New[K, V any](ctx context.Context, write *persist.WriteHandle[K, V], opts ...Option) *Sink[K, V] {
	if write == nil {
		write = new(persist.WriteHandle[K, V]) // it carries an error
	}
	o, err := optionsOf(opts)
	s := &Sink[K, V]{
		ctx: ctx, write: write, opts: o, refused: err,
		progress: progress.New(), done: make(chan struct{}),
	}
	s.in = edge.NewInlet(s.run)
	// go-streams asks for the inlet only with the first element, which may never come. A
	// caller that waits for what is durable already must not wait for that.
	_ = s.begin() // run tries again, and then tells the error
	return s
}

// begin reads the description of the stream, and looks for its side stream.
func (s *Sink[K, V]) begin() error {
	if s.refused != nil {
		return s.refused
	}
	at, err := s.write.Description(s.ctx)
	if err != nil {
		return err
	}
	s.sideName = sideName(s.write.StreamName())
	if s.hasSide, err = s.lookForSide(); err != nil {
		return err
	}
	s.start = &at
	//museum:nothing-new
	s.progress.Advance(at.Upper)
	return nil
}

// endWithContext lets a sink that has had no element yet end with its context, for callers
// that wait for Done or the probe. It does not keep the sink from being collected as
// garbage. A sink without such callers leaves nothing with the context, which may live
// longer than thousands of sinks.
func (s *Sink[K, V]) endWithContext() {
	w, ctx, progress, done := weak.Make(s), s.ctx, s.progress, s.done
	s.mu.Lock() // the context may have ended already
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return // it has run
	default:
	}
	if s.forget != nil {
		return
	}
	s.forget = context.AfterFunc(ctx, func() {
		if s := w.Value(); s != nil {
			s.in.Start()
			return
		}
		select {
		case <-done: // it had run
		default: // it never had an element, and a caller may have kept Done or the probe
			progress.End(context.Cause(ctx))
			close(done)
		}
	})
}

// In returns the channel of elements, the same one every time. The upstream closes it.
func (s *Sink[K, V]) In() chan<- any { return s.in.In() }

// AwaitCompletion blocks until the input was closed and everything that was accepted is
// durable or has failed. It also returns after a fatal error, such as the end of the
// context. Then ask Err.
func (s *Sink[K, V]) AwaitCompletion() {
	s.in.Start()
	<-s.done
}

// Done is closed when AwaitCompletion would return.
func (s *Sink[K, V]) Done() <-chan struct{} {
	s.endWithContext()
	return s.done
}

// Err returns the first errors, joined, with the number of further ones, or nil. Call it
// after AwaitCompletion. Before that, it returns the errors so far.
func (s *Sink[K, V]) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.further > 0 {
		return errors.Join(append(s.errs[:len(s.errs):len(s.errs)],
			fmt.Errorf("tidemark: sink of stream %q: and %d more errors", s.write.StreamName(), s.further))...)
	}
	return errors.Join(s.errs...)
}

// Probe tells what is durable and sealed: the upper that the stream had when the sink was
// built, and then the upper of each batch. Records do not move the probe, since the sink
// seals nothing for them: use Acknowledge. When the sink has ended, waiting for more ends
// with the sink's error, or with operators.ErrEnded.
func (s *Sink[K, V]) Probe() *operators.Probe {
	s.endWithContext()
	return (*operators.Probe)(s.progress.Probe())
}

func (s *Sink[K, V]) addErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) == maxErrors {
		s.further++
		return
	}
	//museum:error-kept-silent
	s.errs = append(s.errs, err)
}

// run is the sink's goroutine. It ends when the input is closed.
func (s *Sink[K, V]) run() {
	w := newWriter(s)
	err := w.run()
	if err != nil {
		if cause := context.Cause(s.ctx); cause != nil && errors.Is(err, s.ctx.Err()) {
			err = cause
		}
		s.addErr(err)
		w.settleAll()
	}
	if err := w.acks.end(w.upper, err); err != nil {
		s.addErr(err)
	}
	s.progress.End(s.Err())
	close(s.done)
	s.mu.Lock()
	forget := s.forget
	s.mu.Unlock()
	if forget != nil {
		forget()
	}
	s.in.Drain()
}
