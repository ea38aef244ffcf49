package codec_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/persist/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type record struct {
	Name   string            `json:"name"`
	Tags   map[string]string `json:"tags"`
	Weight float64           `json:"weight"`
	Raw    []byte            `json:"raw"`
	Parent *record           `json:"parent,omitempty"`
}

var (
	// Short texts over few letters, so that equal texts and prefixes are common.
	// NUL and its neighbours are what the delimiter of a pair is made of.
	text   = rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff, 0x1F30A}), 0, 4, -1)
	blob   = rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xfe, 0xff}), 0, 5)
	number = rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 3))

	instant = rapid.Custom(func(t *rapid.T) time.Time {
		sec := rapid.OneOf(
			rapid.Int64(),
			rapid.Int64Range(-2, 2),
			rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}),
			// The year 1, and the seconds where counting from 1970 wraps around.
			rapid.Int64Range(-62135596802, -62135596798),
			rapid.Int64Range(math.MaxInt64-62135596802, math.MaxInt64-62135596798),
		).Draw(t, "sec")
		nsec := rapid.OneOf(rapid.Int64Range(0, 2), rapid.Int64Range(0, 999999999)).Draw(t, "nsec")
		zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("east", 7200)}).Draw(t, "zone")
		return time.Unix(sec, nsec).In(zone)
	})

	float = rapid.Custom(func(t *rapid.T) float64 {
		bits := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{
			0, 1 << 63, // +0, -0
			math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)),
			math.Float64bits(math.NaN()), math.Float64bits(math.NaN()) | 1<<63,
			1, 1<<63 | 1, // the smallest magnitudes
		})).Draw(t, "bits")
		return math.Float64frombits(bits)
	})

	rec = rapid.Custom(func(t *rapid.T) record {
		r := record{
			Name:   rapid.String().Draw(t, "name"),
			Tags:   rapid.MapOf(text, text).Draw(t, "tags"),
			Weight: rapid.Float64().Draw(t, "weight"),
			Raw:    blob.Draw(t, "raw"),
		}
		if rapid.Bool().Draw(t, "has parent") {
			r.Parent = &record{Name: `\ufffd`, Tags: map[string]string{}, Raw: []byte{}}
		}
		return r
	})

	document = rapid.Custom(func(t *rapid.T) *structpb.Struct {
		fields := map[string]*structpb.Value{}
		for k, v := range rapid.MapOf(text, rapid.Float64()).Draw(t, "fields") {
			fields[k] = structpb.NewNumberValue(v)
		}
		return &structpb.Struct{Fields: fields}
	})
)

func tuple[A, B any](a *rapid.Generator[A], b *rapid.Generator[B]) *rapid.Generator[codec.Tuple[A, B]] {
	return rapid.Custom(func(t *rapid.T) codec.Tuple[A, B] {
		return codec.Tuple[A, B]{First: a.Draw(t, "first"), Second: b.Draw(t, "second")}
	})
}

func compareTuples[A, B any](a func(x, y A) int, b func(x, y B) int) func(x, y codec.Tuple[A, B]) int {
	return func(x, y codec.Tuple[A, B]) int {
		return cmp.Or(a(x.First, y.First), b(x.Second, y.Second))
	}
}

func compareBools(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	default:
		return 1
	}
}

// compareTotally is IEEE 754's totalOrder, written by cases.
func compareTotally(x, y float64) int {
	neg := compareBools(math.Signbit(y), math.Signbit(x))
	magnitude := cmp.Compare(math.Float64bits(math.Abs(x)), math.Float64bits(math.Abs(y)))
	if math.Signbit(x) {
		magnitude = -magnitude
	}
	return cmp.Or(neg, magnitude)
}

func equal[T any](t require.TestingT, want, got T) { require.Equal(t, want, got) }

// check draws values and demands of c what Codec asks for. A nil compare means
// that encodings need not sort as values do.
func check[T any](
	t *testing.T, c codec.Codec[T], values *rapid.Generator[T],
	same func(t require.TestingT, want, got T), compare func(x, y T) int,
) {
	t.Helper()
	encode := func(t require.TestingT, v T) []byte {
		dst := append(make([]byte, 0, 64), "before"...)
		out, err := c.Append(dst, v)
		require.NoError(t, err)
		require.Equal(t, "before", string(out[:6]), "Append must keep what dst holds")
		return out[6:]
	}
	t.Run(c.Name(), func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			v := values.Draw(t, "value")
			encoded := encode(t, v)

			src := bytes.Clone(encoded)
			back, err := c.Decode(src)
			require.NoError(t, err)
			require.Equal(t, encoded, src, "Decode must not change src")
			for i := range src {
				src[i] ^= 0x55
			}
			same(t, v, back)
			require.Equal(t, encoded, encode(t, back), "equal values, equal bytes")

			if compare != nil {
				other := values.Draw(t, "other value")
				require.Equal(t, compare(v, other), bytes.Compare(encoded, encode(t, other)),
					"bytes must sort as values do")
			}
		})
	})
}

