package part

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"
)

// Encoder is the encoding half of a codec. Append appends the encoding of v to dst and
// returns the result.
type Encoder[T any] interface {
	Append(dst []byte, v T) ([]byte, error)
}

// ErrInvalid: a request that can never succeed. Package indexed exports it.
var ErrInvalid = errors.New("invalid request")

// guard stands before a column that encoders append to. An encoder must return what it was
// handed, with the encoding behind it. One that ignores dst, or writes from its start,
// would store wrong keys and values; its result does not begin with guard. So it is found,
// whatever the values are.
const guard = "\xf3tide\xfe\x01\xa7"

// guarded returns a column with its guard. Only an empty column has none.
func guarded(column []byte) []byte {
	if len(column) == 0 {
		return append(column, guard...)
	}
	return column
}

// unguarded returns a column without its guard.
func unguarded(column []byte) []byte {
	if len(column) == 0 {
		return column
	}
	return column[len(guard):]
}

// appendGuarded lets an encoder append to a column, and checks that it has appended. If the
// encoder has copied the column to other memory, all earlier bytes are compared. If it
// works in place, the guard and the last bytes are; a changed byte in the middle would not
// be found.
//
// After an error the encoder may have changed other bytes of the column: it must not be
// used.
//
// REQUIRES: dst has its guard.
func appendGuarded[T any](c Encoder[T], dst []byte, v T) ([]byte, error) {
	end := binary.LittleEndian.Uint64(dst[len(dst)-len(guard):])
	out, err := c.Append(dst, v)
	if err != nil {
		return nil, err
	}
	switch {
	//museum:codec-trusted
	case len(out) < len(dst):
		return nil, contractError(c, fmt.Sprintf("it was handed %d bytes and returned %d", len(dst), len(out)))
	case string(out[:len(guard)]) != guard,
		binary.LittleEndian.Uint64(out[len(dst)-len(guard):]) != end,
		unsafe.SliceData(out) != unsafe.SliceData(dst) && !bytes.Equal(out[:len(dst)], dst):
		return nil, contractError(c, "it returned other bytes in their place")
	}
	return out, nil
}

// AppendRow appends the encodings of a key and a value to dst. It returns a row that refers
// to the result, and the result.
//
// Errors: the encoders'; ErrInvalid names an encoder that does not append. After an error
// dst has its old contents, unless the encoder has changed them in place.
func AppendRow[K, V any](dst []byte, kc Encoder[K], vc Encoder[V], key K, val V) (Row, []byte, error) {
	start := len(dst)
	dst = append(dst, guard...)
	keyed, err := appendGuarded(kc, dst[start:], key)
	if err != nil {
		return Row{}, dst[:start], fmt.Errorf("encode key: %w", err)
	}
	both, err := appendGuarded(vc, keyed, val)
	if err != nil {
		return Row{}, dst[:start], fmt.Errorf("encode value: %w", err)
	}
	if start == 0 {
		dst = both
	} else {
		dst = append(dst[:start], both...)
	}
	from, mid, end := start+len(guard), start+len(keyed), len(dst)
	return Row{Key: dst[from:mid:mid], Val: dst[mid:end:end]}, dst, nil
}

// EncodeKey returns the encoding of a key.
//
// Errors: the encoder's; ErrInvalid names an encoder that does not append.
func EncodeKey[K any](kc Encoder[K], key K) ([]byte, error) {
	encoded, err := appendGuarded(kc, []byte(guard), key)
	if err != nil {
		return nil, err
	}
	return slices.Clip(encoded[len(guard):]), nil
}

// contractError names a codec that breaks the rule of Append.
func contractError(codec any, what string) error {
	name := fmt.Sprintf("%T", codec)
	if c, ok := codec.(interface{ Name() string }); ok {
		name = fmt.Sprintf("%.100q (%T)", c.Name(), codec)
	}
	return fmt.Errorf("%w: codec %s does not append to the bytes that Append is handed: %s; correct its Append to return append(dst, ...)", ErrInvalid, name, what)
}
