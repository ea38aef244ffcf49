package indexed

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// The sorted tail of a snapshot has the rows of its tail, whatever other snapshots of the
// stream have asked for before, and whatever was flushed meanwhile.
func TestSortedTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := newState(1)
		s := &stream{set: &batchSet{}, tail: tail{packs: rapid.Bool().Draw(t, "packs")}}
		var builder ColumnsBuilder
		var next, packed storage.SeqNo
		var snapshots []*Snapshot
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"append", "append", "flush begins", "flush ends", "snapshot", "snapshot", "read", "read"}).Draw(t, "step") {
			case "append":
				for range rapid.IntRange(1, 5).Draw(t, "chunks") {
					next = appendTo(&s.tail, &builder, next, rapid.SampledFrom([]int{0, looseChunk}).Draw(t, "large"))
				}
			case "flush begins":
				s.tail.pack()
				packed = next
			case "flush ends":
				st.dropTailLocked(s, packed)
			case "snapshot":
				snapshots = append(snapshots, st.snapshotLocked(s, nil))
			case "read":
				if len(snapshots) > 0 {
					requireSortedTail(t, rapid.SampledFrom(snapshots).Draw(t, "of"))
				}
			}
		}
		for _, snap := range slices.Backward(snapshots) {
			requireSortedTail(t, snap)
		}
	})
}

func requireSortedTail(t require.TestingT, s *Snapshot) {
	keys := [][]byte{{}, []byte("3"), []byte("30")}
	want, wantOfKeys := map[string]int64{}, map[string]int64{}
	for c := range s.tail.chunks() {
		for i := range c.cols.Len() {
			row := fmt.Sprintf("%q=%q @%d", c.cols.Key(i), c.cols.Val(i), c.cols.Time(i))
			want[row] += c.cols.Diff(i)
			if key := c.cols.Key(i); len(key) == 0 || bytes.Equal(key, keys[1]) {
				wantOfKeys[row] += c.cols.Diff(i)
			}
		}
	}
	got, gotOfKeys := map[string]int64{}, map[string]int64{}
	for _, run := range s.sortedTail() {
		add(t, got, run.Ranged(part.AllTimes, nil, nil))
		add(t, gotOfKeys, run.Keyed(part.AllTimes, keys))
	}
	for _, sums := range []map[string]int64{want, wantOfKeys, got, gotOfKeys} {
		maps.DeleteFunc(sums, func(_ string, diff int64) bool { return diff == 0 })
	}
	require.Equal(t, want, got)
	require.Equal(t, wantOfKeys, gotOfKeys)
}

// add adds the rows of a source, which must be sorted.
func add(t require.TestingT, sums map[string]int64, source part.Source) {
	var last *Row
	for r, err := range part.Consolidate(context.Background(), []part.Source{source}, frontier.Antichain{}, math.MaxInt, nil) {
		require.NoError(t, err)
		if last != nil {
			require.LessOrEqual(t, bytes.Compare(last.Key, r.Key), 0)
		}
		last = &r
		sums[fmt.Sprintf("%q=%q @%d", r.Key, r.Val, r.Time)] += r.Diff
	}
}

// A flush ends between two snapshots, and nothing is written meanwhile. So their tails end
// with the same chunk, and begin with different ones.
func TestSortedTailsOfTwoFlushes(t *testing.T) {
	for _, firstAsked := range []int{0, 1} {
		st := newState(1)
		s := &stream{set: &batchSet{}}
		var builder ColumnsBuilder
		flushed := appendTo(&s.tail, &builder, 0, 0)
		appendTo(&s.tail, &builder, flushed, 0)
		snapshots := []*Snapshot{st.snapshotLocked(s, nil), nil}
		st.dropTailLocked(s, flushed)
		snapshots[1] = st.snapshotLocked(s, nil)
		requireSortedTail(t, snapshots[firstAsked])
		requireSortedTail(t, snapshots[1-firstAsked])
	}
}