func TestCodecsRoundTripAndSort(t *testing.T) {
	check(t, codec.Unit, rapid.Just(struct{}{}), equal, func(_, _ struct{}) int { return 0 })
	check(t, codec.Bool, rapid.Bool(), equal, compareBools)
	check(t, codec.String, rapid.OneOf(text, rapid.String()), equal, strings.Compare)
	check(t, codec.Bytes, blob, equal, bytes.Compare)
	check(t, codec.Uint32, rapid.Uint32(), equal, cmp.Compare)
	check(t, codec.Uint64, number, equal, cmp.Compare)
	check(t, codec.Int32, rapid.Int32(), equal, cmp.Compare)
	check(t, codec.Int64, rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2)), equal, cmp.Compare)
	check(t, codec.Float64, float, func(t require.TestingT, want, got float64) {
		require.Equal(t, math.Float64bits(want), math.Float64bits(got))
	}, compareTotally)
	check(t, codec.Time, instant, func(t require.TestingT, want, got time.Time) {
		require.True(t, want.Equal(got), "want %v, got %v", want, got)
		require.Equal(t, time.UTC, got.Location())
	}, time.Time.Compare)

	check(t, codec.Pair(codec.String, codec.Bytes), tuple(text, blob), equal,
		compareTuples(strings.Compare, bytes.Compare))
	check(t, codec.Pair(codec.Uint64, codec.String), tuple(number, text), equal,
		compareTuples(cmp.Compare[uint64], strings.Compare))
	check(t, codec.Pair(codec.Pair(codec.Bytes, codec.String), codec.Bool),
		tuple(tuple(blob, text), rapid.Bool()), equal,
		compareTuples(compareTuples(bytes.Compare, strings.Compare), compareBools))
	check(t, codec.Pair(codec.Bytes, codec.Pair(codec.Bytes, codec.Bytes)),
		tuple(blob, tuple(blob, blob)), equal,
		compareTuples(bytes.Compare, compareTuples(bytes.Compare, bytes.Compare)))
	check(t, codec.Pair(codec.Pair(codec.Uint32, codec.Bool), codec.Bytes),
		tuple(tuple(rapid.Uint32Range(0, 2), rapid.Bool()), blob), equal,
		compareTuples(compareTuples(cmp.Compare[uint32], compareBools), bytes.Compare))

	check(t, codec.Option(codec.Uint64), rapid.Custom(func(t *rapid.T) codec.Optional[uint64] {
		if rapid.Bool().Draw(t, "missing") {
			return codec.Optional[uint64]{}
		}
		return codec.Some(number.Draw(t, "value"))
	}), equal, func(x, y codec.Optional[uint64]) int {
		return cmp.Or(compareBools(x.Valid, y.Valid), cmp.Compare(x.Value, y.Value))
	})
	check(t, codec.Result(codec.Uint64, codec.String), rapid.Custom(func(t *rapid.T) codec.Outcome[uint64, string] {
		if rapid.Bool().Draw(t, "failed") {
			return codec.Failure[uint64](text.Draw(t, "error"))
		}
		return codec.OK[string](number.Draw(t, "value"))
	}), equal, func(x, y codec.Outcome[uint64, string]) int {
		return cmp.Or(compareBools(x.Failed, y.Failed), cmp.Compare(x.Value, y.Value), strings.Compare(x.Err, y.Err))
	})

	check(t, codec.JSON[record](), rec, equal, nil)
	check(t, codec.Proto[*structpb.Struct](), document, func(t require.TestingT, want, got *structpb.Struct) {
		require.True(t, proto.Equal(want, got))
	}, nil)
	check(t, codec.Func("via uint64", codec.Uint64.Append, codec.Uint64.Decode), number, equal, cmp.Compare)
}

// Rows whose values hold a map are added up only if its order does not show.
func TestMapOrderDoesNotShow(t *testing.T) {
	build := func(keys ...string) (record, *structpb.Struct) {
		r, s := record{Tags: map[string]string{}}, &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for _, k := range keys {
			r.Tags[k] = k
			s.Fields[k] = structpb.NewStringValue(k)
		}
		return r, s
	}
	keys := strings.Split("abcdefghijklmnop", "")
	reversed := strings.Split("ponmlkjihgfedcba", "")
	r1, s1 := build(keys...)
	r2, s2 := build(reversed...)
	for range 20 { // Go's maps are iterated in another order each time
		requireSameBytes(t, codec.JSON[record](), r1, r2)
		requireSameBytes(t, codec.Proto[*structpb.Struct](), s1, s2)
	}
}

func TestInstantsThatAreEqualHaveEqualBytes(t *testing.T) {
	now := time.Now() // has a monotonic reading and the local zone
	requireSameBytes(t, codec.Time, now, now.Round(0).In(time.FixedZone("east", 3600)))

	encoded, err := codec.Time.Append(nil, time.Time{})
	require.NoError(t, err)
	back, err := codec.Time.Decode(encoded)
	require.NoError(t, err)
	require.Equal(t, time.Time{}, back, "the zero time must stay the zero time")
}

func requireSameBytes[T any](t *testing.T, c codec.Codec[T], x, y T) {
	t.Helper()
	a, err := c.Append(nil, x)
	require.NoError(t, err)
	b, err := c.Append(nil, y)
	require.NoError(t, err)
	require.Equal(t, a, b)
}

func TestEmptyBytesComeBackEmpty(t *testing.T) {
	for _, src := range [][]byte{nil, {}} {
		v, err := codec.Bytes.Decode(src)
		require.NoError(t, err)
		require.Equal(t, []byte{}, v, "empty, and not nil")
	}
}

// A codec prints as its name, not as what it is made of.
func TestCodecsPrintAsTheirNames(t *testing.T) {
	mine := codec.Func("mine", codec.Bool.Append, codec.Bool.Decode)
	for _, c := range []interface{ Name() string }{
		codec.Unit, codec.Bool, codec.String, codec.Bytes, codec.Uint32, codec.Uint64, codec.Int32, codec.Int64,
		codec.Float64, codec.Time, codec.Pair(codec.String, mine), codec.Option(codec.Uint64),
		codec.Result(codec.String, mine), codec.JSON[map[string]int](), codec.Proto[*wrapperspb.StringValue](),
		codec.Keep(codec.JSON[[]int]()), codec.Keep(mine), mine,
	} {
		require.Equal(t, c.Name(), fmt.Sprint(c))
		require.Equal(t, c.Name(), fmt.Sprintf("%+v", c))
	}
}
