package file

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// An opening that is refused changes no byte, and leaves no file and no directory that
// was not there, for whatever reason it is refused. Once the reason is gone, everything
// is there.
func TestRefusedOpeningLeavesNoTrace(t *testing.T) {
	s := sharedDamageStore(t)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	registered := prometheus.NewRegistry()
	other, err := Open(ctx0, "/other", persist.Config{Registerer: registered}, withFileSystem(disk.New()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Stop()) })
	// What an owner that was killed has left, for an opening to tidy up.
	leftovers := func(m *disk.Disk) {
		segments := s.segments()
		frames := groups(t, s.m, s.lastIndex())
		clear(m.Edit(segments[len(segments)-1])[frames[len(frames)-1].off:][:markSize])
		copy(m.Edit(segments[len(segments)-1])[frames[len(frames)-1].off:], "torn")
		lay(t, m, "/db/log/"+tempPrefix+"left", []byte("half"))
		lay(t, m, "/db/log/"+sparePrefix+"short", []byte("short"))
		lay(t, m, "/db/blob/tmp/77", []byte("half"))
		lay(t, m, "/db/blob/"+blobPinned+"/"+pinnedName("gone", vfs.FileID{Device: 1, Inode: 7}), []byte("deleted while it was pinned"))
	}
	flip := func(prefix string, at int) func(m *disk.Disk) {
		return func(m *disk.Disk) {
			names := slices.DeleteFunc(s.files(), func(name string) bool { return !strings.Contains(name, prefix) })
			m.Edit(names[len(names)-1])[at] ^= 0x10
		}
	}
	var unlock func() error
	lock := func(name string) func(m *disk.Disk) {
		return func(m *disk.Disk) {
			var err error
			unlock, err = m.Lock(name)
			require.NoError(t, err)
		}
	}
	unlocked := func(*disk.Disk) { require.NoError(t, unlock()) }
	for _, row := range []struct {
		name   string
		spoil  func(m *disk.Disk)
		empty  bool // there is no location
		ctx    context.Context
		cfg    func(cfg *persist.Config)
		opts   []Option
		want   error
		mended func(m *disk.Disk) // takes the reason away; nil: there is nothing to be done
		broken bool               // it cannot be taken away
	}{
		{name: "the log is missing", spoil: func(m *disk.Disk) { m.Lose("/db/log") }, want: storage.ErrCorrupt,
			mended: func(m *disk.Disk) {
				m.PutDir("/db/log")
				for name := range s.m.All() {
					if strings.HasPrefix(name, "/db/log/") {
						m.Put(name, s.m.Contents(name))
					}
				}
			}},
		{name: "the blobs are missing", spoil: func(m *disk.Disk) { m.Lose("/db/blob") }, want: storage.ErrCorrupt, broken: true},
		{name: "the data of the blobs are missing", spoil: func(m *disk.Disk) { m.Lose("/db/blob/data") }, want: storage.ErrCorrupt, broken: true},
		{name: "the log is that of another location", spoil: func(m *disk.Disk) {
			m.Lose("/db/log")
			l := openMem(t, m)
			appendGroups(t, l, []int{10})
			require.NoError(t, l.Close())
		}, want: storage.ErrCorrupt, broken: true},
		{name: "damage in the log", spoil: flip(segmentSuffix, segmentDataStart+50), want: storage.ErrCorrupt, mended: flip(segmentSuffix, segmentDataStart+50)},
		{name: "damage in the manifest", spoil: flip("manifest", 40), want: storage.ErrCorrupt, mended: flip("manifest", 40)},
		{name: "damage in the manifest of an owner that was killed", spoil: func(m *disk.Disk) { leftovers(m); flip("manifest", 40)(m) }, want: storage.ErrCorrupt, mended: flip("manifest", 40)},
		{name: "a newer format", spoil: func(m *disk.Disk) {
			b := m.Edit(s.segments()[0])
			b[8]++
			copy(b[60:], checksum(b[:60]))
		}, want: ErrNewerFormat, broken: true},
		{name: "locked", spoil: func(m *disk.Disk) { leftovers(m); lock("/db/log/" + lockName)(m) }, want: storage.ErrLocked, mended: unlocked},
		{name: "the blobs are locked", spoil: func(m *disk.Disk) { leftovers(m); lock("/db/blob/" + lockName)(m) }, want: storage.ErrLocked, mended: unlocked},
		{name: "the blobs cannot be read", spoil: func(m *disk.Disk) {
			leftovers(m)
			m.SetHook(func(op, name string) error {
				if op == "list" && name == "/db/blob/data" {
					return syscall.EACCES
				}
				return nil
			})
		}, want: syscall.EACCES, mended: func(m *disk.Disk) { m.SetHook(nil) }},
		{name: "the lock of the blobs cannot be taken", spoil: func(m *disk.Disk) {
			leftovers(m)
			m.SetHook(func(op, name string) error {
				if op == "lock" && strings.HasPrefix(name, "/db/blob/") {
					return syscall.ENOLCK
				}
				return nil
			})
		}, want: syscall.ENOLCK, mended: func(m *disk.Disk) { m.SetHook(nil) }},
		{name: "a config out of range", spoil: leftovers, cfg: func(cfg *persist.Config) { cfg.MaxLogBytes = -1 }, want: persist.ErrInvalid},
		{name: "options out of range", spoil: leftovers, opts: []Option{SegmentSize(1, 2)}},
		{name: "an owner of two lines", spoil: leftovers, opts: []Option{LockInfo(storage.LockInfo{Owner: "a\nb"})}},
		{name: "metrics that are registered", spoil: leftovers, cfg: func(cfg *persist.Config) { cfg.Registerer = registered }},
		{name: "a context that is over", spoil: leftovers, ctx: cancelled, want: context.Canceled},
		{name: "no location and a config out of range", empty: true, cfg: func(cfg *persist.Config) { cfg.PartBytes = -1 }, want: persist.ErrInvalid},
		{name: "no location and options out of range", empty: true, opts: []Option{SegmentSize(1, 2)}},
		{name: "no location and metrics that are registered", empty: true, cfg: func(cfg *persist.Config) { cfg.Registerer = registered }},
		{name: "no location and a context that is over", empty: true, ctx: cancelled, want: context.Canceled},
		{name: "no location and a full disk", empty: true, spoil: func(m *disk.Disk) { m.Capacity = 1000 }, want: syscall.ENOSPC, mended: func(m *disk.Disk) { m.Capacity = 0 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := disk.New()
			if !row.empty {
				m = s.m.Clone()
			}
			if row.spoil != nil {
				row.spoil(m)
			}
			ctx, cfg := ctx0, quietConfig()
			if row.ctx != nil {
				ctx = row.ctx
			}
			if row.cfg != nil {
				row.cfg(&cfg)
			}
			before := m.Everything()
			opts := append([]Option{withFileSystem(m), SegmentSize(MinSegmentSize, MinSegmentSize)}, row.opts...)
			for range 2 {
				_, err := Open(ctx, "/db", cfg, opts...)
				require.Error(t, err)
				require.Contains(t, err.Error(), "/db")
				if row.want != nil {
					require.ErrorIs(t, err, row.want)
				}
				after := m.Everything()
				for name := range after {
					_, was := before[name]
					require.True(t, was, "%s is left behind: %v", name, err)
				}
				for name, contents := range before {
					require.Equal(t, contents, after[name], "%s has changed: %v", name, err)
				}
				require.Zero(t, m.Handles(), "files are left open")
			}
			if row.mended != nil {
				row.mended(m)
			}
			if !row.broken {
				got, opened, err := s.own(m, false)
				require.NoError(t, err)
				require.True(t, opened)
				require.True(t, row.empty || maps.Equal(s.want, got), "%v", got)
			}
		})
	}
}

