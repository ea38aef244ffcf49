package codec_test

import (
	"bytes"
	"cmp"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tidemark-go/tidemark/persist/codec"
)

// The targets of this file give arbitrary bytes to every codec, family by family. They
// demand:
//
//  1. no panic, no more memory than a few bytes are worth, and every refusal matches
//     ErrDecode;
//  2. what was decoded can be encoded, and does not share memory with the input;
//  3. canonical codecs have one encoding for each value: encoding what was decoded gives
//     the input again. For the others, encoding is stable from then on;
//  4. two encodings are ordered as the values that they stand for.

// FuzzInts is about numbers without a fraction, and what else has a fixed size.
func FuzzInts(f *testing.F) {
	pairs(f,
		"", "\x00", "\x01", "\x02", "\x00\x00\x00\x00", "\x7f\xff\xff\xff", "\x80\x00\x00\x00", "\xff\xff\xff\xff",
		"\x00\x00\x00\x00\x00\x00\x00\x00", "\x7f\xff\xff\xff\xff\xff\xff\xff", "\x80\x00\x00\x00\x00\x00\x00\x01",
	)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ordered(t, codec.Unit, a, b, func(x, y struct{}) int { return 0 })
		ordered(t, codec.Bool, a, b, compareBools)
		ordered(t, codec.Uint32, a, b, cmp.Compare[uint32])
		ordered(t, codec.Uint64, a, b, cmp.Compare[uint64])
		ordered(t, codec.Int32, a, b, cmp.Compare[int32])
		ordered(t, codec.Int64, a, b, cmp.Compare[int64])
	})
}

// FuzzFloats is about floats: NaNs, infinities and both zeros are values like others.
func FuzzFloats(f *testing.F) {
	pairs(f,
		"\x80\x00\x00\x00\x00\x00\x00\x00", "\x7f\xff\xff\xff\xff\xff\xff\xff", "\xff\xf0\x00\x00\x00\x00\x00\x00",
		"\x00\x0f\xff\xff\xff\xff\xff\xff", "\xff\xf8\x00\x00\x00\x00\x00\x01", "\x00\x00\x00\x00\x00\x00\x00\x00", "\xbf\xf0\x00\x00\x00\x00\x00\x00",
	)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ordered(t, codec.Float64, a, b, compareTotally)
	})
}

// FuzzTimes is about instants, from the first to the last that there are.
func FuzzTimes(f *testing.F) {
	pairs(f,
		"\x80\x00\x00\x0e\x77\x91\xf7\x00\x3b\x9a\xc9\xff", "\x80\x00\x00\x0e\x77\x91\xf7\x00\x3b\x9a\xca\x00",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x01", "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ordered(t, codec.Time, a, b, time.Time.Compare)
	})
}

// FuzzStrings is about texts and bytes.
func FuzzStrings(f *testing.F) {
	pairs(f, "", "a", "a\x00", "a\x00b", "\u00e9", "\xff", "\xed\xa0\x80", "\U0010ffff")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ordered(t, codec.String, a, b, cmp.Compare[string])
		ordered(t, codec.Bytes, a, b, bytes.Compare)
	})
}

