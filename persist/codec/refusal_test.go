package codec_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tidemark-go/tidemark/persist/codec"
)

var errUser = errors.New("user's own error")

var failing = codec.Func("failing",
	func(dst []byte, _ int) ([]byte, error) { return append(dst, "half"...), errUser },
	func([]byte) (int, error) { return 7, errUser })

func TestDecodeRefusesOtherBytes(t *testing.T) {
	requireDecodeError(t, codec.Unit, "x", "unit: want 0 bytes, got 1")
	requireDecodeError(t, codec.Bool, "", "bool: want 1 bytes, got 0")
	requireDecodeError(t, codec.Bool, "\x02", "bool: want the byte 0 or 1, got 2")
	requireDecodeError(t, codec.String, "a\xff", "string: not valid UTF-8")
	requireDecodeError(t, codec.Uint32, "123", "uint32: want 4 bytes, got 3")
	requireDecodeError(t, codec.Uint64, "123456789", "uint64: want 8 bytes, got 9")
	requireDecodeError(t, codec.Int32, "", "int32: want 4 bytes, got 0")
	requireDecodeError(t, codec.Int64, "1", "int64: want 8 bytes, got 1")
	requireDecodeError(t, codec.Float64, "1234567", "float64: want 8 bytes, got 7")
	requireDecodeError(t, codec.Time, "12345678", "time: want 12 bytes, got 8")
	requireDecodeError(t, codec.Time, "\x80\x00\x00\x00\x00\x00\x00\x00\x3b\x9a\xca\x00", "want less than 1000000000 nanoseconds, got 1000000000")

	delimited := codec.Pair(codec.String, codec.Uint32)
	requireDecodeError(t, delimited, "", "pair(string,uint32): no delimiter")
	requireDecodeError(t, delimited, "abc", "no delimiter")
	requireDecodeError(t, delimited, "abc\x00", "no delimiter")
	requireDecodeError(t, delimited, "abc\x00\xff", "no delimiter")
	requireDecodeError(t, delimited, "abc\x00\x02", "byte 0x02 after 00 at offset 3: want ff or 01")
	requireDecodeError(t, delimited, "\xff\x00\x011234", "first: codec: cannot decode string: not valid UTF-8")
	requireDecodeError(t, delimited, "a\x00\x01123", "second: codec: cannot decode uint32: want 4 bytes, got 3")
	requireDecodeError(t, codec.Pair(codec.Uint32, codec.Unit), "123", "pair(uint32:4,unit): want at least 4 bytes, got 3")

	requireDecodeError(t, codec.Option(codec.Unit), "", "option(unit): want a tag byte, got no bytes")
	requireDecodeError(t, codec.Option(codec.Unit), "\x02", "want the tag 0 or 1, got 2")
	requireDecodeError(t, codec.Option(codec.Unit), "\x00x", "want no bytes after the tag 0, got 1")
	requireDecodeError(t, codec.Option(codec.Unit), "\x01x", "want 0 bytes, got 1")
	requireDecodeError(t, codec.Result(codec.Unit, codec.String), "", "result(unit,string): want a tag byte, got no bytes")
	requireDecodeError(t, codec.Result(codec.Unit, codec.String), "\x2a", "want the tag 0 or 1, got 42")
	requireDecodeError(t, codec.Result(codec.Unit, codec.String), "\x00x", "want 0 bytes, got 1")
	requireDecodeError(t, codec.Result(codec.Unit, codec.String), "\x01\xff", "not valid UTF-8")

	requireDecodeError(t, codec.JSON[record](), "", "json(record): unexpected end of JSON input")
	requireDecodeError(t, codec.JSON[record](), `{"weight":1,"name":7}`, "cannot unmarshal number")
	requireDecodeError(t, codec.JSON[record](), `{} {}`, "after top-level value")
	requireDecodeError(t, codec.Proto[*structpb.Struct](), "\xff", "proto(google.protobuf.Struct): ")
	requireDecodeError(t, codec.Proto[proto.Message](), "", "is not a generated message type")
	requireDecodeError(t, codec.Proto[*dynamicpb.Message](), "", "is not a generated message type")
	requireDecodeError(t, failing, "", "failing: user's own error")
}

func requireDecodeError[T any](t *testing.T, c codec.Codec[T], src, text string) {
	t.Helper()
	v, err := c.Decode([]byte(src))
	require.ErrorIs(t, err, codec.ErrDecode)
	require.ErrorContains(t, err, "codec: cannot decode "+c.Name()+": ")
	require.ErrorContains(t, err, text)
	require.Zero(t, v)
}

func TestAppendRefusesValuesWithoutEncoding(t *testing.T) {
	requireEncodeError(t, codec.String, "a\xff", "string: not valid UTF-8")
	requireEncodeError(t, codec.Pair(codec.String, codec.Unit), codec.Tuple[string, struct{}]{First: "\xff"}, "first: codec: cannot encode string")
	requireEncodeError(t, codec.Pair(codec.String, codec.String), codec.Tuple[string, string]{Second: "\xff"}, "second: codec: cannot encode string")
	requireEncodeError(t, codec.Option(codec.String), codec.Some("\xff"), "not valid UTF-8")
	requireEncodeError(t, codec.Result(codec.String, codec.Unit), codec.OK[struct{}]("\xff"), "not valid UTF-8")
	requireEncodeError(t, codec.Result(codec.Unit, codec.String), codec.Failure[struct{}]("\xff"), "not valid UTF-8")
	requireEncodeError(t, codec.JSON[float64](), math.NaN(), "json(float64): json: unsupported value: NaN")
	requireEncodeError(t, codec.Proto[*wrapperspb.StringValue](), wrapperspb.String("\xff"), "invalid UTF-8")
	requireEncodeError(t, codec.Proto[*wrapperspb.StringValue](), nil, "the message is nil")
	requireEncodeError(t, codec.Proto[proto.Message](), nil, "is not a generated message type")
	requireEncodeError(t, failing, 0, "failing: user's own error")
}

func requireEncodeError[T any](t *testing.T, c codec.Codec[T], v T, text string) {
	t.Helper()
	out, err := c.Append([]byte("before"), v)
	require.ErrorIs(t, err, codec.ErrEncode)
	require.ErrorContains(t, err, "codec: cannot encode "+c.Name()+": ")
	require.ErrorContains(t, err, text)
	require.Equal(t, "before", string(out), "dst must come back as it was")
}

func TestFuncKeepsTheCause(t *testing.T) {
	_, err := failing.Append(nil, 0)
	require.ErrorIs(t, err, errUser)
	_, err = failing.Decode(nil)
	require.ErrorIs(t, err, errUser)
}

// encoding/json replaces bytes that are not UTF-8 without a word. The texts that
// look like its replacement must pass.
func TestJSONRefusesStringsThatItWouldChange(t *testing.T) {
	c := codec.JSON[[]string]()
	for _, s := range []string{"\xff", "a\xc3", "\\\xff", `\ufffd` + "\xff"} {
		requireEncodeError(t, c, []string{s}, "a string is not valid UTF-8")
	}
	for _, s := range []string{"\ufffd", `\ufffd`, `\\ufffd`, `\` + "\ufffd"} {
		encoded, err := c.Append(nil, []string{s})
		require.NoError(t, err, "%q", s)
		back, err := c.Decode(encoded)
		require.NoError(t, err)
		require.Equal(t, []string{s}, back)
	}
}
