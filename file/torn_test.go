package file

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

// A group that is torn at any byte, whatever the file held there before, is cut
// and kept aside. The bytes behind the cut come from the previous life of the
// file: they must not come back.
func TestTornAtEveryByte(t *testing.T) {
	for _, stale := range []string{"zeros", "recycled", "ones"} {
		m := disk.New()
		l := openMem(t, m)
		last := storage.SeqNo(4)
		appendGroups(t, l, []int{10, 20}, []int{30, 40})
		if stale == "recycled" {
			for len(m.Names(sparePrefix)) == 0 {
				appendGroups(t, l, []int{300, 100})
				b, err := l.Bounds(t.Context())
				require.NoError(t, err)
				require.NoError(t, l.Truncate(t.Context(), b.Last))
			}
			old := l.mu.segs[0]
			for l.mu.segs[0] == old {
				appendGroups(t, l, []int{300, 100})
				b, err := l.Bounds(t.Context())
				require.NoError(t, err)
				last = b.Last
				require.NoError(t, l.Truncate(t.Context(), last))
			}
		}
		active := l.mu.segs[0]
		bounds, err := l.Bounds(t.Context())
		require.NoError(t, err)
		at := l.write.off
		before := slices.Clone(m.Edit(active.name))
		if stale == "ones" {
			for i := at; i < int64(len(before)); i++ {
				before[i] = 0xff
			}
		}
		appendGroups(t, l, []int{50, 31})
		group := slices.Clone(m.Edit(active.name)[at:l.write.off])
		require.NoError(t, l.Close())

		for n := 0; n <= len(group); n++ {
			m := m.Clone()
			copy(m.Edit(active.name), before)
			copy(m.Edit(active.name)[at:], group[:n])
			want := last
			whole := slices.Equal(m.Edit(active.name)[at:][:frameHeaderSize+4+50+4+31], group[:frameHeaderSize+4+50+4+31])
			if whole {
				want += 2
			}

			r, err := NewLogReader("/db", withFileSystem(m))
			require.NoError(t, err)
			got, err := readAll(t, r, bounds.After)
			require.NoError(t, err)
			require.LessOrEqual(t, len(got), int(last-bounds.After), "%s, %d bytes: a reader yields what is not known to be durable", stale, n)
			require.NoError(t, r.Close())

			l, err := tryOpenMem(m)
			require.NoError(t, err, "%s, %d bytes", stale, n)
			got, err = readAll(t, l, bounds.After)
			require.NoError(t, err)
			require.Equal(t, upTo(want)[bounds.After:], append([]storage.SeqNo{}, got...), "%s, %d bytes", stale, n)
			if kept := l.Recovery().Kept; kept != "" {
				require.Equal(t, active.name, l.Recovery().Segment)
				if !whole { // else what is kept are bytes of the file's previous life
					require.Equal(t, at, l.Recovery().Offset)
					require.Equal(t, group[:min(n, 8)], m.Edit(kept)[:min(n, 8)])
				}
			} else {
				// A group begins as the mark does that it overwrites.
				require.True(t, whole || n <= len("Tmf"), "%s, %d bytes: nothing was kept", stale, n)
			}
			require.NoError(t, l.Close())
		}
	}
}

// Torn tails are kept aside, but not without bound.
func TestTornFilesAreBounded(t *testing.T) {
	m := disk.New()
	for range 3 * maxTorn {
		l := openMem(t, m)
		appendGroups(t, l, []int{10})
		at := l.write.off
		require.NoError(t, l.Close())
		b := m.Edit(seg(1))[at:]
		clear(b[:markSize])
		copy(b, "torn")
	}
	l := openMem(t, m)
	require.Len(t, m.Names(tornPrefix), maxTorn)
	require.Contains(t, m.Names(tornPrefix), l.Recovery().Kept, "the newest is kept")
}
