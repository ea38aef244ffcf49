package operators

import (
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// Result is what a source emits in record mode: an update, or an error in its place.
type Result[K, V any] struct {
	persist.Update[K, V]       // with an error, only its Time and Diff count
	Err                  error // nil for an update
}

// Error is an error as an element of a stream. Like an update it has a time and a diff: at
// Time, the collection gets Diff more errors of this kind.
type Error struct {
	Err  error
	Time uint64
	Diff int64
}

// Error returns the message with the time.
func (e Error) Error() string { return fmt.Sprintf("at time %d: %v", e.Time, e.Err) }

// Unwrap returns Err.
func (e Error) Unwrap() error { return e.Err }

// Batch is what a source emits in batch mode: all updates with times in [Lower, Upper), and
// no others. Since says how far times were advanced: contents are exact as of any time at
// or in advance of Since.
//
// A batch without updates says that its interval has none. A flow that passes a batch on
// keeps its Description. A flow that has no complete answer for a batch passes nothing on:
// then a sink seals no time in or after the interval.
type Batch[K, V any] struct {
	frontier.Description
	Updates []persist.Update[K, V]
}
