package indexed

import (
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// The errors of the engine. Match them with errors.Is. Package persist has the same errors
// under the same names.
var (
	// ErrStopped: the runtime was stopped, or no longer does this kind of work. The message
	// says since when: since its log failed, since somebody else has its log, and so on. A
	// retry on this runtime cannot succeed: open the location again.
	ErrStopped = errors.New("runtime stopped")
	// ErrCodecMismatch: the stream was registered with other codecs.
	ErrCodecMismatch = errors.New("codec mismatch")
	// ErrSealed: a write at a time before the upper. Write at the upper or later.
	ErrSealed = errors.New("time already sealed")
	// ErrSealRegression: a seal to a time before the upper. An upper never goes back.
	ErrSealRegression = errors.New("seal before the upper")
	// ErrSinceRegression: an allowed compaction to a time before the since. A since never
	// goes back.
	ErrSinceRegression = errors.New("compaction before the since")
	// ErrAsOfBeforeSince: a read as of a time before the since. Compaction may have merged
	// what was different then. Read at the since or later.
	ErrAsOfBeforeSince = errors.New("as-of before the since")
	// ErrUpperMismatch: the upper is not the one that a compare-and-append expects.
	// errors.As gives an UpperMismatchError, which has the upper in force.
	ErrUpperMismatch = errors.New("upper mismatch")
	// ErrPrevious: the command that this one follows has failed: see Command.Follow.
	ErrPrevious = errors.New("the command before it failed")
	// ErrUnknownStream: no stream has this name or id.
	ErrUnknownStream = errors.New("unknown stream")
	// ErrDestroyed: the stream was destroyed. Its name cannot be used again.
	ErrDestroyed = errors.New("stream destroyed")
	// ErrOutcomeUnknown: the log failed during the append. The command may or may not be
	// durable. Open the location again to find out.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrReadOnly: a mutation on a read-only runtime.
	ErrReadOnly = errors.New("runtime is read-only")
	// ErrInvalid: a request that can never succeed. Examples are an update outside the
	// interval of its compare-and-append, a stream twice in one request, an empty interval.
	ErrInvalid = part.ErrInvalid
	// ErrTooLarge: a command larger than Config.MaxTailBytes, or than the log takes in one
	// append. Split the command. It is the same value as storage.ErrTooLarge.
	ErrTooLarge = storage.ErrTooLarge
	// ErrLagged: a listener was cut off. It held back more of the log than
	// Config.MaxListenerLag, or it reads beside the owner and the log was truncated before
	// the listener had read it. Listen again for a new snapshot.
	ErrLagged = errors.New("listener lagged too far behind")
	// ErrOverflow: the diffs of equal updates add up to more than an int64 holds. The
	// stored updates are exact: write updates that retract some of them, and the sum can be
	// read again. Snapshot.Chunks yields updates that are not added up.
	ErrOverflow = errors.New("sum of diffs overflows")
)

// StreamError is an error about one stream. It matches its Kind, one of the
// sentinels of this package.
type StreamError struct {
	Stream string // name
	Kind   error
	Detail string // the times asked for, the times in force, and what to do
}

// Error names the stream, the kind and the details.
func (e *StreamError) Error() string {
	return fmt.Sprintf("tidemark: stream %s: %v: %s", quoteName(e.Stream), e.Kind, e.Detail)
}

// Unwrap returns the kind.
func (e *StreamError) Unwrap() error { return e.Kind }

func streamErrorf(stream string, kind error, format string, args ...any) error {
	return &StreamError{Stream: stream, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// UpperMismatchError says that the upper of a compare-and-append is not in force: another
// write came first, or is still missing. It matches ErrUpperMismatch.
type UpperMismatchError struct {
	Stream   string
	Expected frontier.Antichain // what the caller expected
	Upper    frontier.Antichain // what is in force
}

// Error names the stream and both uppers.
func (e *UpperMismatchError) Error() string {
	return fmt.Sprintf("tidemark: stream %s: %v: expected upper %s, but it is %s: continue from there",
		quoteName(e.Stream), ErrUpperMismatch, e.Expected, e.Upper)
}

// Unwrap returns ErrUpperMismatch.
func (e *UpperMismatchError) Unwrap() error { return ErrUpperMismatch }

// stoppedError says that a runtime was stopped.
func stoppedError() error {
	return fmt.Errorf("tidemark: %w: open the location again", ErrStopped)
}

// refusedError says which work a runtime no longer does, and why.
func refusedError(s scope, r *refusal) error {
	what := "it accepts no more writes"
	switch s {
	case noRoom:
		what = "it makes no more room for writes"
	case noBackground:
		what = "it flushes, merges and deletes no more"
	}
	return fmt.Errorf("tidemark: %w: %s since %s; open the location again: %w", ErrStopped, what, r.why, r.cause)
}

func outcomeUnknownError(cause error) error {
	return fmt.Errorf("tidemark: %w: the command may or may not be durable; open the location again to find out: %w", ErrOutcomeUnknown, cause)
}
