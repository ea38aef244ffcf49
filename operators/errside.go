package operators

import (
	"github.com/reugn/go-streams"

	"github.com/tidemark-go/tidemark/operators/internal/edge"
)

// ErrSide is the outlet for the errors of an operator. A pipeline takes them there, as
// elements of type Error.
//
//	operator  -- e1 -- e2 ------ e3 -- ends
//
//	out       ---- e1 ---- e2 ------- e3 --|
//
// The operator never waits for a consumer. If nobody takes the errors, 1024 of them wait.
// Further errors are counted, and become one error that matches ErrDropped. That error has
// the time of the first one that it stands for, and their number as the diff.
//
// The outlet closes when the operator has ended and all errors were taken.
type ErrSide edge.Errors[Error]

var _ streams.Source = (*ErrSide)(nil)

func (s *ErrSide) inner() *edge.Errors[Error] { return (*edge.Errors[Error])(s) }

// Out returns the channel of errors, the same one every time.
func (s *ErrSide) Out() <-chan any { return s.inner().Out() }

// Via wires the errors to a flow and returns it.
func (s *ErrSide) Via(flow streams.Flow) streams.Flow { return s.inner().Via(flow) }

// To wires the errors to a sink and blocks until it has completed.
func (s *ErrSide) To(sink streams.Sink) { s.inner().To(sink) }

// Done is closed when the context of the operator has ended.
func (s *ErrSide) Done() <-chan struct{} { return s.inner().Done() }
