package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/reugn/go-streams"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/progress"
	"github.com/tidemark-go/tidemark/persist"
)

// Source emits a stream in record mode: every update that is in the stream, and every
// update that is written to it, as soon as it is durable, sealed or not.
//
//	stream   snapshot: u1 u2 | u3 -- seal 5 -- u4 -- finish
//
//	out      -- u1 -- u2 ---- u3 ------------- u4 --|
//
//	probe    {0} ----------- {2} ---- {5} --------- {}
//
// Elements are operators.Result[K, V]. Its outlet takes one consumer.
type Source[K, V any] struct {
	ctx      context.Context
	stream   string
	asOf     frontier.Antichain
	position position[K, V]
	progress *progress.Progress
	out      *edge.Outlet
}

var _ streams.Source = (*Source[string, string])(nil)

// New returns a source that reads the stream from its position at this moment. New takes
// the snapshot and the listener, in one step. All else happens once the source is wired. If
// the stream cannot be read, New returns a source all the same, which emits the error as
// its one element. A handle that carries an error, or is nil, is such a case.
//
// Shape:  the snapshot's updates, then those that follow, in the order of writing, with
// times advanced to the as-of. Stored updates may add up to a diff of math.MinInt64, which
// no write takes. It is emitted as two updates, -math.MaxInt64 and -1, whose keys and values
// are the same memory.
//
// Errors: as elements, with time and diff. An update that cannot be decoded is
// persist.ErrDecode at its own time and with its own diff, and the source goes on. All
// other errors are the last element, at the frontier: persist.ErrAsOfBeforeSince;
// persist.ErrStopped, ErrDestroyed, ErrLagged, ErrCorrupt.
//
// Ends:   when the stream is finished, at an error, or when ctx ends. At the end of ctx it
// ends at once, without an element. The probe tells which it was.
//
// Holds:  the snapshot, and the log after it, until it was read or ctx ends.
func New[K, V any](ctx context.Context, read *persist.ReadHandle[K, V], opts ...Option) *Source[K, V] {
	if read == nil {
		read = new(persist.ReadHandle[K, V]) // it carries an error
	}
	s := &Source[K, V]{
		ctx: ctx, stream: read.StreamName(), asOf: optionsOf(opts).asOf,
		position: listen(ctx, read), progress: progress.New(),
	}
	s.out = edge.NewOutlet(ctx.Done(), s.run, func() any {
		return s.failure(edge.ConnectedTwice(s.name()))
	})
	releaseWhenDone(ctx, s, s.progress)
	return s
}

func (s *Source[K, V]) name() string { return fmt.Sprintf("source of stream %q", s.stream) }

// Probe tells what the consumer has taken. A time is passed when all updates before it were
// taken, and the upper of the stream has passed it. The frontier is {} when the stream is
// finished and all of it was taken. Waiting ends with the source's error when the source
// fails, and with the context's error when the context ends.
func (s *Source[K, V]) Probe() *operators.Probe { return (*operators.Probe)(s.progress.Probe()) }

// Err returns why the source has ended. It returns nil while the source works, and after
// the stream was finished.
func (s *Source[K, V]) Err() error { return s.progress.Probe().Err() }

// Out returns the channel of elements, the same one every time.
func (s *Source[K, V]) Out() <-chan any { return s.out.Out() }

// Via wires the source to a flow and returns it. A second consumer, by Via, To, Out or All,
// gets one element with an error that matches operators.ErrConnected. The same flow again
// is the same consumer.
func (s *Source[K, V]) Via(flow streams.Flow) streams.Flow { return s.out.Via(flow) }

// To wires the source to a sink and blocks until it has completed.
func (s *Source[K, V]) To(sink streams.Sink) { s.out.To(sink) }

// Done is closed when the context of the source has ended.
func (s *Source[K, V]) Done() <-chan struct{} { return s.out.Done() }

// All yields what Out would send, without channels: updates, and errors. Of the update
// beside an error, only time and diff count. All blocks for more until the source ends. A
// loop that breaks off ends the source as well.
func (s *Source[K, V]) All() iter.Seq2[persist.Update[K, V], error] {
	return func(yield func(persist.Update[K, V], error) bool) {
		if !s.out.Occupy() {
			r := s.failure(edge.ConnectedTwice(s.name()))
			yield(r.Update, r.Err)
			return
		}
		defer s.out.Close()
		s.emit(func(r operators.Result[K, V]) bool { return yield(r.Update, r.Err) })
	}
}

