package file

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// watched lets a test see, change and hold up what is read of a file.
type watched struct {
	vfs.File
	read func(p []byte, off int64) // gets what was read
}

func (h watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.File.ReadAt(p, off)
	h.read(p[:n], off)
	return n, err
}

// watch watches the segments that the log has.
func watch(l *Log, read func(s *segment, p []byte, off int64)) {
	for _, s := range l.mu.segs {
		s.f = watched{s.f, func(p []byte, off int64) { read(s, p, off) }}
	}
}

// TestLargeGroupsAreReadOnce: large groups take two reads each, which read next to
// nothing twice.
func TestLargeGroupsAreReadOnce(t *testing.T) {
	for _, size := range []int{100 << 10, 280 << 10} {
		l := openMem(t, disk.New(), SegmentSize(8<<20, 8<<20))
		appendGroups(t, l, slices.Repeat([][]int{{size}}, 8)...)
		bytes, reads := 0, 0
		watch(l, func(_ *segment, p []byte, _ int64) { bytes, reads = bytes+len(p), reads+1 })
		positions, err := readAll(t, l, 0)
		require.NoError(t, err)
		require.Len(t, positions, 8)
		require.Less(t, bytes, 8*(size+2*minWindow), "groups of %d bytes", size)
		require.LessOrEqual(t, reads, 2*8+1, "groups of %d bytes", size)
	}
}

// TestSmallGroupsAreReadTogether: reads grow with what is read in sequence.
func TestSmallGroupsAreReadTogether(t *testing.T) {
	l := openMem(t, disk.New(), SegmentSize(1<<20, 1<<20))
	appendGroups(t, l, slices.Repeat([][]int{{1000}}, 200)...)
	bytes, reads := 0, 0
	watch(l, func(_ *segment, p []byte, _ int64) { bytes, reads = bytes+len(p), reads+1 })
	_, err := readAll(t, l, 0)
	require.NoError(t, err)
	require.LessOrEqual(t, reads, 7)
	require.Less(t, bytes, 200*1040+maxWindow)
}
