package operators

import (
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/operators/internal/edge"
	"github.com/tidemark-go/tidemark/operators/internal/order"
)

// Errors to match with errors.Is.
var (
	// ErrForeignElement: an element of a type that the operator does not take, or nil.
	ErrForeignElement = errors.New("foreign element")
	// ErrConnected: a second consumer of one outlet. Copy with flow.FanOut, or build a
	// second operator.
	ErrConnected = errors.New("outlet connected twice")
	// ErrInletClosed: the inlet downstream was closed by another upstream. Merge with
	// flow.Merge.
	ErrInletClosed = edge.ErrInletClosed
	// ErrEnded: an operator has ended before the time that was waited for.
	ErrEnded = errors.New("ended before that time")
	// ErrDropped: an err side was drained too slowly; the error says how many errors it
	// stands for.
	ErrDropped = errors.New("errors dropped")
	// ErrPanic: a function of the user's panicked, or ended its goroutine.
	ErrPanic = edge.ErrPanic
	// ErrOverlap: two batches cover the same times, and not exactly the same.
	ErrOverlap = order.ErrOverlap
	// ErrMissing: a batch that others wait for did not come; the error names its
	// interval.
	ErrMissing = order.ErrMissing
)

// ForeignElement returns the error for an element that is not what an operator
// takes. It matches ErrForeignElement.
func ForeignElement(element any, want string) error {
	return fmt.Errorf("tidemark: %w: got %T, want %s: check what the upstream operator emits", ErrForeignElement, element, want)
}

// ConnectedTwice returns the error for a second consumer of the named operator. It
// matches ErrConnected.
func ConnectedTwice(operator string) error {
	return fmt.Errorf("tidemark: %s: %w: copy its output with flow.FanOut, or build a second one", operator, ErrConnected)
}
