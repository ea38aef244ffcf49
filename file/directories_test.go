package file

import (
	"bytes"
	"errors"
	iofs "io/fs"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Where a directory cannot be flushed: above the location that is nobody's business, in
// it the file system has no such flush, which is said once. A flush that fails is an
// error in either place.
func TestDirectoriesThatCannotBeFlushed(t *testing.T) {
	const above, all = "above the location", "everywhere"
	for _, row := range []struct {
		where string
		op    string
		err   error
		fails bool
		warns bool
	}{
		{where: above, op: "syncDir", err: syscall.EINVAL}, // a read-only root
		{where: above, op: "syncDir", err: syscall.EROFS},
		{where: above, op: "openDir", err: syscall.EACCES},
		{where: above, op: "syncDir", err: syscall.EIO, fails: true},
		{where: above, op: "openDir", err: syscall.EMFILE, fails: true},
		{where: all, op: "syncDir", err: syscall.EINVAL, warns: true},
		{where: all, op: "syncDir", err: syscall.ENOTSUP, warns: true},
		{where: all, op: "syncDir", err: errors.ErrUnsupported, warns: true},
		{where: all, op: "syncDir", err: syscall.EIO, fails: true},
		{where: all, op: "openDir", err: syscall.EACCES, fails: true},
	} {
		for _, dir := range []string{"/data/db", "/data/new/db"} {
			t.Run(strings.ReplaceAll(row.op+" "+row.err.Error()+" "+row.where+dir, " ", "-"), func(t *testing.T) {
				m := disk.New()
				require.NoError(t, m.Mkdir("/data"))
				m.SetHook(func(op, name string) error {
					if op == row.op && m.Has(name) && (row.where == all || len(name) <= len("/data")) {
						return &iofs.PathError{Op: op, Path: name, Err: row.err}
					}
					return nil
				})
				var said bytes.Buffer
				cfg := quietConfig()
				cfg.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))
				c, err := Open(ctx0, dir, cfg, withFileSystem(m))
				if row.fails {
					require.ErrorIs(t, err, row.err)
					return
				}
				require.NoError(t, err)
				_, _, err = persist.CreateOrLoad(ctx0, c, "s", codec.String, codec.String)
				require.NoError(t, err)
				require.NoError(t, c.Maintain(ctx0))
				require.NoError(t, c.Stop())
				m.SetHook(nil)
				if row.warns {
					require.Equal(t, 2, strings.Count(said.String(), "cannot flush directories"), "by the log and by the blobs, once each:\n%s", &said)
					require.Contains(t, said.String(), dir)
				} else {
					require.Empty(t, said.String())
				}
			})
		}
	}
}

// A process that makes a location is killed at any moment. The next one goes on, and what
// it acknowledges is there after a power cut, with all directories above it.
func TestKilledWhileDirectoriesAreMade(t *testing.T) {
	killed := errors.New("killed")
	for at := 1; ; at++ {
		m := disk.New()
		n := 0
		m.SetHook(func(string, string) error {
			if n++; n >= at {
				return killed
			}
			return nil
		})
		l, err := NewLog("/a/b/db", withFileSystem(m))
		if err == nil {
			_, err = l.Append(ctx0, 0, [][]byte{{1}})
			_ = l.Close()
		}
		if err == nil {
			require.Greater(t, at, 20)
			return
		}
		m.SetHook(nil)
		left := m.Clone()
		l, err = NewLog("/a/b/db", withFileSystem(left))
		require.NoError(t, err)
		b, err := l.Bounds(ctx0)
		require.NoError(t, err)
		_, err = l.Append(ctx0, b.Last, [][]byte{{2}})
		require.NoError(t, err)
		var cut *disk.Disk
		left.Alone(func() { cut = left.Crash(nil, 0) })
		require.NoError(t, l.Close())
		l, err = NewLog("/a/b/db", withFileSystem(cut))
		require.NoError(t, err, "killed at operation %d", at)
		again, err := l.Bounds(ctx0)
		require.NoError(t, err)
		require.Equal(t, b.Last+1, again.Last, "killed at operation %d: acknowledged and lost", at)
		require.NoError(t, l.Close())
	}
}
