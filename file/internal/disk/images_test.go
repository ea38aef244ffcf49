package disk

import (
	"bytes"
	"errors"
	iofs "io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// The states that the enumerator makes of one file are those that its assumptions
// allow, and all of them.
func TestImagesOfAWrite(t *testing.T) {
	old, written := bytes.Repeat([]byte("a"), 1024), bytes.Repeat([]byte("b"), 1024)
	m := New()
	f, err := m.Create("/f")
	require.NoError(t, err)
	require.NoError(t, m.FlushDir("/"))
	_, err = f.WriteAt(old, 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	j := m.Record()
	_, err = f.WriteAt(written, 256) // sectors 0 to 2, and the file grows to 1280 bytes
	require.NoError(t, err)
	const unsynced = 0 // the only step after which something may be lost
	require.NoError(t, f.Datasync())
	whole := slices.Clone(m.Edit("/f"))

	sizes, sectors, tornAt := map[int]bool{}, map[string]bool{}, map[int]bool{}
	stale := false
	for seed := range uint64(400) {
		for i := range j.Images(seed, nil) {
			data := i.Disk.Edit("/f")
			switch {
			case i.At > unsynced, i.Kind == Killed:
				require.Equal(t, whole, data, i)
				continue
			case i.Kind == Synced:
				require.Equal(t, old, data, i)
				continue
			case i.Kind == Torn:
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
	m := New()
	f, err := m.Create("/f")
	require.NoError(t, err)
	require.NoError(t, m.FlushDir("/"))
	j := m.Record()
	for _, b := range []string{"1", "2", "3"} {
		_, err = f.WriteAt([]byte(b), 0)
		require.NoError(t, err)
		m.Mark(b) // so that a state that was there before is not left out
	}
	seen := map[string]bool{}
	for seed := range uint64(100) {
		for i := range j.Images(seed, nil) {
			if i.Mark == "3" && i.Kind == Half && len(i.Disk.Edit("/f")) == 1 {
				seen[string(i.Disk.Edit("/f"))] = true
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
	m := New()
	for _, name := range []string{"/from", "/to"} {
		f, err := m.Create(name)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte(name), 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	require.NoError(t, m.FlushDir("/"))
	j := m.Record()
	require.NoError(t, m.Rename("/from", "/to"))
	require.NoError(t, m.FlushDir("/"))
	seen := map[string]bool{}
	for seed := range uint64(100) {
		for i := range j.Images(seed, nil) {
			var state []string
			for _, name := range []string{"/from", "/to"} {
				if n := i.Disk.names[name]; n != nil {
					state = append(state, name+" is "+string(n.data))
				}
			}
			text := strings.Join(state, ", ")
			if seen[text] = true; i.At == 1 {
				require.Equal(t, "/to is /from", text)
			}
			if i.Kind == HalfOrdered || i.Kind == RenameLost {
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
	m := New()
	rng := rand.New(rand.NewPCG(1, 1))
	work(t, m, rng, 10)
	j := m.Record()
	work(t, m, rng, 400)
	m.End()
	steps := len(j.Steps())
	m.Mark("after the end")
	require.Len(t, j.Steps(), steps)
	for _, op := range []string{"create", "mkdir", "rename", "remove", "write", "truncate", "sync", "datasync", "syncDir"} {
		require.True(t, slices.ContainsFunc(j.Steps(), func(s Step) bool { return s.Op == op }), "no %s", op)
	}
	s := sums{}
	digests := func() (all []uint64) {
		for i := range j.Images(7, nil) {
			all = append(all, s.of(i.Disk))
		}
		return all
	}
	first := digests()
	require.Equal(t, first, digests())
	// An image that there was before does not come again, so the last one of its kind may
	// not be that of the last step.
	require.Contains(t, first, s.of(m))
	require.Contains(t, first, s.of(m.after(nothing)))
	byKind := map[Kind]int{}
	for i := range j.Images(7, nil) {
		byKind[i.Kind]++
	}
	for _, k := range Kinds() {
		require.NotZero(t, byKind[k], "no image: %s", k)
	}
}

// work does so many random operations on a disk.
func work(t *testing.T, m *Disk, rng *rand.Rand, n int) {
	name := func() string { return string("abc"[rng.IntN(3)]) }
	path := func() string { return "/" + []string{name(), name() + "/" + name()}[rng.IntN(2)] }
	for range n {
		var err error
		at := path()
		switch what := rng.IntN(8); what {
		case 0:
			err = m.Mkdir("/" + name())
		case 1:
			if to := path(); !m.IsDir(at) && !m.IsDir(to) && m.Has(filepath.Dir(to)) && !m.Has(to) {
				err = m.Rename(at, to)
			}
		case 2:
			err = m.Remove(at)
		case 3:
			err = m.FlushDir(filepath.Dir(at))
		default:
			var f vfs.File
			if f, err = m.OpenWrite(at); errors.Is(err, iofs.ErrNotExist) {
				f, err = m.Create(at)
			}
			if err != nil || m.IsDir(at) {
				break
			}
			switch what {
			case 4:
				err = f.Truncate(rng.Int64N(3000))
			case 5:
				err = f.Sync()
			case 6:
				err = f.Datasync()
			default:
				_, err = f.WriteAt(bytes.Repeat([]byte{byte(rng.Uint32())}, 1+rng.IntN(1500)), rng.Int64N(1500))
			}
			require.NoError(t, f.Close())
		}
		require.True(t, err == nil || errors.Is(err, iofs.ErrNotExist) || errors.Is(err, iofs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY), "%v", err)
	}
}
