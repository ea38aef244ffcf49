package codec

import (
	"bytes"
	"errors"
	"sync"
)

// LenientDecoder is what a codec may offer beside Decode: to read bytes that it would not
// write itself, as an earlier version of the type has. Their values encode otherwise, and so
// retract nothing, unless [Keep] keeps the bytes beside them. [JSON] and [Proto] offer it.
type LenientDecoder[T any] interface {
	// DecodeLenient is Decode, also of bytes that the value does not encode to.
	DecodeLenient(src []byte) (T, error)
}

// errRewritten: bytes of which the value would be written in another way.
var errRewritten = errors.New("the value that they are read as encodes to other bytes, so that it could not retract its row: another version of the type wrote them; read them with codec.Keep, or with that version")

// Kept is a value with the bytes that it was read from, if it would encode to others. Make
// one of Value alone to write a new row; pass on the one that was read to retract the row
// that is there, whatever version of the type wrote it.
//
// Compare Values: two Kept with equal ones are not equal by == if one of them was written in
// another way. Change Value as you like: what has changed is encoded as if it were new.
type Kept[T any] struct {
	Value T

	kept bool
	row  string // what it was read from
	text string // what Value encoded to then
}

// Keep returns a codec of the same name, and so for the same streams, whose values keep the
// bytes that they were read from where they would encode to others.
//
// It decodes what c reads, and what a [LenientDecoder] reads beside that. It encodes a Kept
// as it was read if its Value still encodes as it did then, and else as c does. Where a codec
// is made of others, keep the one in question: Pair(String, Keep(JSON[Order]())).
//
// A row that one version wrote and another writes again, with an equal Value, are two rows,
// as their bytes differ. Retract the one that was read, write the new one, and it is one.
//
// Errors: those of c; in decoding, also a value that c does not encode.
func Keep[T any](c Codec[T]) Codec[Kept[T]] {
	//museum:kept-part-trusted
	k := keptCodec[T]{inner: inner(c), decode: c.Decode}
	if l, ok := c.(LenientDecoder[T]); ok {
		k.decode = l.DecodeLenient
	}
	return k
}

type keptCodec[T any] struct {
	inner  Codec[T]
	decode func([]byte) (T, error)
}

func (c keptCodec[T]) Name() string            { return c.inner.Name() }
func (c keptCodec[T]) String() string          { return c.inner.Name() }
func (c keptCodec[T]) fixedWidth() (int, bool) { return fixedWidth(c.inner) }

func (c keptCodec[T]) Append(dst []byte, v Kept[T]) ([]byte, error) {
	out, err := c.inner.Append(dst, v.Value)
	//museum:kept-stale
	if err == nil && v.kept && string(out[len(dst):]) == v.text {
		out = append(out[:len(dst)], v.row...)
	}
	return out, err
}

func (c keptCodec[T]) Decode(src []byte) (Kept[T], error) {
	v, err := c.decode(src)
	if err != nil {
		return Kept[T]{}, err
	}
	kept := Kept[T]{Value: v}
	err = rewritten(c.inner, v, func(text []byte) {
		if !bytes.Equal(text, src) {
			kept.kept, kept.row, kept.text = true, string(src), string(text)
		}
	})
	if err != nil {
		return Kept[T]{}, decodeErrorf(c.Name(), "the value that was read has no encoding: %w", err)
	}
	return kept, nil
}

// buffers are for encodings that are compared and forgotten.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the largest buffer that is kept for later.
const maxBuffer = 64 << 10

// rewritten calls look with the encoding of v, which is valid until it returns.
func rewritten[T any](c Codec[T], v T, look func(text []byte)) error {
	buf := buffers.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	text, err := c.Append((*buf)[:0], v)
	if err != nil {
		return err
	}
	look(text)
	if cap(text) <= maxBuffer {
		*buf = text[:0]
		buffers.Put(buf)
	}
	return nil
}
