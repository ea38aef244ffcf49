package indexed

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/storage"
)

// A tail is a list of chunks, and a copy of it stays as it was, whatever happens to the
// original.
func TestTailIsAValue(t *testing.T) {
	positions := func(tl *tail) (list []storage.SeqNo) {
		for c := range tl.chunks() {
			list = append(list, c.seqno)
		}
		return list
	}
	rapid.Check(t, func(t *rapid.T) {
		type kept struct {
			tail tail
			want []storage.SeqNo
		}
		var tl tail
		var model []storage.SeqNo
		var copies []kept
		var next storage.SeqNo
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"append", "drop", "copy"}).Draw(t, "step") {
			case "append":
				for range rapid.IntRange(1, 3*tailBlock).Draw(t, "chunks") {
					next += storage.SeqNo(1 + next%3)
					tl.append(tailChunk{next, Columns{n: 1, buf: make([]byte, next%5)}})
					model = append(model, next)
				}
			case "drop":
				through := storage.SeqNo(rapid.Uint64Range(0, uint64(next)+1).Draw(t, "through"))
				var bytes int64
				for len(model) > 0 && model[0] <= through {
					bytes += int64(model[0] % 5)
					model = model[1:]
				}
				require.Equal(t, bytes, tl.drop(through))
			case "copy":
				copies = append(copies, kept{tl, slices.Clone(model)})
			}
			require.Equal(t, len(model) == 0, tl.empty())
			if len(model) > 0 {
				require.Equal(t, model[0], tl.first().seqno)
			}
			require.Len(t, tl.columns(), len(model))
		}
		for _, c := range append(copies, kept{tl, slices.Clone(model)}) {
			require.True(t, slices.Equal(c.want, positions(&c.tail)))
		}
	})
}
