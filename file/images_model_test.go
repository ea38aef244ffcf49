package file

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The states that the enumerator makes of one file are those that its assumptions
// allow, and all of them.
func TestImagesOfAWrite(t *testing.T) {
	old, written := bytes.Repeat([]byte("a"), 1024), bytes.Repeat([]byte("b"), 1024)
	m := newMemFS()
	f, err := m.Create("/f")
	require.NoError(t, err)
	require.NoError(t, m.flushDir("/"))
	_, err = f.WriteAt(old, 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	j := m.record()
	_, err = f.WriteAt(written, 256) // sectors 0 to 2, and the file grows to 1280 bytes
	require.NoError(t, err)
	const unsynced = 0 // the only step after which something may be lost
	require.NoError(t, f.Datasync())
	whole := slices.Clone(m.file("/f"))

	sizes, sectors, tornAt := map[int]bool{}, map[string]bool{}, map[int]bool{}
	stale := false
	for seed := range uint64(400) {
		for i := range j.images(seed, nil) {
			data := i.fs.file("/f")
			switch {
			case i.at > unsynced, i.kind == killed:
				require.Equal(t, whole, data, i)
				continue
			case i.kind == synced:
				require.Equal(t, old, data, i)
				continue
			case i.kind == torn:
				n := bytes.LastIndexByte(data, 'b') + 1
				require.Equal(t, append(bytes.Repeat([]byte("a"), 256), written[:max(0, n-256)]...), data[:max(256, n)], i)
				tornAt[n%sector] = true
				continue
			}
			sizes[len(data)] = true
			kept := ""
			for s, b := range slices.Collect(slices.Chunk(data[256:min(len(data), 1024)], 256)) {
				require.Equal(t, bytes.Repeat(b[:1], len(b)), b, "a sector is torn: %v", i)
				if s == 0 || s == 1 { // sector 0 ends at 512, sector 1 has two pieces
					kept += string(b[:1])
				}
			}
			sectors[kept] = true
			if len(data) > 1024 {
				tail := data[1024:]
				isNew := bytes.Equal(tail, written[:256])
				isZero := len(bytes.Trim(tail, "\x00")) == 0
				stale = stale || !isNew && !isZero
			}
		}
	}
	require.Equal(t, map[int]bool{1024: true, 1280: true}, sizes)
	require.Equal(t, []string{"aa", "ab", "ba", "bb"}, slices.Sorted(maps.Keys(sectors)))
	require.Greater(t, len(tornAt), 100, "a write is torn at any byte")
	require.True(t, stale, "what a file has got from the disk may be there")
}

// A sector that was written several times may hold any of its contents.
func TestImagesOfASectorWrittenTwice(t *testing.T) {
	m := newMemFS()
	f, err := m.Create("/f")
	require.NoError(t, err)
	require.NoError(t, m.flushDir("/"))
	j := m.record()
	for _, b := range []string{"1", "2", "3"} {
		_, err = f.WriteAt([]byte(b), 0)
		require.NoError(t, err)
		m.mark(b) // so that a state that was there before is not left out
	}
	seen := map[string]bool{}
	for seed := range uint64(100) {
		for i := range j.images(seed, nil) {
			if i.mark == "3" && i.kind == half && len(i.fs.file("/f")) == 1 {
				seen[string(i.fs.file("/f"))] = true
			}
		}
	}
	for _, b := range []string{"1", "2", "3"} {
		require.True(t, seen[b], "%v", seen)
	}
}

// Until its directory is flushed, a rename may leave either name, both or none, and
// what it replaces is there or replaced.
func TestImagesOfARename(t *testing.T) {
	m := newMemFS()
	for _, name := range []string{"/from", "/to"} {
		f, err := m.Create(name)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte(name), 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	require.NoError(t, m.flushDir("/"))
	j := m.record()
	require.NoError(t, m.Rename("/from", "/to"))
	require.NoError(t, m.flushDir("/"))
	seen := map[string]bool{}
	for seed := range uint64(100) {
		for i := range j.images(seed, nil) {
			var state []string
			for _, name := range []string{"/from", "/to"} {
				if n := i.fs.names[name]; n != nil {
					state = append(state, name+" is "+string(n.data))
				}
			}
			text := strings.Join(state, ", ")
			if seen[text] = true; i.at == 1 {
				require.Equal(t, "/to is /from", text)
			}
			if i.kind == halfOrdered || i.kind == renameLost {
				require.Contains(t, []string{"/to is /from", "/from is /from, /to is /to"}, text, i)
			}
		}
	}
	require.Equal(t, []string{
		"/from is /from, /to is /from", "/from is /from, /to is /to", "/to is /from", "/to is /to",
	}, slices.Sorted(maps.Keys(seen)))
}

// A journal repeats the run that it was made of, and its images depend on it and on
// the seed alone.
func TestJournalRepeatsTheRun(t *testing.T) {
	m := newMemFS()
	require.NoError(t, workload(m, &progress{}, 1))
	j := m.record()
	require.NoError(t, workload(m, &progress{}, 2))
	m.end()
	s := sums{}
	digests := func() (all []uint64) {
		for i := range j.images(7, nil) {
			all = append(all, s.of(i.fs))
		}
		return all
	}
	first := digests()
	require.Equal(t, first, digests())
	// An image that there was before does not come again, so the last one of its kind may
	// not be that of the last step.
	require.Contains(t, first, s.of(m))
	require.Contains(t, first, s.of(m.after(nothing)))
}
