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
	// ErrInletClosed: another upstream has closed the inlet downstream. Merge with
	// flow.Merge.
	ErrInletClosed = edge.ErrInletClosed
	// ErrEnded: an operator has ended before the time that a caller waits for.
	ErrEnded = progress.ErrEnded
	// ErrDropped: an err side was read too slowly. The error says how many errors it stands
	// for.
	ErrDropped = edge.ErrDropped
	// ErrPanic: a function of the user panicked, or ended its goroutine.
	ErrPanic = edge.ErrPanic
	// ErrOverlap: two batches have times in common, but not the same interval.
	ErrOverlap = order.ErrOverlap
	// ErrMissing: a batch that other batches wait for did not come. The error names its
	// interval.
	ErrMissing = order.ErrMissing
)
