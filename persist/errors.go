package persist

import (
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// Match these errors with errors.Is. Each message names the stream, the times asked for, the
// times in force, and what to do.
var (
	// ErrStopped: the runtime was stopped, or no longer does this kind of work. The message
	// says since when: since its log failed, since somebody else has its log, and so on. Open
	// the location again.
	ErrStopped = indexed.ErrStopped
	// ErrCodecMismatch: the stream was registered with codecs of other names.
	ErrCodecMismatch = indexed.ErrCodecMismatch
	// ErrSealed: a write at a time before the upper.
	ErrSealed = indexed.ErrSealed
	// ErrSealRegression: a seal to a time before the upper.
	ErrSealRegression = indexed.ErrSealRegression
	// ErrSinceRegression: an allowed compaction to a time before the since.
	ErrSinceRegression = indexed.ErrSinceRegression
	// ErrAsOfBeforeSince: a read as of a time before the since.
	ErrAsOfBeforeSince = indexed.ErrAsOfBeforeSince
	// ErrUpperMismatch: a compare-and-append that expected another upper; errors.As
	// gives an *UpperMismatchError with the one in force.
	ErrUpperMismatch = indexed.ErrUpperMismatch
	// ErrPrevious: an earlier command of the Chain has failed, so this one had no effect.
	ErrPrevious = indexed.ErrPrevious
	// ErrUnknownStream: no stream was registered under this name or id.
	ErrUnknownStream = indexed.ErrUnknownStream
	// ErrDestroyed: the stream was destroyed; its name cannot be used again.
	ErrDestroyed = indexed.ErrDestroyed
	// ErrOutcomeUnknown: the log failed while the command was on its way. The command may or
	// may not be durable. Open the location again to find out.
	ErrOutcomeUnknown = indexed.ErrOutcomeUnknown
	// ErrReadOnly: a mutation on a read-only runtime, or Listen on one that has no log.
	ErrReadOnly = indexed.ErrReadOnly
	// ErrInvalid: a request that can never succeed as it is.
	ErrInvalid = indexed.ErrInvalid
	// ErrTooLarge: a command larger than Config.MaxTailBytes, or than the log takes at a
	// time (file.MaxAppendSize). Nothing of the command was written. Split it. The error is the
	// same value as storage.ErrTooLarge.
	ErrTooLarge = indexed.ErrTooLarge
	// ErrLagged: a listener was cut off because it had fallen too far behind.
	ErrLagged = indexed.ErrLagged
	// ErrOverflow: the diffs of equal updates add up to more than an int64 holds. The stored
	// updates are exact. Write updates that retract some of them, and the sum can be read
	// again, as of their time or later. Snapshot.All yields updates that are not added up.
	//
	// A batch source cannot emit a sealed time at which the sum overflows. Begin the source
	// again as of a later time (source.AsOf), with an empty sink.
	ErrOverflow = indexed.ErrOverflow
	// ErrLocked: another process or runtime has the location open. errors.As gives a
	// *storage.LockedError that names the holder.
	ErrLocked = storage.ErrLocked
	// ErrCorrupt: stored bytes are damaged. errors.As gives a *storage.CorruptError that
	// names the place.
	ErrCorrupt = storage.ErrCorrupt
	// ErrNewerFormat: stored bytes are whole, but in the format of a newer version of
	// Tidemark. They were not touched. Upgrade the program.
	ErrNewerFormat = storage.ErrNewerFormat
	// ErrClosed: a snapshot or listener was used after it was closed.
	ErrClosed = storage.ErrClosed
	// ErrDifferentRuntimes: handles of two runtimes in one atomic command.
	ErrDifferentRuntimes = errors.New("handles of different runtimes")
	// ErrDecode: a stored key or value that its codec does not accept. errors.As gives a
	// *DecodeError. The error is the same value as codec.ErrDecode.
	ErrDecode = codec.ErrDecode
	// ErrNoEffect: the storage could not take a command. Nothing of the command was written,
	// and the same command may succeed later: see IsRetryable. The error is the same value
	// as storage.ErrNoEffect.
	ErrNoEffect = storage.ErrNoEffect
)

// StreamError is an error about one stream. It matches its Kind with errors.Is.
type StreamError struct {
	Stream string // its name
	Kind   error  // one of the errors of this package, such as ErrSealed
	Detail string // the times asked for, the times in force, and what to do
}

// Error names the stream, the kind and the details.
func (e *StreamError) Error() string { return (*indexed.StreamError)(e).Error() }

// Unwrap returns the kind.
func (e *StreamError) Unwrap() error { return e.Kind }

// UpperMismatchError is the answer to a command that expected another upper than the stream
// has: see WriteHandle.CompareAndAppend. It matches ErrUpperMismatch. The command wrote
// nothing.
type UpperMismatchError struct {
	Stream   string             // its name
	Expected frontier.Antichain // what the caller expected
	Upper    frontier.Antichain // the upper in force; the caller goes on from here
}

// Error names the stream and both uppers.
func (e *UpperMismatchError) Error() string { return (*indexed.UpperMismatchError)(e).Error() }

// Unwrap returns ErrUpperMismatch.
func (e *UpperMismatchError) Unwrap() error { return ErrUpperMismatch }

// DecodeError says which update could not be decoded. It matches ErrDecode.
type DecodeError struct {
	Stream   string
	Key      []byte // the first 64 bytes of the encoded key, or all if it has fewer
	KeyBytes int    // the size of the whole key
	Part     string // what could not be decoded: "key" or "value"
	Time     uint64
	Diff     int64
	Err      error // the codec's
}

// Error names the stream, the key, the time of the update and the codec's error.
func (e *DecodeError) Error() string {
	key := brief.Bytes(e.Key)
	if e.KeyBytes > len(e.Key) {
		key = fmt.Sprintf("%q... (%d bytes)", e.Key, e.KeyBytes)
	}
	return fmt.Sprintf("tidemark: stream %q: cannot decode the %s of update of key %s at time %d with diff %d: %v",
		e.Stream, e.Part, key, e.Time, e.Diff, e.Err)
}

// Unwrap returns ErrDecode and the codec's error.
func (e *DecodeError) Unwrap() []error { return []error{ErrDecode, e.Err} }
