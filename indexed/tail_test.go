package indexed

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// A tail is a list of updates, and a copy of it stays as it was, whatever happens to the
// original.
func TestTailIsAValue(t *testing.T) {
	type written struct {
		at   storage.SeqNo
		rows []Row
		size int64
	}
	show := func(tl *tail) (list []string) {
		last := storage.SeqNo(0)
		for c := range tl.chunks() {
			require.Greater(t, c.from, last)
			require.GreaterOrEqual(t, c.through, c.from)
			last = c.through
			lo, hi := c.cols.TimeRange()
			for i := range c.cols.Len() {
				list = append(list, fmt.Sprintf("%s=%s @%d %+d", c.cols.Key(i), c.cols.Val(i), c.cols.Time(i), c.cols.Diff(i)))
				lo, hi = min(lo, c.cols.Time(i)), max(hi, c.cols.Time(i))
			}
			got, most := c.cols.TimeRange()
			require.Equal(t, []uint64{lo, hi}, []uint64{got, most})
		}
		return list
	}
	wanted := func(model []written) (list []string) {
		for _, w := range model {
			for _, r := range w.rows {
				list = append(list, fmt.Sprintf("%s=%s @%d %+d", r.Key, r.Val, r.Time, r.Diff))
			}
		}
		return list
	}
	rapid.Check(t, func(t *rapid.T) {
		type kept struct {
			tail tail
			want []string
		}
		tl := tail{packs: rapid.Bool().Draw(t, "packs")}
		var model []written
		var copies []kept
		var next, packed storage.SeqNo
		var builder ColumnsBuilder
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"append", "append one", "pack", "drop", "copy"}).Draw(t, "step") {
			case "append":
				for range rapid.IntRange(1, 3*tailBlock).Draw(t, "chunks") {
					next = appendTo(&tl, &builder, next, 0)
					model = append(model, written{next, rowsAt(next, 0), int64(sizeAt(next, 0))})
				}
			case "append one":
				large := rapid.SampledFrom([]int{0, looseChunk, packBytes}).Draw(t, "large")
				next = appendTo(&tl, &builder, next, large)
				model = append(model, written{next, rowsAt(next, large), int64(sizeAt(next, large))})
			case "pack":
				tl.pack()
				packed = next
			case "drop":
				through := packed
				if !tl.packs {
					through = storage.SeqNo(rapid.Uint64Range(0, uint64(next)+1).Draw(t, "through"))
				} else if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
					through = math.MaxUint64
				}
				var bytes int64
				for len(model) > 0 && model[0].at <= through {
					bytes += model[0].size
					model = model[1:]
				}
				require.Equal(t, bytes, tl.drop(through))
			case "copy":
				copies = append(copies, kept{tl, wanted(model)})
			}
			require.Equal(t, len(model) == 0, tl.empty())
			if len(model) > 0 {
				require.Equal(t, model[0].at, tl.first())
			}
		}
		for _, c := range append(copies, kept{tl, wanted(model)}) {
			require.True(t, slices.Equal(c.want, show(&c.tail)))
		}
	})
}

// rowsAt are the rows of the command at a position; one of them may be large.
func rowsAt(at storage.SeqNo, large int) []Row {
	rows := make([]Row, 1+at%3)
	for i := range rows {
		rows[i] = Row{Key: fmt.Appendf(nil, "%d", at)[:at%2], Val: bytes.Repeat([]byte{byte(97 + at%26)}, i), Time: uint64(at) * 7 % 11, Diff: int64(i) - 1}
	}
	rows[0].Val = bytes.Repeat([]byte{byte(65 + at%26)}, large)
	return rows
}

func sizeAt(at storage.SeqNo, large int) (bytes int) {
	rows := rowsAt(at, large)
	for i := range rows {
		bytes += part.RowBytes(&rows[i])
	}
	return bytes
}

func appendTo(tl *tail, b *ColumnsBuilder, last storage.SeqNo, large int) storage.SeqNo {
	at := last + 1 + last%3
	for _, r := range rowsAt(at, large) {
		_ = b.Add(r.Key, r.Val, r.Time, r.Diff)
	}
	tl.append(tailChunk{at, at, b.Finish()})
	return at
}

// Small chunks take the room of their updates, and not much more.
func TestTailPacks(t *testing.T) {
	tl := tail{packs: true}
	var b ColumnsBuilder
	at := storage.SeqNo(0)
	for range 100 * packChunks {
		at = appendTo(&tl, &b, at, 0)
	}
	require.LessOrEqual(t, len(tl.columns()), 101)
}
