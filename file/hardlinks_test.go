//go:build unix

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// linkAll copies a directory as cp -al does.
func linkAll(t testing.TB, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a file that was being prepared has got its name meanwhile
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(to, rel), 0o700)
		}
		if err := os.Link(path, filepath.Join(to, rel)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}))
}

// linkedStore is a location with one stream, and what is in it.
type linkedStore struct {
	t    *testing.T
	dir  string
	c    *persist.Client
	w    *rowWriter
	rows []string
}

func (s *linkedStore) open() {
	c, err := Open(ctx0, s.dir, persist.Config{FlushInterval: -1}, SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(s.t, err)
	s.c = c
	s.t.Cleanup(func() { _ = c.Stop() })
	s.w, _, err = persist.CreateOrLoad(ctx0, c, "s", codec.String, codec.Uint64)
	require.NoError(s.t, err)
	s.require()
}

// write writes so much that segments change.
func (s *linkedStore) write(what string) {
	for i := range 6 {
		at := uint64(len(s.rows))
		key := fmt.Sprint(what, i, strings.Repeat("x", 4000))
		_, err := s.w.CompareAndAppend(ctx0, []rowUpdate{{Key: key, Time: at, Diff: 1}}, frontier.At(at), frontier.At(at+1)).Wait(ctx0)
		require.NoError(s.t, err)
		s.rows = append(s.rows, key)
	}
}

func (s *linkedStore) require() {
	s.t.Helper()
	r, err := createIn(ctx0, s.c)("s")
	require.NoError(s.t, err)
	s.requireIn(r)
}

func (s *linkedStore) requireIn(r *rowReader) {
	s.t.Helper()
	snapshot, err := r.Snapshot(ctx0)
	require.NoError(s.t, err)
	updates, err := snapshot.ReadToEnd(ctx0)
	require.NoError(s.t, err)
	require.NoError(s.t, snapshot.Close())
	var keys []string
	for _, u := range updates {
		keys = append(keys, u.Key)
	}
	slices.Sort(keys)
	want := slices.Sorted(slices.Values(s.rows))
	require.True(s.t, slices.Equal(want, keys), "%d rows, want %d", len(keys), len(want))
}

// A copy of a location that shares its files by hard links, and the original, are
// independent of each other from the moment of the copy on: whoever is opened first, at
// work meanwhile, or closed; through changes of segments, truncation and their reuse.
func TestCopyByHardLinks(t *testing.T) {
	for _, when := range []string{"closed", "open", "killed"} {
		for _, first := range []string{"copy", "original"} {
			t.Run(when+", "+first+" first", func(t *testing.T) {
				base := t.TempDir()
				one := &linkedStore{t: t, dir: filepath.Join(base, "one")}
				one.open()
				one.write("before")
				require.NoError(t, one.c.Maintain(ctx0)) // so that there are batches, and spares
				one.write("in the log")
				beside, err := OpenRead(ctx0, one.dir, persist.Config{})
				require.NoError(t, err)
				defer func() { require.NoError(t, beside.Close()) }()
				follower, err := loadFrom(ctx0, beside)("s")
				require.NoError(t, err)
				if when == "closed" {
					require.NoError(t, one.c.Stop())
				}
				two := &linkedStore{t: t, dir: filepath.Join(base, "two"), rows: slices.Clone(one.rows)}
				linkAll(t, one.dir, two.dir)
				if when == "killed" { // and its end was torn
					require.NoError(t, one.c.Stop())
					require.NoError(t, os.RemoveAll(two.dir))
					segments, err := filepath.Glob(filepath.Join(one.dir, "log", "*.log"))
					require.NoError(t, err)
					tear(t, segments[len(segments)-1])
					linkAll(t, one.dir, two.dir)
				}
				use := func(s *linkedStore, name string) {
					if s != one || when != "open" {
						s.open()
					}
					for round := range 3 {
						s.write(fmt.Sprint(name, round))
						s.require()
						one.requireIn(follower)
						require.NoError(t, s.c.Maintain(ctx0))
					}
				}
				if first == "copy" {
					use(two, "copy")
					use(one, "original")
				} else {
					use(one, "original")
					use(two, "copy")
				}
				use = func(s *linkedStore, name string) {
					s.write(name)
					s.require()
					require.NoError(t, s.c.Stop())
					s.open()
				}
				use(two, "copy again")
				one.requireIn(follower)
				s := *one
				s.rows = append([]string(nil), one.rows...)
				s.write("original again")
				one.rows = s.rows
				one.require()
				one.requireIn(follower)
			})
		}
	}
}

// tear removes the mark at the end of a segment.
func tear(t *testing.T, name string) {
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	i := strings.LastIndex(string(b), "TmfM")
	require.Positive(t, i)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("torn torn torn torn torn torn torn torn torn torn torn torn torn"), int64(i))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// A file that another location shares is copied without harm, whatever fails: what was
// acknowledged is there, in both.
func TestOwnSegmentErrorAtEveryOperation(t *testing.T) {
	for at := 1; ; at++ {
		m := threeSegments(t)
		m.Link(seg(3), "/copy")
		before := string(m.Contents("/copy"))
		n, failed := 0, false
		m.SetHook(func(op, name string) error {
			if n++; n == at {
				failed = true
				return syscall.EIO
			}
			return nil
		})
		l, err := logOn(m)
		var positions []storage.SeqNo
		if err == nil {
			for range 2 {
				if positions, err = l.Append(ctx0, tornAt, [][]byte{entryData(tornAt+1, 1)}); err == nil {
					break
				}
			}
			_ = l.Close()
		}
		m.SetHook(nil)
		require.Equal(t, before, string(m.Contents("/copy")), "the copy has changed")
		cut := m.Crash(nil, 0)
		for _, left := range []*disk.Disk{m, cut} {
			requireWholeLog(t, left)
			l, err := logOn(left)
			require.NoError(t, err)
			if len(positions) > 0 {
				require.GreaterOrEqual(t, lastOf(t, l), positions[0])
			}
			require.NoError(t, l.Close())
		}
		if !failed {
			require.NoError(t, err)
			require.Greater(t, at, 30)
			return
		}
	}
}

// Also a segment that is to get its end mark, a spare, and a LOCK file may be shared.
func TestSharedFilesAreLeftAlone(t *testing.T) {
	m := threeSegments(t)
	at := groups(t, m, 2)
	clear(m.Edit(seg(2))[at[len(at)-1].off:][:markSize])
	lay(t, m, "/db/log/"+sparePrefix+"shared", make([]byte, MinSegmentSize))
	before := map[string]string{}
	for _, name := range []string{seg(1), seg(2), seg(3), "/db/log/" + sparePrefix + "shared", "/db/log/" + lockName} {
		to := "/copy/" + filepath.Base(name)
		m.Link(name, to)
		before[to] = string(m.Contents(name))
	}
	unlock, err := m.Lock("/copy/" + lockName) // as the copy is in use
	require.NoError(t, err)
	l, err := logOn(m)
	require.NoError(t, err)
	for range 20 {
		appendGroups(t, l, []int{3000})
		require.NoError(t, l.Truncate(ctx0, lastOf(t, l)-1))
	}
	require.NoError(t, l.Close())
	require.NoError(t, unlock())
	for name, contents := range before {
		require.Equal(t, contents, string(m.Contents(name)), "%s has changed", name)
	}
}
