package codec_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tidemark-go/tidemark/persist/codec"
)

// FuzzDecode gives arbitrary bytes to every codec. It demands:
//
//  1. no panic, and every refusal matches ErrDecode;
//  2. what was decoded can be encoded, and does not share memory with the input;
//  3. canonical codecs have one encoding for each value: encoding what was decoded
//     gives the input again. For the others, encoding is stable from then on.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "\x00", "\x01", "a\x00\x01b", "a\x00\xff\x00\x01", "\x00\x00\x01", "\x01\x80\x00\x00\x00",
		"\x80\x00\x00\x0e\x77\x91\xf7\x00\x3b\x9a\xc9\xff", `{"name":"a","parent":{"tags":{"b":"c"}}}`,
		"\x0a\x0b\x0a\x01a\x12\x06\x1a\x04text",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		decodeAny(t, codec.Unit, data, true)
		decodeAny(t, codec.Bool, data, true)
		decodeAny(t, codec.String, data, true)
		decodeAny(t, codec.Bytes, data, true)
		decodeAny(t, codec.Uint32, data, true)
		decodeAny(t, codec.Uint64, data, true)
		decodeAny(t, codec.Int32, data, true)
		decodeAny(t, codec.Int64, data, true)
		decodeAny(t, codec.Float64, data, true)
		decodeAny(t, codec.Time, data, true)
		decodeAny(t, codec.Pair(codec.String, codec.Bytes), data, true)
		decodeAny(t, codec.Pair(codec.Pair(codec.Bytes, codec.Bool), codec.Bytes), data, true)
		decodeAny(t, codec.Pair(codec.Time, codec.Option(codec.String)), data, true)
		decodeAny(t, codec.Option(codec.Int32), data, true)
		decodeAny(t, codec.Result(codec.Pair(codec.Bytes, codec.Unit), codec.String), data, true)
		decodeAny(t, codec.JSON[record](), data, false)
		decodeAny(t, codec.JSON[any](), data, false)
		decodeAny(t, codec.Proto[*structpb.Struct](), data, false)
	})
}

func decodeAny[T any](t *testing.T, c codec.Codec[T], data []byte, canonical bool) {
	src := bytes.Clone(data)
	v, err := c.Decode(src)
	require.Equal(t, data, src, "%s: Decode must not change src", c.Name())
	if err != nil {
		require.ErrorIs(t, err, codec.ErrDecode)
		return
	}
	for i := range src {
		src[i] ^= 0x55
	}
	encoded, err := c.Append(nil, v)
	require.NoError(t, err, c.Name())
	if canonical {
		require.True(t, bytes.Equal(data, encoded), "%s: %x decodes, and encodes to %x", c.Name(), data, encoded)
	}
	again, err := c.Decode(bytes.Clone(encoded))
	require.NoError(t, err, c.Name())
	stable, err := c.Append(nil, again)
	require.NoError(t, err, c.Name())
	require.True(t, bytes.Equal(encoded, stable), "%s: %x, then %x", c.Name(), encoded, stable)
}