// A disk that fails at any operation while a new location is made: nothing is left of it.
// Also if it goes on failing for want of descriptors.
func TestNewLocationOnAFailingDisk(t *testing.T) {
	needs := []string{"open", "openWrite", "openDir", "list"} // a descriptor; create and lock would as well
	for name, fails := range map[string]func(n, at int, op string) error{
		"once": func(n, at int, _ string) error {
			if n == at {
				return syscall.EIO
			}
			return nil
		},
		"no descriptors": func(n, at int, op string) error {
			if n >= at && slices.Contains(needs, op) {
				return syscall.EMFILE
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			refused := map[string]int{}
			for at := 1; ; at++ {
				m := disk.New()
				n, over, last := 0, false, ""
				m.SetHook(func(op, _ string) error {
					if n++; over {
						return nil
					}
					if n == at {
						last = op
					}
					return fails(n, at, op)
				})
				before := m.Everything()
				c, err := startOwner(m, quietConfig())
				if err == nil {
					m.Alone(func() { over = true })
					require.NoError(t, c.Stop())
					if last == "" {
						break
					}
					continue
				}
				refused[last]++
				require.Equal(t, before, m.Everything(), "at %d, %s: %v", at, last, err)
				require.Zero(t, m.Handles(), "at %d, %s: %v", at, last, err)
			}
			for _, op := range needs[1:] {
				require.NotZero(t, refused[op], "%v", refused)
			}
		})
	}
}

