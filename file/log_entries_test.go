package file

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

// entryData is the data of the entry at a position: all tests write the same, so
// that what they read can be checked without remembering anything.
func entryData(pos storage.SeqNo, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(int(pos)*31+i*7) | 1 // never zero, so that a cut is noticed
	}
	return b
}

func openMem(t testing.TB, m *disk.Disk, opts ...Option) *Log {
	t.Helper()
	l, err := tryOpenMem(m, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func tryOpenMem(m *disk.Disk, opts ...Option) (*Log, error) {
	return NewLog("/db", append([]Option{withFileSystem(m), SegmentSize(MinSegmentSize, MinSegmentSize)}, opts...)...)
}

// appendGroups appends groups of entries, given as the sizes of each.
func appendGroups(t testing.TB, l *Log, groups ...[]int) {
	t.Helper()
	for _, sizes := range groups {
		b, err := l.Bounds(t.Context())
		require.NoError(t, err)
		data := make([][]byte, len(sizes))
		for i, size := range sizes {
			data[i] = entryData(b.Last+storage.SeqNo(i)+1, size)
		}
		_, err = l.Append(t.Context(), b.Last, data)
		require.NoError(t, err)
	}
}

// readAll returns the positions that a log yields after a position, having
// checked their data, and the error that ended them.
func readAll(t testing.TB, l storage.LogReader, after storage.SeqNo) (positions []storage.SeqNo, err error) {
	t.Helper()
	for e, err := range l.Read(t.Context(), after) {
		if err != nil {
			return positions, err
		}
		require.Equal(t, entryData(e.SeqNo, len(e.Data)), e.Data, "data of entry %d", e.SeqNo)
		positions = append(positions, e.SeqNo)
	}
	return positions, nil
}

func upTo(n storage.SeqNo) []storage.SeqNo {
	positions := []storage.SeqNo{}
	for p := storage.SeqNo(1); p <= n; p++ {
		positions = append(positions, p)
	}
	return positions
}

func seg(index uint64) string { return "/db/log/" + segmentName(index) }

// threeSegments makes a closed log of three segments; every group has two
// entries. The last segment has three groups, the others two.
func threeSegments(t testing.TB) *disk.Disk {
	m := disk.New()
	l := openMem(t, m)
	for range 2 {
		appendGroups(t, l, []int{3000, 2000}, []int{3000, 2500})
	}
	appendGroups(t, l, []int{2000, 4000}, []int{100, 60}, []int{700, 501})
	require.NoError(t, l.Close())
	require.Len(t, m.Names("00"), 3)
	return m
}

// groups returns where the frames of a segment begin, and behind the last one
// the end.
func groups(t testing.TB, m *disk.Disk, index uint64) []point {
	t.Helper()
	s, err := openSegment("/db/log", index, m.Open)
	require.NoError(t, err)
	defer s.release() //nolint:errcheck // only read
	w, at := newWindow(s), []point{s.start()}
	for {
		h, _, what, err := w.group(at[len(at)-1], nil)
		require.NoError(t, err)
		if what != "" {
			return at
		}
		at = append(at, at[len(at)-1].after(h))
	}
}
