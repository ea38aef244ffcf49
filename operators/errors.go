package operators

import (
	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/order"
	"github.com/tidemark-go/tidemark/operators/internal/progress"
)

// Errors to match with errors.Is.
var (
	// ErrForeignElement: an element of a type that the operator does not take, or nil.
	ErrForeignElement = edge.ErrForeignElement
	// ErrConnected: a second consumer of one outlet. Copy with flow.FanOut, or build a
	// second operator.
	ErrConnected = edge.ErrConnected
	// ErrInletClosed: the inlet downstream was closed by another upstream. Merge with
	// flow.Merge.
	ErrInletClosed = edge.ErrInletClosed
	// ErrEnded: an operator has ended before the time that was waited for.
	ErrEnded = progress.ErrEnded
	// ErrDropped: an err side was drained too slowly; the error says how many errors it
	// stands for.
	ErrDropped = edge.ErrDropped
	// ErrPanic: a function of the user's panicked, or ended its goroutine.
	ErrPanic = edge.ErrPanic
	// ErrOverlap: two batches cover the same times, and not exactly the same.
	ErrOverlap = order.ErrOverlap
	// ErrMissing: a batch that others wait for did not come; the error names its
	// interval.
	ErrMissing = order.ErrMissing
)
