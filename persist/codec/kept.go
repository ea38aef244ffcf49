package codec

import (
	"bytes"
	"errors"
	"sync"
)

// LenientDecoder is an optional ability of a codec: to read bytes that it would not write
// itself, such as those of an earlier version of the type. The values encode to other
// bytes. So they retract nothing, unless [Keep] keeps the original bytes. [JSON] and
// [Proto] have this ability.
type LenientDecoder[T any] interface {
	// DecodeLenient is Decode, also of bytes that the value does not encode to.
	DecodeLenient(src []byte) (T, error)
}

// errRewritten: the value of these bytes would be written as other bytes.
var errRewritten = errors.New("the value that they are read as encodes to other bytes, so that it could not retract its row: another version of the type wrote them; read them with codec.Keep, or with that version")

// Kept is a value, with the bytes that it was read from if it would encode to others. To
// write a new row, make a Kept of Value alone. To retract a row, pass on the Kept that was
// read, whatever version of the type wrote the row.
//
// Compare the Values: two Kept with equal Values are not equal by == if one of them was
// written in another way. Change Value as you like: a changed Value is encoded as if it
// were new.
type Kept[T any] struct {
	Value T

	kept bool
	row  string // the bytes that it was read from
	text string // the encoding of Value at that time
}

// Keep returns a codec of the same name, and so for the same streams. Its values keep the
// bytes that they were read from, if they would encode to other bytes.
//
// It decodes what c reads, and what a [LenientDecoder] reads beside that. It encodes a Kept
// as the bytes that it was read from if Value still has the same encoding as then, and
// otherwise as c does. If a codec is made of others, wrap the part that needs it:
// Pair(String, Keep(JSON[Order]())).
//
// Suppose that one version wrote a row, and another writes it again with an equal Value.
// The two have different bytes, so they are two rows. To have one row, retract the one that
// was read, and write the new one.
//
// Errors: those of c; in decoding also those for a value that c does not encode.
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

// buffers recycles memory for encodings that are compared and then forgotten.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the size of the largest buffer that is recycled, in bytes.
const maxBuffer = 64 << 10

// rewritten calls look with the encoding of v. The encoding is valid until look returns.
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
