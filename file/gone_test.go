package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// A location that is removed, moved away or replaced under its writer takes no more
// writes: the first one a moment later is refused without effect, and the runtime has
// stopped. So whatever of it is gone.
func TestLocationIsGone(t *testing.T) {
	for name, row := range map[string]struct {
		take func(m *disk.Disk)
		at   bool // it is noticed by the next write
	}{
		"all of it":                {func(m *disk.Disk) { m.Lose("/db") }, true},
		"the log":                  {func(m *disk.Disk) { m.Lose("/db/log") }, true},
		"the newest segment alone": {func(m *disk.Disk) { m.Lose(newestSegment(m)) }, true},
		"the blobs":                {func(m *disk.Disk) { m.Lose("/db/blob") }, false},
		"the data of the blobs":    {func(m *disk.Disk) { m.Lose("/db/blob/data") }, false},
		"the log moved away":       {func(m *disk.Disk) { m.Move("/db/log", "/elsewhere") }, false},
		"all of it moved away":     {func(m *disk.Disk) { m.Move("/db", "/elsewhere") }, false},
		"the log replaced by another directory": {func(m *disk.Disk) {
			m.Move("/db/log", "/elsewhere")
			m.PutDir("/db/log")
		}, false},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &full{t: t, m: disk.New(), size: 100}
				require.NoError(t, f.open())
				defer func() { _ = f.db.Close() }()
				for range 3 {
					require.NoError(t, f.write())
				}
				var newest string
				f.m.Alone(func() { newest = newestSegment(f.m) })
				active, err := f.m.Open(newest)
				require.NoError(t, err)
				f.m.Alone(func() { row.take(f.m) })
				if !row.at {
					<-time.After(lookInterval) // of the bubble
				}
				before := readOpen(t, active)
				err = f.write()
				require.ErrorIs(t, err, persist.ErrStopped)
				require.ErrorIs(t, err, storage.ErrConflict)
				require.NotErrorIs(t, err, persist.ErrOutcomeUnknown)
				require.Contains(t, err.Error(), "/db/")
				require.Equal(t, before, readOpen(t, active), "something was written all the same")
				require.ErrorIs(t, f.write(), persist.ErrStopped)
			})
		})
	}
}

func newestSegment(m *disk.Disk) (newest string) {
	for name := range m.All() {
		if _, ok := segmentIndex(filepath.Base(name)); ok {
			newest = max(newest, name)
		}
	}
	return newest
}

// readOpen returns the contents of an open file, whatever became of its name.
func readOpen(t *testing.T, f vfs.File) string {
	t.Helper()
	size, err := f.Size()
	require.NoError(t, err)
	data := make([]byte, size)
	_, err = f.ReadAt(data, 0)
	require.NoError(t, err)
	return string(data)
}

// That it cannot be looked at for a moment is no reason to stop.
func TestPlaceThatCannotBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &full{t: t, m: disk.New(), size: 100}
		require.NoError(t, f.open())
		require.NoError(t, f.write())
		looks := 0
		f.m.SetHook(func(op, name string) error {
			if op == "isAt" {
				looks++
				return os.ErrPermission
			}
			return nil
		})
		for range 5 {
			<-time.After(lookInterval) // of the bubble
			require.NoError(t, f.write())
		}
		require.GreaterOrEqual(t, looks, 5)
		require.NoError(t, f.db.Close())
	})
}

// A file system that says of every file that it has no name is none where all is gone.
func TestLinksThatAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &full{t: t, m: disk.New(), size: 100}
		f.m.NoLinks = true
		require.NoError(t, f.open())
		for range 3 {
			require.NoError(t, f.write())
		}
		s := newSpares(f.m, "/db/log", nil)
		made, err := s.take(MinSegmentSize, MinSegmentSize)
		require.NoError(t, err)
		require.NoError(t, s.add(made))
		again, err := s.take(MinSegmentSize, MinSegmentSize)
		require.NoError(t, err)
		require.Equal(t, made, again, "a spare was thrown away")
		require.NoError(t, again.f.Close())
		require.NoError(t, s.close())

		f.m.Alone(func() { f.m.Lose(newestSegment(f.m)) })
		err = f.write()
		require.ErrorIs(t, err, persist.ErrStopped)
		require.ErrorIs(t, err, storage.ErrConflict)
		_ = f.db.Close()
	})
}

// The same on a real file system.
func TestLocationIsGoneFromDisk(t *testing.T) {
	for name, take := range map[string]func(dir string) error{
		"removed":        os.RemoveAll,
		"log removed":    func(dir string) error { return os.RemoveAll(filepath.Join(dir, logDir)) },
		"remade":         func(dir string) error { return replaceDir(dir) },
		"newest segment": func(dir string) error { return os.Remove(filepath.Join(dir, logDir, segmentName(1))) },
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "db")
			l, err := NewLog(dir)
			require.NoError(t, err)
			_, err = l.Append(ctx0, 0, [][]byte{{1}})
			require.NoError(t, err)
			require.NoError(t, take(dir))
			if n, err := l.mu.segs[0].f.Links(); err != nil || n == vfs.UnknownLinks {
				t.Skip("the number of names is not known here")
			}
			_, err = l.Append(ctx0, 1, [][]byte{{2}})
			require.ErrorIs(t, err, storage.ErrConflict)
			require.ErrorIs(t, err, storage.ErrNoEffect)
			_ = l.Close()
		})
	}
}

// replaceDir removes a location and makes an empty one in its place.
func replaceDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(dir, logDir), 0o700)
}
