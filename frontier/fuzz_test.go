package frontier_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
)

// FuzzUnmarshalText: a text is refused and changes nothing, or it is an antichain whose
// own text means the same.
func FuzzUnmarshalText(f *testing.F) {
	for _, text := range []string{"{}", "{0}", "{7}", "{18446744073709551615}", "{18446744073709551616}", "", "{", "{+1}", "{007}", "{1_0}", "{ 1}", "{-1}"} {
		f.Add([]byte(text), uint64(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, time uint64) {
		a := frontier.At(time)
		if err := a.UnmarshalText(text); err != nil {
			require.Equal(t, frontier.At(time), a)
		} else {
			back := frontier.At(time)
			require.NoError(t, back.UnmarshalText([]byte(a.String())))
			require.Equal(t, a, back)
		}
		var same frontier.Antichain
		require.NoError(t, same.UnmarshalText([]byte(frontier.At(time).String())))
		require.Equal(t, frontier.At(time), same)
	})
}
