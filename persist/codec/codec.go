package codec

import (
	"errors"
	"fmt"
)

// Codec encodes and decodes values of one type. Implementations must be safe for
// use by several goroutines at once, and must not panic on any input.
type Codec[T any] interface {
	// Name identifies the type and its encoding. It is recorded with a stream for ever and
	// compared as a plain string. It must not be empty, and must never get another meaning.
	Name() string

	// Append appends the encoding of v to dst and returns the longer slice. Equal values
	// have equal encodings. Append does not change the bytes that dst holds. A codec that
	// ignores dst, or writes from its start, makes a write fail, with an error that names
	// the codec. The same holds for a codec that is part of a composite.
	//
	// Errors: v has no encoding; then Append returns dst as it was.
	Append(dst []byte, v T) ([]byte, error)

	// Decode returns the value that src encodes. src is all of one encoding. The caller
	// will reuse src, so Decode neither keeps nor changes it. Its capacity is its length, so
	// that append copies it.
	//
	// Errors: src is not an encoding.
	Decode(src []byte) (T, error)
}

// OwnedDecoder is an optional ability of a codec whose values keep the bytes that they were
// decoded from, as those of [String] and [Bytes] do. With it readers copy the bytes of many
// values at a time.
type OwnedDecoder[T any] interface {
	// DecodeOwned is Decode of bytes that the caller hands over: it neither reads nor
	// changes them afterwards. Their capacity is their length.
	DecodeOwned(src []byte) (T, error)
}

// SharedDecoder is an optional ability of a codec beside OwnedDecoder. It is for values
// that keep the bytes that they were decoded from, and through which nobody can change
// these bytes, such as those of [String]. With it readers need no copy where many read the
// same bytes.
type SharedDecoder[T any] interface {
	// DecodeShared is Decode of bytes that are never changed afterwards, and that others
	// read as well.
	DecodeShared(src []byte) (T, error)
}

var (
	// ErrEncode: a value has no encoding in its codec; an example is a string that is not
	// UTF-8. Correct the value, or choose a codec that takes it.
	ErrEncode = errors.New("codec: cannot encode")
	// ErrDecode: bytes are not an encoding of the codec's type. They were written
	// by another codec of the same name, or by a newer version of it.
	ErrDecode = errors.New("codec: cannot decode")
)

// encodeErrorf and decodeErrorf put the name of the codec before the cause.
func encodeErrorf(name, format string, args ...any) error {
	return fmt.Errorf("%w %s: %w", ErrEncode, name, fmt.Errorf(format, args...))
}

func decodeErrorf(name, format string, args ...any) error {
	return fmt.Errorf("%w %s: %w", ErrDecode, name, fmt.Errorf(format, args...))
}

// Func makes a codec of two functions. Both are required, and must do what [Codec] asks of
// Append and Decode. Their errors are wrapped in ErrEncode and ErrDecode.
func Func[T any](
	name string,
	appendTo func(dst []byte, v T) ([]byte, error),
	decode func(src []byte) (T, error),
) Codec[T] {
	return funcCodec[T]{named: named{name}, appendTo: appendTo, decode: decode}
}

// named is the name of a codec. Printing the codec prints the name.
type named struct{ name string }

func (n named) Name() string   { return n.name }
func (n named) String() string { return n.name }

type funcCodec[T any] struct {
	named
	appendTo func([]byte, T) ([]byte, error)
	decode   func([]byte) (T, error)
}

func (c funcCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	out, err := c.appendTo(dst, v)
	if err != nil {
		return dst, encodeErrorf(c.name, "%w", err)
	}
	return out, nil
}

func (c funcCodec[T]) Decode(src []byte) (T, error) {
	v, err := c.decode(src)
	if err != nil {
		var zero T
		return zero, decodeErrorf(c.name, "%w", err)
	}
	return v, nil
}
