package disk

import (
	"errors"
	iofs "io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes a file of these contents, and returns it open.
func write(t *testing.T, fsys vfs.FS, name, contents string) vfs.File {
	t.Helper()
	f, err := fsys.Create(name)
	require.NoError(t, err)
	n, err := f.WriteAt([]byte(contents), 0)
	require.NoError(t, err)
	require.Equal(t, len(contents), n)
	return f
}

// shown is what a disk holds, in order.
func shown(m *Disk) (all []string) {
	for name, contents := range m.Everything() {
		if name != "/" {
			all = append(all, strings.TrimPrefix(name+" is "+contents, "/"))
		}
	}
	slices.Sort(all)
	return all
}

// Names follow the rules of package vfs.
func TestNames(t *testing.T) {
	m := New()
	require.NoError(t, m.Mkdir("/d"))
	require.NoError(t, write(t, m, "/d/f", "one").Close())
	for _, row := range []struct {
		what string
		err  error
		want error
	}{
		{"a file that is there", second(m.Create("/d/f")), iofs.ErrExist},
		{"a directory that is there", m.Mkdir("/d"), iofs.ErrExist},
		{"a directory that is not there", second(m.Create("/none/f")), iofs.ErrNotExist},
		{"a file as a directory", m.Mkdir("/d/f/g"), iofs.ErrNotExist},
		{"open", second(m.Open("/none")), iofs.ErrNotExist},
		{"open for writing", second(m.OpenWrite("/none")), iofs.ErrNotExist},
		{"open a file as a directory", second(m.OpenDir("/d/f")), iofs.ErrNotExist},
		{"rename", m.Rename("/none", "/d/f"), iofs.ErrNotExist},
		{"remove", m.Remove("/none"), iofs.ErrNotExist},
		{"remove a directory with files", m.Remove("/d"), syscall.ENOTEMPTY},
		{"list", second(m.List("/none")), iofs.ErrNotExist},
		{"stat", second(m.Stat("/none")), iofs.ErrNotExist},
	} {
		require.ErrorIs(t, row.err, row.want, row.what)
	}
	require.NoError(t, write(t, m, "/d/g", "two").Close())
	require.NoError(t, m.Rename("/d/g", "/d/f"))
	names, err := m.List("/d")
	require.NoError(t, err)
	require.Equal(t, []string{"f"}, names)
	size, err := m.Stat("/d/f")
	require.NoError(t, err)
	require.EqualValues(t, 3, size)
	require.NoError(t, m.Remove("/d/f"))
	require.NoError(t, m.Remove("/d"))
	require.Empty(t, shown(m))
	require.Zero(t, m.Handles())
}

func second[T any](_ T, err error) error { return err }

// What a power cut and the end of a process leave, of a file in each state of flushing.
func TestWhatIsLeft(t *testing.T) {
	for name, row := range map[string]struct {
		run          func(m *Disk, f vfs.File) error // f is /f, new, with the contents "one"
		cut, keeping []string
	}{
		"nothing flushed":  {func(*Disk, vfs.File) error { return nil }, nil, []string{"f is file "}},
		"contents flushed": {func(_ *Disk, f vfs.File) error { return f.Sync() }, nil, []string{"f is file one"}},
		"name flushed":     {func(m *Disk, _ vfs.File) error { return m.FlushDir("/") }, []string{"f is file "}, []string{"f is file "}},
		"both flushed":     {flushBoth, []string{"f is file one"}, []string{"f is file one"}},
		"flushed and renamed": {func(m *Disk, f vfs.File) error {
			return errors.Join(flushBoth(m, f), m.Rename("/f", "/g"))
		}, []string{"f is file one"}, []string{"g is file one"}},
		"flushed and removed": {func(m *Disk, f vfs.File) error {
			return errors.Join(flushBoth(m, f), m.Remove("/f"))
		}, []string{"f is file one"}, nil},
		"written again": {func(m *Disk, f vfs.File) error {
			_, err := f.WriteAt([]byte("two"), 0)
			return errors.Join(flushBoth(m, f), err, second(f.WriteAt([]byte("three"), 0)))
		}, []string{"f is file two"}, []string{"f is file two"}},
		"in a directory that is not flushed": {func(m *Disk, f vfs.File) error {
			return errors.Join(m.Mkdir("/d"), m.Rename("/f", "/d/f"), f.Datasync(), m.FlushDir("/d"))
		}, nil, []string{"d is dir", "d/f is file one"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			m := New()
			f := write(t, m, "/f", "one")
			require.NoError(t, row.run(m, f))
			now := shown(m)
			require.Equal(t, row.cut, shown(m.Crash(nil, 0)))
			require.Equal(t, row.keeping, shown(m.CrashKeepingNames()))
			require.Equal(t, now, shown(m.Crash(nil, 1)))
			require.Equal(t, now, shown(m.Clone()))
			require.Equal(t, row.cut, shown(m.Clone().Crash(nil, 0)), "a copy knows what was flushed")
			require.Equal(t, now, shown(m.Clone().Crash(nil, 1)), "and what was not")
			require.Equal(t, now, shown(m), "the disk itself has changed")
		})
	}
}

func flushBoth(m *Disk, f vfs.File) error { return errors.Join(f.Sync(), m.FlushDir("/")) }

// A power cut that keeps half takes sometimes one thing, sometimes another.
func TestCrashDraws(t *testing.T) {
	m := New()
	require.NoError(t, write(t, m, "/f", "one").Close())
	seen := map[string]bool{}
	random := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		seen[strings.Join(shown(m.Crash(random, 0.5)), " ")] = true
	}
	require.Subset(t, slices.Collect(maps.Keys(seen)), []string{"", "f is file ", "f is file one"})
}

