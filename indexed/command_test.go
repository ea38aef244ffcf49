package indexed

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
)

// An entry is the same whether its updates were laid out for it or not, and is all that
// its columns keep in memory.
func TestCommandEncodesInPlace(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	inPlace := 0
	for range 20_000 {
		var c Command
		var b ColumnsBuilder
		fill := func() {
			b.Reset()
			for range random.IntN(4) {
				require.NoError(t, b.Add(make([]byte, random.IntN(200)), make([]byte, random.IntN(9)), random.Uint64N(9), 1))
			}
		}
		id := func() StreamID { return StreamID(random.Uint64() >> random.IntN(64)) }
		for range 1 + random.IntN(4) {
			switch random.IntN(4) {
			case 0:
				fill()
				c.WriteFrom(id(), &b)
			case 1:
				fill()
				c.Write(id(), b.Columns())
			case 2:
				c.Seal(id(), frontier.At(random.Uint64()))
			case 3:
				c.AllowCompaction(id(), frontier.At(random.Uint64()))
			}
		}
		c.normalise()
		plain := slices.Clone(c.ops)
		want, got := encodeEntry(plain), c.encode()
		require.Equal(t, want, got)
		if len(c.room) > 0 && &c.room[:cap(c.room)][cap(c.room)-1] == &got[:cap(got)][cap(got)-1] {
			inPlace++
		}
		for i := range got {
			got[i]++
		}
		for i := range plain {
			counts := len(plain[i].cols.AppendCounts(nil))
			buf := plain[i].cols.AppendTo(nil)[counts:]
			for j := range buf {
				buf[j]++
			}
			require.Equal(t, string(buf), string(c.ops[i].cols.AppendTo(nil)[counts:]), "it lies in the entry")
		}
	}
	require.Greater(t, inPlace, 1000)
}
