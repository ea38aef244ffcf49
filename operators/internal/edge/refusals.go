package edge

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// What an operator refuses. Package operators exports these errors.
var (
	// ErrInletClosed: another upstream has closed the inlet downstream.
	ErrInletClosed = errors.New("inlet closed by another upstream")
	// ErrPanic: a function that the operator was given panicked.
	ErrPanic = errors.New("panic")
	// ErrConnected: a second consumer of one outlet.
	ErrConnected = errors.New("outlet connected twice")
	// ErrForeignElement: an element of a type that the operator does not take, or nil.
	ErrForeignElement = errors.New("foreign element")
)

// PanicError turns what recover has returned into an error. If the panic was a send on a
// closed channel, the error matches ErrInletClosed. Else it matches ErrPanic and has the
// stack.
func PanicError(r any) error {
	err, ok := r.(error)
	switch {
	case !ok:
		return fmt.Errorf("tidemark: %w: %v\n%s", ErrPanic, r, debug.Stack())
	case strings.Contains(err.Error(), "closed channel"):
		return fmt.Errorf("tidemark: %w: wire one upstream to an inlet: %w", ErrInletClosed, err)
	}
	return fmt.Errorf("tidemark: %w: %w\n%s", ErrPanic, err, debug.Stack())
}

// ForeignElement returns the error for an element that is not what an operator takes. It
// matches ErrForeignElement.
func ForeignElement(element any, want string) error {
	return fmt.Errorf("tidemark: %w: got %T, want %s: check what the upstream operator emits", ErrForeignElement, element, want)
}

// ConnectedTwice returns the error for a second consumer of the named operator. It
// matches ErrConnected.
func ConnectedTwice(operator string) error {
	return fmt.Errorf("tidemark: %s: %w: copy its output with flow.FanOut, or build a second one", operator, ErrConnected)
}