// What is done to a copy does not show in the disk, nor in another copy.
func TestCopiesAreApart(t *testing.T) {
	m := New()
	f := write(t, m, "/f", "one")
	require.NoError(t, flushBoth(m, f))
	for _, left := range []*Disk{m.Clone(), m.Crash(nil, 0), m.Clone()} {
		require.Equal(t, []string{"f is file one"}, shown(left))
		copy(left.Edit("/f"), "two")
		g, err := left.OpenWrite("/f")
		require.NoError(t, err)
		_, err = g.WriteAt([]byte("!"), 3)
		require.NoError(t, err)
		require.NoError(t, left.Mkdir("/d"))
		require.Equal(t, []string{"d is dir", "f is file two!"}, shown(left))
	}
	copy(m.Edit("/f"), "now")
	require.Equal(t, []string{"f is file one"}, shown(m.Crash(nil, 0)), "an edit is not durable")

	write(t, m, "/g", "not flushed")
	left := m.Clone()
	copy(m.Edit("/g"), "changed")
	require.Equal(t, "not flushed", string(left.Contents("/g")))
}

// A flush that fails makes the file clean: a later one does not make up for it.
func TestFailedFlush(t *testing.T) {
	m := New()
	f := write(t, m, "/f", "one")
	require.NoError(t, flushBoth(m, f))
	_, err := f.WriteAt([]byte("two"), 0)
	require.NoError(t, err)
	m.SetHook(func(op, _ string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	require.ErrorIs(t, f.Sync(), syscall.EIO)
	m.SetHook(nil)
	_, err = f.WriteAt([]byte("!"), 3)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.Equal(t, []string{"f is file two!"}, shown(m), "programs see what was written")
	require.Equal(t, []string{"f is file one!"}, shown(m.Crash(nil, 0)), "the disk never got it")
}

// A full disk takes what there is room for, and room that is made can be used.
func TestCapacity(t *testing.T) {
	m := New()
	f := write(t, m, "/f", "0123456789")
	m.Capacity = m.Used() + 4
	n, err := f.WriteAt([]byte("abcdefgh"), 8)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 6, n)
	require.Equal(t, []string{"f is file 01234567abcdef"}, shown(m))
	_, err = f.WriteAt([]byte("overwritten"), 0)
	require.NoError(t, err, "which needs no room")
	require.NoError(t, f.Truncate(5))
	_, err = f.WriteAt([]byte("more room"), 5)
	require.NoError(t, err)
	require.Equal(t, m.Capacity, m.Used())
	_, err = f.WriteAt([]byte("!"), 14)
	require.ErrorIs(t, err, syscall.ENOSPC)
	m.Capacity = 0
	_, err = f.WriteAt([]byte("!"), 14)
	require.NoError(t, err)
}

// Files that are open, and changes, are counted.
func TestCounts(t *testing.T) {
	m := New()
	f := write(t, m, "/f", "one")
	d, err := m.OpenDir("/")
	require.NoError(t, err)
	require.Equal(t, 2, m.Handles())
	before := m.Changes()
	r, err := m.Open("/f")
	require.NoError(t, err)
	_, err = r.ReadAt(make([]byte, 3), 0)
	require.NoError(t, err)
	require.Equal(t, before, m.Changes(), "a reader changes nothing")
	require.NoError(t, d.SyncDir())
	require.Equal(t, before+1, m.Changes())
	for range 2 {
		_ = r.Close()
		_ = d.Close()
	}
	require.Equal(t, 1, m.Handles())
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Sync(), iofs.ErrClosed)
	require.ErrorIs(t, d.SyncDir(), iofs.ErrClosed)
	require.Zero(t, m.Handles())
	require.Panics(t, func() { _, _ = r.WriteAt(nil, 0) }, "it was opened for reading")
}

