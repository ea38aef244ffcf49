package codec

import (
	"errors"
	"unicode/utf8"

	"github.com/tidemark-go/tidemark/internal/kept"
)

// String encodes a string as its UTF-8 bytes. A string that is not valid UTF-8 is refused
// in encoding and in decoding: use [Bytes] for such strings.
var String Codec[string] = stringCodec{named{"string"}}

// Bytes encodes a byte slice as it is. A nil slice is decoded as an empty one.
var Bytes Codec[[]byte] = bytesCodec{named{"bytes"}}

var errNotUTF8 = errors.New("not valid UTF-8 (codec bytes takes any bytes)")

type stringCodec struct{ named }

func (c stringCodec) Append(dst []byte, v string) ([]byte, error) {
	if !utf8.ValidString(v) {
		return dst, encodeErrorf(c.name, "%w", errNotUTF8)
	}
	return append(dst, v...), nil
}

func (c stringCodec) Decode(src []byte) (string, error) {
	if !utf8.Valid(src) {
		return "", decodeErrorf(c.name, "%w", errNotUTF8)
	}
	return string(src), nil
}

// DecodeOwned implements [OwnedDecoder].
func (c stringCodec) DecodeOwned(src []byte) (string, error) { return c.DecodeShared(src) }

// DecodeShared implements [SharedDecoder].
func (c stringCodec) DecodeShared(src []byte) (string, error) {
	if !utf8.Valid(src) {
		return "", decodeErrorf(c.name, "%w", errNotUTF8)
	}
	return kept.String(src), nil
}

type bytesCodec struct{ named }

func (bytesCodec) Append(dst, v []byte) ([]byte, error) { return append(dst, v...), nil }

func (bytesCodec) Decode(src []byte) ([]byte, error) { return append([]byte{}, src...), nil }

// DecodeOwned implements [OwnedDecoder].
func (bytesCodec) DecodeOwned(src []byte) ([]byte, error) { return src, nil }
