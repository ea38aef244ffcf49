package codec

import (
	"errors"
	"fmt"
)

// Codec encodes and decodes values of one type. Implementations must be safe for
// use by several goroutines at once, and must not panic on any input.
type Codec[T any] interface {
	// Name identifies the type and its encoding. It is recorded with a stream for
	// ever and compared as a plain string: not empty, and never given another
	// meaning.
	Name() string

	// Append appends the encoding of v to dst and returns the longer slice. Equal
	// values have equal encodings. It does not change the bytes that dst holds: a write
	// with a codec that ignores dst, or begins at its start, is an error that names the
	// codec, and so is such a part of a composite.
	//
	// Errors: v has no encoding; then it returns dst as it was.
	Append(dst []byte, v T) ([]byte, error)

	// Decode returns the value that src encodes. src is all of one encoding; it is
	// the caller's, who will reuse it: Decode neither keeps nor changes it.
	//
	// Errors: src is not an encoding.
	Decode(src []byte) (T, error)
}

// OwnedDecoder is what a codec may offer beside Decode: values that keep the bytes they
// were decoded from, as those of [String] and [Bytes] do. Readers then copy the bytes of
// many values at a time.
type OwnedDecoder[T any] interface {
	// DecodeOwned is Decode of bytes that are handed over: the caller neither reads nor
	// changes them afterwards. Their capacity is their length.
	DecodeOwned(src []byte) (T, error)
}

// SharedDecoder is what a codec may offer beside OwnedDecoder: values that keep the bytes
// they were decoded from, and through which nobody can change these, as those of [String].
// Readers then need no copy where many read the same.
type SharedDecoder[T any] interface {
	// DecodeShared is Decode of bytes that are never changed afterwards, and that others
	// read as well.
	DecodeShared(src []byte) (T, error)
}

var (
	// ErrEncode: a value has no encoding in its codec, a string that is not UTF-8
	// for example. Correct the value, or choose a codec that takes it.
	ErrEncode = errors.New("codec: cannot encode")
	// ErrDecode: bytes are not an encoding of the codec's type. They were written
	// by another codec of the same name, or by a newer version of it.
	ErrDecode = errors.New("codec: cannot decode")
)

// encodeErrorf and decodeErrorf name the codec in front of the cause.
func encodeErrorf(name, format string, args ...any) error {
	return fmt.Errorf("%w %s: %w", ErrEncode, name, fmt.Errorf(format, args...))
}

func decodeErrorf(name, format string, args ...any) error {
	return fmt.Errorf("%w %s: %w", ErrDecode, name, fmt.Errorf(format, args...))
}

// Func makes a codec of two functions, both required, which must do what [Codec]
// asks of Append and Decode. Their errors are wrapped in ErrEncode and ErrDecode.
func Func[T any](
	name string,
	appendTo func(dst []byte, v T) ([]byte, error),
	decode func(src []byte) (T, error),
) Codec[T] {
	return funcCodec[T]{named: named{name}, appendTo: appendTo, decode: decode}
}

// named is a codec's name, which is also what the codec prints as.
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
