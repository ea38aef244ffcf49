package operators

import (
	"fmt"

	"github.com/reugn/go-streams"

	"github.com/tidemark-go/tidemark/operators/internal/edge"
)

// ErrSide is where an operator puts its errors, and the outlet where a pipeline
// takes them, as elements of type Error.
//
//	Report -- e1 -- e2 ------ e3 -- Finish
//
//	out    ------- e1 -- e2 -- e3 -|
//
// Reporting never blocks. If nobody takes them, 1024 errors wait; further ones are
// counted and become one error that matches ErrDropped, with the time of the first
// and their number as the diff.
type ErrSide struct{ errs *edge.Errors[Error] }

var _ streams.Source = (*ErrSide)(nil)

// NewErrSide returns the err side of the named operator. Nothing is sent once done
// is closed; nil is never.
func NewErrSide(done <-chan struct{}, operator string) *ErrSide {
	return &ErrSide{edge.NewErrors(done,
		func() any { return Error{Err: ConnectedTwice(operator), Diff: 1} },
		func(first Error, dropped int) Error {
			return Error{
				Err:  fmt.Errorf("tidemark: %s: %w: %d, as its err side was not drained; the first was: %w", operator, ErrDropped, dropped, first.Err),
				Time: first.Time,
				Diff: int64(dropped),
			}
		})}
}

// Report adds an error. It may be called by any goroutine. After Finish it still does,
// until the outlet has closed; then it does nothing.
func (s *ErrSide) Report(e Error) { s.errs.Report(e) }

// Finish closes the outlet when the errors that wait were taken.
func (s *ErrSide) Finish() { s.errs.Finish() }

// Out returns the channel of errors.
func (s *ErrSide) Out() <-chan any { return s.errs.Out() }

// Via wires the errors to a flow and returns it.
func (s *ErrSide) Via(flow streams.Flow) streams.Flow { return s.errs.Via(flow) }

// To wires the errors to a sink and blocks until it has completed.
func (s *ErrSide) To(sink streams.Sink) { s.errs.To(sink) }

// Done is closed when the context of the operator has ended.
func (s *ErrSide) Done() <-chan struct{} { return s.errs.Done() }