// A disk that fails at any operation while a location is recovered that was found in order:
// what was done stays, and the next opening goes on with all data.
func TestRecoveryOnAFailingDisk(t *testing.T) {
	s := sharedDamageStore(t)
	base := s.m.Clone()
	segments := s.segments()
	frames := groups(t, s.m, s.lastIndex())
	clear(base.Edit(segments[len(segments)-1])[frames[len(frames)-1].off:][:markSize])
	copy(base.Edit(segments[len(segments)-1])[frames[len(frames)-1].off:], "torn")
	lay(t, base, "/db/log/"+sparePrefix+"short", []byte("short"))
	lay(t, base, "/db/blob/tmp/77", []byte("half"))
	want, _, err := s.own(base.Clone(), false)
	require.NoError(t, err)
	changes := []string{"create", "write", "sync", "datasync", "syncDir", "rename", "remove"}
	failed := 0
	for at := 1; ; at++ {
		m := base.Clone()
		n := 0
		m.SetHook(func(op, _ string) error {
			if !slices.Contains(changes, op) {
				return nil
			}
			if n++; n == at {
				return syscall.EIO
			}
			return nil
		})
		c, err := startOwner(m, quietConfig())
		if err == nil {
			_ = c.Stop() // background work may have met it
		} else {
			failed++
		}
		m.SetHook(nil)
		reached := n >= at
		require.Zero(t, m.Handles(), "at %d: %v", at, err)
		got, _, err := s.own(m, false)
		require.NoError(t, err, "at %d", at)
		require.Equal(t, want, got, "at %d", at)
		if !reached {
			break
		}
	}
	require.Greater(t, failed, 5)
}

// The same on a real file system: the parents of a location are taken back as well, and
// what was lost comes back whole.
func TestRefusedOpeningOnDisk(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "a", "b")
	listing := func() (names []string) {
		require.NoError(t, filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				var b []byte
				b, err = os.ReadFile(path)
				path += fmt.Sprintf(" %x", b)
			}
			names = append(names, path)
			return err
		}))
		return names
	}
	registered := prometheus.NewRegistry()
	other, err := Open(ctx0, t.TempDir(), persist.Config{Registerer: registered})
	require.NoError(t, err)
	_, err = Open(ctx0, dir, persist.Config{Registerer: registered})
	require.Error(t, err)
	require.Equal(t, []string{base}, listing())
	require.NoError(t, other.Stop())

	c, err := Open(ctx0, dir, persist.Config{}, SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	for i := range 3 {
		_, _, err = persist.CreateOrLoad(ctx0, c, fmt.Sprint("stream ", i), codec.String, codec.String)
		require.NoError(t, err)
	}
	require.NoError(t, c.Maintain(ctx0))
	require.NoError(t, c.Stop())
	require.NoError(t, os.Rename(filepath.Join(dir, "log"), base+"/log"))
	before := listing()
	_, err = Open(ctx0, dir, persist.Config{})
	require.ErrorIs(t, err, persist.ErrCorrupt)
	require.Equal(t, before, listing())
	require.NoError(t, os.Rename(base+"/log", filepath.Join(dir, "log")))
	c, err = Open(ctx0, dir, persist.Config{})
	require.NoError(t, err)
	infos, err := c.Streams(ctx0)
	require.NoError(t, err)
	require.Len(t, infos, 3)
	require.NoError(t, c.Stop())
}