// FuzzComposites is about codecs made of others: they are ordered by their parts.
func FuzzComposites(f *testing.F) {
	pairs(f,
		"", "\x00", "\x01", "a\x00\x01b", "a\x00\xff\x00\x01", "a\x00\xff\x00\x01\x00", "\x00\x01", "\x00\x00\x01", "\x01\x80\x00\x00\x00", "\x01\x7f\xff\xff\xff",
		"a\x00\x01", "ab\x00\x01a", "\x00\xff\x00\x01", "\x80\x00\x00\x0e\x77\x91\xf7\x00\x3b\x9a\xc9\xff\x01z",
		"\x00k\x00\x01", "\x01failure", "k\x00\xff\x01\x00\x01v",
	)
	strs := cmp.Compare[string]
	options := func(x, y codec.Optional[int32]) int {
		return cmp.Or(compareBools(x.Valid, y.Valid), cmp.Compare(x.Value, y.Value))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ordered(t, codec.Pair(codec.String, codec.Bytes), a, b, compareTuples(strs, bytes.Compare))
		ordered(t, codec.Pair(codec.Int32, codec.String), a, b, compareTuples(cmp.Compare[int32], strs))
		ordered(t, codec.Pair(codec.Pair(codec.Bytes, codec.Bool), codec.Bytes), a, b,
			compareTuples(compareTuples(bytes.Compare, compareBools), bytes.Compare))
		ordered(t, codec.Option(codec.Int32), a, b, options)
		ordered(t, codec.Pair(codec.Time, codec.Option(codec.Int32)), a, b, compareTuples(time.Time.Compare, options))
		ordered(t, codec.Result(codec.Pair(codec.Bytes, codec.Unit), codec.String), a, b,
			func(x, y codec.Outcome[codec.Tuple[[]byte, struct{}], string]) int {
				return cmp.Or(compareBools(x.Failed, y.Failed), bytes.Compare(x.Value.First, y.Value.First), strs(x.Err, y.Err))
			})
	})
}

// FuzzJSON is about JSON, whose encodings have no order. It refuses all forms but one, and
// kept values keep the others.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","parent":{"tags":{"b":"c"}}}`, `{"weight":-0,"raw":"AAE="}`, `{"weight":1e999}`, `null`, ` [1, "\ufffd", {"b":1,"a":2}]`, `"\ud800"`, "\"\xff\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		exact(t, codec.JSON[record](), data)
		exact(t, codec.JSON[any](), data)
		exact(t, codec.JSON[map[string][]int64](), data)
	})
}

// FuzzProto is about protobuf messages, likewise.
func FuzzProto(f *testing.F) {
	for _, seed := range []string{"", "\x0a\x0b\x0a\x01a\x12\x06\x1a\x04text", "\x0a\x00", "\xff", "\x10\x07"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		exact(t, codec.Proto[*structpb.Struct](), data)
	})
}

// pairs adds each seed together with every one after it.
func pairs(f *testing.F, seeds ...string) {
	for i, a := range seeds {
		for _, b := range seeds[i+1:] {
			f.Add([]byte(a), []byte(b))
		}
	}
}

// ordered checks a canonical codec: one encoding for each value, in the same order.
func ordered[T any](t *testing.T, c codec.Codec[T], a, b []byte, compare func(x, y T) int) {
	x, okX := decoded(t, c, a)
	y, okY := decoded(t, c, b)
	if okX && okY {
		require.Equal(t, bytes.Compare(a, b), compare(x, y), "%s: %x and %x stand for %v and %v", c.Name(), a, b, x, y)
	}
}

// exact checks that what is read encodes to what it was read from, with the codec and where
// values are kept.
func exact[T any](t *testing.T, c codec.Codec[T], data []byte) {
	_, strictly := decoded(t, c, data)
	_, kept := decoded(t, codec.Keep(c), data)
	require.True(t, kept || !strictly, "%s: %x", c.Name(), data)
}

// maxFuzzAlloc is what decoding a few bytes may allocate, whatever they are.
const maxFuzzAlloc = 64 << 20

func decoded[T any](t *testing.T, c codec.Codec[T], data []byte) (v T, ok bool) {
	src := bytes.Clone(data)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := c.Decode(src)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(maxFuzzAlloc), "%s: bytes allocated", c.Name())
	require.True(t, bytes.Equal(data, src), "%s: Decode must not change src", c.Name())
	if err != nil {
		require.ErrorIs(t, err, codec.ErrDecode)
		return v, false
	}
	for i := range src {
		src[i] ^= 0x55
	}
	encoded, err := c.Append(nil, v)
	require.NoError(t, err, c.Name())
	require.True(t, bytes.Equal(data, encoded), "%s: %x decodes, and encodes to %x", c.Name(), data, encoded)
	again, err := c.Decode(bytes.Clone(encoded))
	require.NoError(t, err, c.Name())
	once, err := c.Append(nil, again)
	require.NoError(t, err, c.Name())
	require.True(t, bytes.Equal(encoded, once), "%s: %x, then %x", c.Name(), encoded, once)
	return v, true
}