func (s *Source[K, V]) outlet() *edge.Outlet { return s.out }
func (s *Source[K, V]) release()             { s.position.close() }

// run is the source's goroutine. It ends with the stream, at an error, or with the
// context.
func (s *Source[K, V]) run() {
	defer s.out.Close()
	defer func() {
		// A codec has panicked.
		if err := s.out.Err(); err != nil && s.ctx.Err() == nil {
			s.progress.End(err)
			s.out.Send(s.failure(err))
		}
	}()
	defer s.out.Guard()
	s.emit(func(r operators.Result[K, V]) bool { return s.out.Send(r) })
}

// errGone: the consumer takes nothing any more.
var errGone = errors.New("consumer gone")

// emit reads the stream and settles how the source ends.
func (s *Source[K, V]) emit(send func(operators.Result[K, V]) bool) {
	defer s.position.close()
	err := s.read(send)
	switch {
	case errors.Is(err, io.EOF):
		s.progress.Advance(frontier.Empty())
		s.progress.End(nil)
	case s.ctx.Err() != nil:
		s.progress.End(context.Cause(s.ctx))
	case errors.Is(err, errGone):
		s.progress.End(s.out.Err())
	default:
		// First the probe: waiters learn of the error even if the element is not taken.
		s.progress.End(err)
		send(s.failure(err))
	}
}

// failure is an error element that stands for everything from the frontier on.
func (s *Source[K, V]) failure(err error) operators.Result[K, V] {
	time, _ := s.progress.Probe().Frontier().Elem()
	return s.result(persist.Update[K, V]{Time: time, Diff: 1}, err)
}

func (s *Source[K, V]) result(u persist.Update[K, V], err error) operators.Result[K, V] {
	u.Time = s.asOf.Advance(u.Time)
	return operators.Result[K, V]{Update: u, Err: err}
}

// read returns io.EOF at the end of the stream, errGone if send fails, or the error for
// which it cannot go on.
func (s *Source[K, V]) read(send func(operators.Result[K, V]) bool) error {
	if s.position.err != nil {
		return s.position.err
	}
	if err := s.replay(send); err != nil {
		return err
	}
	for {
		event, err := s.position.listener.Next(s.ctx)
		if err != nil {
			if err := s.undecodable(err, send); err != nil {
				return err
			}
			continue
		}
		for _, u := range event.Updates {
			if !send(s.result(u, nil)) {
				return errGone
			}
		}
		if event.Updates == nil {
			s.progress.Advance(event.Sealed)
		}
	}
}

func (s *Source[K, V]) replay(send func(operators.Result[K, V]) bool) error {
	snapshot := s.position.snapshot
	if err := checkAsOf(s.stream, s.asOf, snapshot.Since()); err != nil {
		return err
	}
	for u, err := range snapshot.All(s.ctx) {
		if err != nil {
			if err := s.undecodable(err, send); err != nil {
				return err
			}
			continue
		}
		if u.Diff == math.MinInt64 {
			first := u
			first.Diff, u.Diff = leastFirst, leastSecond
			if !send(s.result(first, nil)) {
				return errGone
			}
		}
		if !send(s.result(u, nil)) {
			return errGone
		}
	}
	upper := snapshot.Upper()
	if err := snapshot.Close(); err != nil {
		return err
	}
	if !upper.IsEmpty() { // if it is empty, the listener returns io.EOF
		s.progress.Advance(upper)
	}
	return nil
}

// undecodable emits the error of an update that cannot be decoded, after which reading goes
// on. It returns any other error.
func (s *Source[K, V]) undecodable(err error, send func(operators.Result[K, V]) bool) error {
	var decode *persist.DecodeError
	if !errors.As(err, &decode) {
		return err
	}
	diffs := []int64{decode.Diff}
	if decode.Diff == math.MinInt64 {
		diffs = []int64{leastFirst, leastSecond}
	}
	for _, diff := range diffs {
		if !send(s.result(persist.Update[K, V]{Time: decode.Time, Diff: diff}, err)) {
			return errGone
		}
	}
	return nil
}
