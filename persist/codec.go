package persist

import "github.com/tidemark-go/tidemark/indexed"

// Codec turns keys or values into bytes and back. Package codec has those for
// common types.
//
// The encoding is compared and sorted as bytes: two values are the same key or
// value if their encodings are equal. Decode accepts what Append produces, and answers
// anything else with an error: a value that encodes to other bytes than it was read from
// cannot retract its row. A codec may be used by several goroutines at once.
type Codec[T any] interface {
	// Name is recorded with a stream when it is registered; a mismatch is refused. It
	// stands for the encoding, so it changes only with it.
	Name() string
	// Append appends the encoding of v to dst and returns the result.
	Append(dst []byte, v T) ([]byte, error)
	// Decode returns the value that src encodes. It does not keep src.
	Decode(src []byte) (T, error)
}

// Update is a change to a collection: at Time, the multiplicity of (Key, Val)
// changes by Diff.
type Update[K, V any] struct {
	Key  K
	Val  V
	Time uint64 // logical; not before the upper of the stream when written
	Diff int64  // any number; updates that add up to 0 disappear
}

// Future is the answer to a mutation that may not be there yet.
type Future[T any] = indexed.Future[T]

// StreamID numbers the streams of a location.
type StreamID = indexed.StreamID

// StreamInfo describes a live stream.
type StreamInfo = indexed.StreamInfo

// Config holds the limits and schedules of a runtime; its zero value means the
// defaults.
type Config = indexed.Config
