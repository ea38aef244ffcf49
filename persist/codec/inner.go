package codec

import "fmt"

// A composite passes its own bytes to the codecs that it is made of. A codec that does not
// append to them would turn them into the encoding of another value, and nothing could
// detect that later.

// ours is a codec of this package. Such a codec appends.
type ours interface{ appends() }

func (stringCodec) appends()       {}
func (bytesCodec) appends()        {}
func (fixedCodec[T]) appends()     {}
func (pairCodec[A, B]) appends()   {}
func (optionCodec[T]) appends()    {}
func (resultCodec[T, E]) appends() {}
func (jsonCodec[T]) appends()      {}
func (protoCodec[T]) appends()     {}
func (keptCodec[T]) appends()      {}

// inner returns a codec as a part of a composite. A codec of another package is checked.
func inner[T any](c Codec[T]) Codec[T] {
	if _, ok := c.(ours); ok {
		return c
	}
	//museum:inner-codec-trusted
	return checkedCodec[T]{c}
}

// checkedCodec checks that a codec appends.
type checkedCodec[T any] struct{ Codec[T] }

// guard is what dst holds when a checked codec is called. A codec that does not append
// returns something that does not begin with it, whatever the value is.
const guard = "\xf3tide\xfe\x01\xa7"

func (c checkedCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	at := len(dst)
	room := append(dst, guard...)
	out, err := c.Codec.Append(room[at:], v)
	switch {
	case err != nil:
		return dst, err
	case len(out) < len(guard) || string(out[:len(guard)]) != guard:
		return dst, fmt.Errorf("%w %s: Append does not append to dst: correct it to return append(dst, ...)", ErrEncode, c.Name())
	}
	return append(room[:at], out[len(guard):]...), nil
}
