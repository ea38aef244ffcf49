package file

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
)

// What a log says that an append takes is what it takes in the segment, and the largest
// that it says is the largest that it takes.
func TestLogTellsWhatItStores(t *testing.T) {
	l := openMem(t, disk.New(), SegmentSize(1<<20, 1<<20))
	random := rand.New(rand.NewPCG(1, 2))
	appendGroups(t, l, []int{1}) // which makes the segment
	for range 100 {
		sizes := make([]int, 1+random.IntN(5))
		var bytes int64
		for i := range sizes {
			sizes[i] = random.IntN(1 << random.IntN(12))
			bytes += int64(sizes[i])
		}
		before := l.write.off
		appendGroups(t, l, sizes)
		require.Equal(t, l.StoredBytes(len(sizes), bytes), l.write.off-before, "%v", sizes)
	}
	require.LessOrEqual(t, l.StoredBytes(1, MaxAppendSize-entryHeaderSize), l.MaxAppend())
	require.Greater(t, l.StoredBytes(1, MaxAppendSize-entryHeaderSize+1), l.MaxAppend())
}
