package codec

import (
	"errors"
	"fmt"
	"slices"
)

// Optional is a value that may be missing. The zero value is missing.
type Optional[T any] struct {
	Value T
	Valid bool // false: Value is ignored
}

// Some returns a value that is not missing.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Valid: true} }

// Option encodes an [Optional]: the byte 0 if the value is missing, or the byte 1
// and then the value. A missing value sorts first.
func Option[T any](c Codec[T]) Codec[Optional[T]] {
	return optionCodec[T]{named: named{"option(" + c.Name() + ")"}, value: inner(c)}
}

// Outcome is a value, or the error that came in its place. The zero value is the
// zero value of T.
type Outcome[T, E any] struct {
	Value  T
	Err    E
	Failed bool // false: Err is ignored; true: Value is ignored
}

// OK returns an outcome that is a value. Give E: OK[string](7).
func OK[E, T any](v T) Outcome[T, E] { return Outcome[T, E]{Value: v} }

// Failure returns an outcome that is an error. Give T: Failure[int]("no such key").
func Failure[T, E any](err E) Outcome[T, E] { return Outcome[T, E]{Err: err, Failed: true} }

// Result encodes an [Outcome]: the byte 0 and then the value, or the byte 1 and
// then the error. Values sort before errors.
func Result[T, E any](value Codec[T], err Codec[E]) Codec[Outcome[T, E]] {
	return resultCodec[T, E]{
		named: named{"result(" + value.Name() + "," + err.Name() + ")"},
		value: inner(value),
		err:   inner(err),
	}
}

// The tags are the first byte of an encoding, and so the order of the cases.
const (
	tagNone = 0
	tagSome = 1

	tagValue = 0
	tagError = 1
)

var errNoTag = errors.New("want a tag byte, got no bytes")

func errTag(tag byte) error { return fmt.Errorf("want the tag 0 or 1, got %d", tag) }

type optionCodec[T any] struct {
	named
	value Codec[T]
}

func (c optionCodec[T]) Append(dst []byte, v Optional[T]) ([]byte, error) {
	if !v.Valid {
		return append(dst, tagNone), nil
	}
	out, err := c.value.Append(append(dst, tagSome), v.Value)
	if err != nil {
		return dst, encodeErrorf(c.name, "%w", err)
	}
	return out, nil
}

func (c optionCodec[T]) Decode(src []byte) (Optional[T], error) {
	var none Optional[T]
	if len(src) == 0 {
		return none, decodeErrorf(c.name, "%w", errNoTag)
	}
	switch tag, rest := src[0], slices.Clip(src[1:]); tag {
	case tagNone:
		if len(rest) > 0 {
			return none, decodeErrorf(c.name, "want no bytes after the tag 0, got %d", len(rest))
		}
		return none, nil
	case tagSome:
		v, err := c.value.Decode(rest)
		if err != nil {
			return none, decodeErrorf(c.name, "%w", err)
		}
		return Some(v), nil
	default:
		return none, decodeErrorf(c.name, "%w", errTag(tag))
	}
}

type resultCodec[T, E any] struct {
	named
	value Codec[T]
	err   Codec[E]
}

func (c resultCodec[T, E]) Append(dst []byte, v Outcome[T, E]) ([]byte, error) {
	var out []byte
	var err error
	if v.Failed {
		out, err = c.err.Append(append(dst, tagError), v.Err)
	} else {
		out, err = c.value.Append(append(dst, tagValue), v.Value)
	}
	if err != nil {
		return dst, encodeErrorf(c.name, "%w", err)
	}
	return out, nil
}

func (c resultCodec[T, E]) Decode(src []byte) (v Outcome[T, E], err error) {
	if len(src) == 0 {
		return v, decodeErrorf(c.name, "%w", errNoTag)
	}
	var value T
	var failure E
	switch tag, rest := src[0], slices.Clip(src[1:]); tag {
	case tagValue:
		value, err = c.value.Decode(rest)
	case tagError:
		failure, err = c.err.Decode(rest)
	default:
		err = errTag(tag)
	}
	if err != nil {
		return v, decodeErrorf(c.name, "%w", err)
	}
	return Outcome[T, E]{Value: value, Err: failure, Failed: src[0] == tagError}, nil
}