// What is laid there from outside is there after a power cut too.
func TestLay(t *testing.T) {
	m := New()
	require.NoError(t, m.Mkdir("/d"))
	m.PutDir("/e")
	m.Put("/d/f", []byte("one"))
	m.Link("/d/f", "/e/g")
	m.Leave("/d/left")
	require.Equal(t, []string{"d is dir", "d/f is file one", "d/left is file ", "e is dir", "e/g is file one"}, shown(m))
	f, err := m.OpenWrite("/d/f")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("two"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	links, err := f.Links()
	require.NoError(t, err)
	require.Equal(t, 2, links)
	require.Equal(t, []string{"e is dir", "e/g is file two"}, shown(m.Crash(nil, 0)), "/d itself was not flushed")

	m.Move("/d", "/x")
	at, err := f.IsAt("/x/f")
	require.NoError(t, err)
	require.True(t, at)
	m.Put("/e/g", []byte("new"))
	m.Lose("/x")
	require.Equal(t, []string{"e is dir", "e/g is file new"}, shown(m))
	require.Equal(t, shown(m), shown(m.Crash(nil, 0)))
	require.Equal(t, shown(m), shown(m.Crash(nil, 1)), "what was lost comes back")
	links, err = f.Links()
	require.NoError(t, err)
	require.Zero(t, links)
	g, err := m.Open("/e/g")
	require.NoError(t, err)
	for _, m.NoLinks = range []bool{false, true} {
		links, err = g.Links()
		require.NoError(t, err)
		require.Equal(t, !m.NoLinks, links == 1)
	}
	m.Resize("/e/g", 5)
	size, err := g.Size()
	require.NoError(t, err)
	require.EqualValues(t, 5, size, "an open handle sees it")
	require.Equal(t, "new\x00\x00", string(m.Contents("/e/g")))
	m.Resize("/e/g", 1)
	require.Equal(t, "n", string(m.Contents("/e/g")))
	require.Equal(t, []string{"/e/g"}, m.Names("g"))
	require.ElementsMatch(t, []string{"/", "/e", "/e/g"}, slices.Collect(m.All()))
	require.True(t, m.IsDir("/e"))
	require.False(t, m.IsDir("/e/g"))
	require.False(t, m.Has("/x"))
}
