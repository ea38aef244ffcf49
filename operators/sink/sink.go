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

// Sink writes what it is given to a stream. Its inlet takes one upstream.
//
//	persist.Update, []persist.Update, operators.Result: written, not sealed
//	operators.Batch: written, and sealed to its upper, in one atomic command
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
	hasSide  bool                  // and whether it was there then

	mu      sync.Mutex
	errs    []error     // guarded by mu: the first maxErrors
	further int         // guarded by mu
	forget  func() bool // guarded by mu; ends what endWithContext has registered, if it has
}

var _ streams.Sink = (*Sink[string, string])(nil)

// maxErrors is how many errors Err keeps; the rest are counted.
const maxErrors = 16

// New returns a sink that writes to the stream. It asks for the stream's upper, which
// waits for the commands that were called before, and under the context. Work starts
// with the first element, AwaitCompletion, or, once Done or Probe was called, the end of
// the context. A handle that carries an error, or is nil, gives a sink all the same: it
// discards its input, and Err says why.
//
// Records are written as they come, several in one command while others are on
// their way. A record that is refused is recorded in Err, and the others are
// written. The sink never seals for them.
//
// Batches may come in any order: they are put in order by their descriptions, and
// each is written and sealed at once. The first one continues the stream at the
// upper it had when the sink was built. What lies before it is skipped, also the part of a
// batch that lies across it: it was written before a restart. So a pipeline whose source
// starts at or before the sink's upper writes each update exactly once, no matter how it
// was stopped; with several sinks the source starts at the least of their uppers
// (operators.Resume). The batch across the upper must have its Since before the upper: if
// its times were advanced further, what was written before can no longer be told from the
// rest, and the sink refuses it with operators.ErrOverlap. From the upper on
// nobody else may seal the stream: if another writer does, a second pipeline among them,
// it goes on and this sink ends with persist.ErrUpperMismatch.
//
// A batch that is larger than a command is written in several (docs/parts.md): between
// its times each seals what it writes; a time that is larger than a command is written in
// parts, which are not sealed until the last one. What a kill has left of them is taken
// back by the next sink when it begins, whatever it is given: so begin none, of records
// either, while another one writes the stream in batches, or that one ends with
// persist.ErrUpperMismatch.
//
// The since of the stream follows the batches': contents that a source has advanced to
// its as-of are not exact as of earlier times, and the stream says so. It is advanced by
// the command that writes the batch, unless it is there already. Records carry no as-of:
// where a source in record mode has one, move the since by AllowCompaction.
//
// Seals need evidence: a time is sealed because a batch said that it is complete.
// The end of the input seals nothing. After an error among the elements (a Result
// with one, a foreign element, a record that was refused) the sink seals nothing
// more, since what is incomplete must not be declared complete.
//
// Elements belong to the sink when it has received them; nothing that their keys
// and values refer to may be changed.
//
// Errors, by Err: operators.ErrForeignElement; the error of a Result; refusals
// (persist.ErrSealed, ErrTooLarge, ErrInvalid, a codec's). These are fatal:
// operators.ErrMissing, ErrOverlap; persist.ErrUpperMismatch, ErrStopped,
// ErrOutcomeUnknown, ErrDestroyed; any refusal of a batch; a storage that stays
// without effect for longer than Retry says, which by default it may for ever; the context's. After a fatal error input is discarded
// until it is closed, so that no sender hangs.
func New[K, V any](ctx context.Context, write *persist.WriteHandle[K, V], opts ...Option) *Sink[K, V] {
	if write == nil {
		write = new(persist.WriteHandle[K, V]) // which carries an error
	}
	o, err := optionsOf(opts)
	s := &Sink[K, V]{
		ctx: ctx, write: write, opts: o, refused: err,
		progress: progress.New(), done: make(chan struct{}),
	}
	s.in = edge.NewInlet(s.run)
	// go-streams asks for the inlet with the first element only, and there may be none
	// to come: whoever waits for what is durable already need not wait for that.
	_ = s.begin() // which is tried again, and then tells its error
	return s
}

// begin reads where the stream is.
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

// endWithContext makes a sink end with its context that has had no element yet, for
// those who wait for Done or the probe. It does not keep the sink from being
// collected as garbage. A sink that nobody waits for leaves nothing with the context,
// which may live for longer than thousands of sinks.
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
		default: // it never had an element, and somebody may have kept Done or the probe
			progress.End(context.Cause(ctx))
			close(done)
		}
	})
}

// In returns the channel of elements, the same one every time. The upstream closes
// it.
func (s *Sink[K, V]) In() chan<- any { return s.in.In() }

// AwaitCompletion blocks until the input was closed and everything that was
// accepted is durable or has failed, or until a fatal error, the end of the context
// among others. Then ask Err.
func (s *Sink[K, V]) AwaitCompletion() {
	s.in.Start()
	<-s.done
}

// Done is closed when AwaitCompletion would return.
func (s *Sink[K, V]) Done() <-chan struct{} {
	s.endWithContext()
	return s.done
}

// Err returns what went wrong, or nil: the first errors, joined, and how many there
// were beside them. Ask after AwaitCompletion; before, it tells what went wrong so
// far.
func (s *Sink[K, V]) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.further > 0 {
		return errors.Join(append(s.errs[:len(s.errs):len(s.errs)],
			fmt.Errorf("tidemark: sink of stream %q: and %d more errors", s.write.StreamName(), s.further))...)
	}
	return errors.Join(s.errs...)
}

// Probe tells what is durable and sealed: the upper that the stream had when the
// sink was built, and then that of its batches. Records do not move it, since nothing is
// sealed for them: Acknowledge tells of those. When the sink has ended, waiting for more
// ends with its error, or with operators.ErrEnded.
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
