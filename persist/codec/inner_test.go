package codec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/persist/codec"
)

// wrongAppends are the ways in which a codec of strings fails to append.
var wrongAppends = map[string]func(dst []byte, v string) ([]byte, error){
	"ignores dst":          func(_ []byte, v string) ([]byte, error) { return []byte(v), nil },
	"begins at its start":  func(dst []byte, v string) ([]byte, error) { return append(dst[:0], v...), nil },
	"cuts the end off":     func(dst []byte, v string) ([]byte, error) { return append(dst[:max(0, len(dst)-1)], v...), nil },
	"changes the end":      func(dst []byte, v string) ([]byte, error) { dst[len(dst)-1]++; return append(dst, v...), nil },
	"puts itself in front": func(dst []byte, v string) ([]byte, error) { return append([]byte(v), dst...), nil },
}

// A composite of a codec that does not append is an error that names the codec, whatever
// the values are: with two that are the same the bytes in their place would be right.
func TestCompositesOfCodecsThatDoNotAppend(t *testing.T) {
	old := codec.Func("acme/bad", codec.String.Append, func(src []byte) (string, error) { return strings.TrimPrefix(string(src), "v1:"), nil })
	read, err := codec.Keep(old).Decode([]byte("v1:x"))
	require.NoError(t, err)
	for name, appendTo := range wrongAppends {
		bad := codec.Func("acme/bad", appendTo, func(src []byte) (string, error) { return string(src), nil })
		for _, first := range []string{"", "a", "same", "\x01\x01"} {
			for _, v := range []string{"a", "same", "\x01\x01", strings.Repeat("long", 100)} {
				for _, dst := range [][]byte{nil, []byte("dst"), slices.Grow([]byte("dst"), 1000)} {
					for composite, err := range map[string]error{
						"pair of strings": second(codec.Pair(codec.String, bad).Append(dst, codec.Tuple[string, string]{First: first, Second: v})),
						"first of a pair": second(codec.Pair(bad, codec.String).Append(dst, codec.Tuple[string, string]{First: v, Second: first})),
						"option":          second(codec.Option(bad).Append(dst, codec.Some(v))),
						"result":          second(codec.Result(bad, codec.Unit).Append(dst, codec.OK[struct{}](v))),
						"error":           second(codec.Result(codec.Unit, bad).Append(dst, codec.Failure[struct{}](v))),
						"kept":            second(codec.Keep(bad).Append(dst, codec.Kept[string]{Value: v})),
						"kept, as read":   second(codec.Keep(bad).Append(dst, read)),
						"part of a kept":  second(codec.Keep(codec.Option(bad)).Append(dst, codec.Kept[codec.Optional[string]]{Value: codec.Some(v)})),
						"decoding a kept": second(codec.Keep(bad).Decode([]byte(v))),
						"nested":          second(codec.Option(codec.Pair(codec.Unit, bad)).Append(dst, codec.Some(codec.Tuple[struct{}, string]{Second: v}))),
					} {
						require.ErrorIs(t, err, codec.ErrEncode, "%s: %s of %q", name, composite, v)
						require.ErrorContains(t, err, "cannot encode acme/bad: Append does not append")
					}
				}
			}
		}
	}
}

func second[A any](_ A, err error) error { return err }

// A codec of somebody else is encoded in a composite as one of this package is.
func TestCompositesOfOtherCodecs(t *testing.T) {
	other := codec.Func("other", codec.String.Append, codec.String.Decode)
	for _, v := range []codec.Tuple[string, string]{{}, {First: "a\x00b", Second: "c"}, {First: strings.Repeat("x", 1000), Second: strings.Repeat("y", 1000)}} {
		want, err := codec.Pair(codec.String, codec.String).Append([]byte("dst"), v)
		require.NoError(t, err)
		got, err := codec.Pair(other, other).Append(slices.Grow([]byte("dst"), len(want)/2), v)
		require.NoError(t, err)
		require.Equal(t, want, got)
		back, err := codec.Pair(other, other).Decode(got[3:])
		require.NoError(t, err)
		require.Equal(t, v, back)
	}
}

// A decoder may append to the bytes that it is given: nothing lies behind them, whatever they
// are a part of, and whatever lies behind the whole.
func TestDecodersAreGivenNoRoom(t *testing.T) {
	strict := codec.Func("strict", codec.String.Append, func(src []byte) (string, error) {
		if len(src) != cap(src) {
			return "", fmt.Errorf("%d bytes with room for %d", len(src), cap(src))
		}
		return string(src), nil
	})
	type tuple = codec.Tuple[string, string]
	pair := codec.Pair(strict, strict)
	for _, v := range []string{"", "a", "a\x00b", "\x00", strings.Repeat("long\x00", 100)} {
		both := tuple{First: v, Second: v}
		decodesWithRoom(t, pair, both)
		decodesWithRoom(t, codec.Pair(codec.Uint64, strict), codec.Tuple[uint64, string]{First: 7, Second: v})
		decodesWithRoom(t, codec.Pair(pair, pair), codec.Tuple[tuple, tuple]{First: both, Second: both})
		decodesWithRoom(t, codec.Option(strict), codec.Some(v))
		decodesWithRoom(t, codec.Result(strict, strict), codec.OK[string](v))
		decodesWithRoom(t, codec.Result(strict, strict), codec.Failure[string](v))
		decodesWithRoom(t, codec.Option(codec.Keep(codec.Option(strict))), codec.Some(codec.Kept[codec.Optional[string]]{Value: codec.Some(v)}))
	}
}

func decodesWithRoom[T any](t *testing.T, c codec.Codec[T], v T) {
	t.Helper()
	src, err := c.Append(nil, v)
	require.NoError(t, err)
	got, err := c.Decode(append(src, "behind"...)[:len(src)])
	require.NoError(t, err)
	require.Equal(t, v, got)
}
