package persist

import "github.com/tidemark-go/tidemark/persist/codec"

// Codec turns keys or values into bytes and back. It is codec.Codec, which has three
// methods:
//
//	Name() string                              // recorded with a stream; a mismatch is refused
//	Append(dst []byte, v T) ([]byte, error)    // appends the encoding of v to dst
//	Decode(src []byte) (T, error)              // returns the value; does not keep src
//
// Package codec has codecs of common types and says how to write one.
//
// Encodings are compared and sorted as bytes: two values are the same key or value if their
// encodings are equal. Decode accepts what Append produces, and returns an error for
// anything else. The reason: a value that encodes to other bytes than it was read from
// cannot retract its row. Several goroutines may use a codec at once.
type Codec[T any] = codec.Codec[T]

// Update is a change to a collection: at Time, the multiplicity of (Key, Val) changes by
// Diff.
type Update[K, V any] struct {
	Key  K
	Val  V
	Time uint64 // logical; not before the upper of the stream at the time of the write
	Diff int64  // any number but math.MinInt64; updates that add up to 0 disappear
}