// Whoever opens log and blobs by themselves, and finds that they do not go together,
// has changed nothing either: a log that is not there is made by the first append.
func TestRefusedByWhoOpensTheParts(t *testing.T) {
	s := sharedDamageStore(t)
	m := s.m.Clone()
	m.Lose("/db/log")
	before := m.Everything()
	l, err := logOn(m)
	require.NoError(t, err)
	b, err := blobOn(m)
	require.NoError(t, err)
	_, err = persist.Start(ctx0, l, b, quietConfig())
	require.ErrorIs(t, err, storage.ErrCorrupt)
	now := m.Everything()
	delete(before, "/db/blob/"+lockName) // the blobs were opened
	delete(now, "/db/blob/"+lockName)
	require.Equal(t, before, now)

	l, err = logOn(m)
	require.NoError(t, err)
	require.NoError(t, l.Truncate(ctx0, 0))
	require.NoError(t, l.Close())
	require.NotEmpty(t, m.Names(segmentName(1)), "it was changed, so it stays")
}

// Background work that begins before an opening is settled, with an edit of the
// manifest that reflects the last group, which is in the page cache only: the group is
// made durable first.
func TestNothingIsBuiltOnWhatIsNotSettled(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{10})
	m.SetHook(func(op, _ string) error {
		if op == "datasync" {
			return syscall.EIO
		}
		return nil
	})
	_, err := l.Append(ctx0, 1, [][]byte{entryData(2, 600)})
	require.ErrorIs(t, err, syscall.EIO)
	m.SetHook(nil)
	require.NoError(t, l.Close())

	o := new(opening)
	opts := []Option{withFileSystem(m)}
	l, err = openLog(ctx0, "/db", opts, o)
	require.NoError(t, err)
	require.EqualValues(t, 2, lastOf(t, l), "found in the page cache")
	b, err := openBlob(ctx0, "/db", opts, o)
	require.NoError(t, err)
	_, err = b.Set(ctx0, "reflects", []byte("2"))
	require.NoError(t, err)
	var left *disk.Disk
	m.Alone(func() { left = m.Crash(nil, 0) })
	require.NoError(t, l.Close())
	require.NoError(t, b.Close())

	require.NotEmpty(t, left.Names("reflects"))
	l = openMem(t, left)
	require.EqualValues(t, 2, lastOf(t, l), "a blob reflects what is lost")
	require.NoError(t, l.Close())
}

// A reader that saw the first segment of a location that was taken back goes on with the
// location that is made after it.
func TestReaderOfALocationThatWasTakenBack(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	r, err := NewLogReader("/db", withFileSystem(m))
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	renamed := false
	m.SetHook(func(op, name string) error {
		renamed = renamed || op == "rename" && strings.HasSuffix(name, segmentSuffix)
		if renamed && op == "syncDir" {
			return syscall.EIO
		}
		return nil
	})
	_, err = l.Append(ctx0, 0, [][]byte{[]byte("refused")})
	require.ErrorIs(t, err, syscall.EIO)
	_, err = r.Bounds(ctx0)
	require.NoError(t, err)
	require.True(t, m.Has(seg(1)))
	m.SetHook(nil)
	require.NoError(t, l.Close())
	require.False(t, m.Has(seg(1)))

	l = openMem(t, m)
	positions, err := l.Append(ctx0, 0, [][]byte{[]byte("first")})
	require.NoError(t, err)
	bounds, err := r.Bounds(ctx0)
	require.NoError(t, err)
	require.Equal(t, positions[0], bounds.Last)
	require.NoError(t, l.Close())
}

// Who takes the lock of a location that is being taken back keeps what he has found in it.
func TestTakenBackWhileAnotherOpens(t *testing.T) {
	m := disk.New()
	var second *Blob
	failed, opened := false, false
	m.SetHook(func(op, name string) error {
		switch {
		case op == "list" && name == "/db/blob/tmp" && !failed:
			failed = true
			return syscall.EIO
		case op == "unlock" && !opened:
			opened = true
			m.Meanwhile(func() {
				var err error
				second, err = NewBlob("/db", withFileSystem(m))
				require.NoError(t, err)
			})
		}
		return nil
	})
	_, err := NewBlob("/db", withFileSystem(m))
	require.ErrorIs(t, err, syscall.EIO)
	require.NotNil(t, second)
	_, err = second.Set(ctx0, "k", []byte("v"))
	require.NoError(t, err)
	require.NoError(t, second.Close())
}
