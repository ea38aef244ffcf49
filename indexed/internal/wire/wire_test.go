package wire

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
)

// FuzzWire reads and writes the encodings that all messages are made of.
func FuzzWire(f *testing.F) {
	f.Add([]byte{1, 0x80, 0x01, 0, 5}, uint64(7), "name")
	f.Add([]byte{0}, uint64(math.MaxUint64), "")
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, uint64(1<<63), "\xff")
	f.Fuzz(func(t *testing.T, data []byte, time uint64, text string) {
		msg := AppendString(AppendFrontier(AppendFrontier(nil, frontier.At(time)), frontier.Empty()), text)
		r := NewReader(msg, 0)
		require.Equal(t, frontier.At(time), r.Frontier())
		require.Equal(t, frontier.Empty(), r.Frontier())
		require.Equal(t, text, r.Text())
		require.NoError(t, r.End())

		// Whatever comes, it is read within its bounds, and after an error there are zeros.
		r = NewReader(data, 0)
		a, s, n := r.Frontier(), r.Text(), r.Count(3)
		require.LessOrEqual(t, len(s)+3*n, len(data))
		require.LessOrEqual(t, r.off, len(data))
		if r.err == nil {
			again := NewReader(AppendString(AppendFrontier(nil, a), s), 0)
			require.Equal(t, a, again.Frontier())
			require.Equal(t, s, again.Text())
			return
		}
		require.Zero(t, r.Uvarint())
		require.Zero(t, r.Byte())
		require.Empty(t, r.Text())
		require.Error(t, r.End())
	})
}
