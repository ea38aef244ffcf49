package codec_test

import (
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tidemark-go/tidemark/persist/codec"
)

type box[T any] struct{ Content T }

type money float64

// Names and bytes are on people's disks. A failure here is never mended in this
// table: a new encoding needs a new name.
func TestNamesAndBytesNeverChange(t *testing.T) {
	requireFormat(t, codec.Unit, "unit", struct{}{}, "")
	requireFormat(t, codec.Bool, "bool", false, "00")
	requireFormat(t, codec.Bool, "bool", true, "01")
	requireFormat(t, codec.String, "string", "añ", "61c3b1")
	requireFormat(t, codec.Bytes, "bytes", []byte{0, 255}, "00ff")
	requireFormat(t, codec.Uint32, "uint32", 0x01020304, "01020304")
	requireFormat(t, codec.Uint64, "uint64", 0x0102030405060708, "0102030405060708")
	requireFormat(t, codec.Int32, "int32", -1, "7fffffff")
	requireFormat(t, codec.Int32, "int32", 1, "80000001")
	requireFormat(t, codec.Int64, "int64", -1, "7fffffffffffffff")
	requireFormat(t, codec.Int64, "int64", 1, "8000000000000001")
	requireFormat(t, codec.Float64, "float64", 1, "bff0000000000000")
	requireFormat(t, codec.Float64, "float64", -1, "400fffffffffffff")
	requireFormat(t, codec.Float64, "float64", math.Copysign(0, -1), "7fffffffffffffff")
	requireFormat(t, codec.Time, "time", time.Time{}, "8000000000000000"+"00000000")
	requireFormat(t, codec.Time, "time", time.Unix(-1, 5), "8000000e7791f6ff"+"00000005")
	requireFormat(t, codec.Time, "time", time.Unix(1517356800, 999999999), "8000000ed202fe00"+"3b9ac9ff")

	requireFormat(t, codec.Pair(codec.String, codec.Bytes), "pair(string,bytes)",
		codec.Tuple[string, []byte]{First: "a\x00b", Second: []byte{0}}, "6100ff62"+"0001"+"00")
	requireFormat(t, codec.Pair(codec.Uint32, codec.String), "pair(uint32:4,string)",
		codec.Tuple[uint32, string]{First: 7, Second: "x"}, "00000007"+"78")
	requireFormat(t, codec.Pair(codec.Pair(codec.Bool, codec.Bool), codec.Unit), "pair(pair(bool:1,bool):2,unit)",
		codec.Tuple[codec.Tuple[bool, bool], struct{}]{First: codec.Tuple[bool, bool]{Second: true}}, "0001")
	requireFormat(t, codec.Pair(codec.Pair(codec.String, codec.Bool), codec.Bool), "pair(pair(string,bool),bool)",
		codec.Tuple[codec.Tuple[string, bool], bool]{}, "00ff01"+"00ff"+"0001"+"00")
	// A codec of one's own is delimited, whatever it wraps.
	requireFormat(t, codec.Pair(codec.Func("mine", codec.Bool.Append, codec.Bool.Decode), codec.Bool), "pair(mine,bool)",
		codec.Tuple[bool, bool]{}, "00ff"+"0001"+"00")

	requireFormat(t, codec.Option(codec.String), "option(string)", codec.Optional[string]{Value: "ignored"}, "00")
	requireFormat(t, codec.Option(codec.String), "option(string)", codec.Some("a"), "0161")
	requireFormat(t, codec.Result(codec.String, codec.Int32), "result(string,int32)", codec.OK[int32]("a"), "0061")
	requireFormat(t, codec.Result(codec.String, codec.Int32), "result(string,int32)", codec.Failure[string](int32(0)), "0180000000")

	requireFormat(t, codec.JSON[box[string]](codec.TypeName("box/v1")), "json(box/v1)",
		box[string]{Content: "<\u2028>"}, hex.EncodeToString([]byte(`{"Content":"\u003c\u2028\u003e"}`)))
	requireFormat(t, codec.Proto[*wrapperspb.StringValue](), "proto(google.protobuf.StringValue)",
		wrapperspb.String("a"), "0a0161")
}

func requireFormat[T any](t *testing.T, c codec.Codec[T], name string, v T, wantHex string) {
	t.Helper()
	require.Equal(t, name, c.Name())
	encoded, err := c.Append(nil, v)
	require.NoError(t, err)
	require.Equal(t, wantHex, hex.EncodeToString(encoded), name)
}

// The name must outlive a move of the type to another package, a new field of a
// struct, and the numbers that the compiler gives to local types.
func TestNamesOfJSONCodecs(t *testing.T) {
	type local struct{}
	for _, row := range []struct{ got, want string }{
		{codec.JSON[record]().Name(), "json(record)"},
		{codec.JSON[*record]().Name(), "json(*record)"},
		{codec.JSON[[]record]().Name(), "json([]record)"},
		{codec.JSON[map[string]int64]().Name(), "json(map[string]int64)"},
		{codec.JSON[map[money][]*structpb.Struct]().Name(), "json(map[money][]*Struct)"},
		{codec.JSON[struct{ A int }]().Name(), "json(struct)"},
		{codec.JSON[any]().Name(), "json(interface)"},
		{codec.JSON[local]().Name(), "json(local)"},
		{codec.JSON[box[local]]().Name(), "json(box[local])"},
		{codec.JSON[box[box[structpb.Struct]]]().Name(), "json(box[box[Struct]])"},
		{codec.JSON[box[map[string]*record]]().Name(), "json(box[map[string]*record])"},
		{codec.JSON[record](codec.TypeName("order")).Name(), "json(order)"},
	} {
		require.Equal(t, row.want, row.got)
	}
}
