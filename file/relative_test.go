package file_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// A location is the directory that its path led to when it was opened, whatever becomes
// of the working directory or of a symbolic link on the way: for whoever writes, reads
// beside, and finds it locked.
func TestPathsAreFollowedOnce(t *testing.T) {
	for name, row := range map[string]struct {
		path   string
		change func(t *testing.T, base string)
	}{
		"working directory": {"db", func(t *testing.T, base string) { t.Chdir(filepath.Join(base, "other")) }},
		"and up":            {"../one/db", func(t *testing.T, base string) { t.Chdir(filepath.Join(base, "other")) }},
		"symbolic link": {"../link/db", func(t *testing.T, base string) {
			require.NoError(t, os.Remove(filepath.Join(base, "link")))
			require.NoError(t, os.Symlink(filepath.Join(base, "other"), filepath.Join(base, "link")))
		}},
		"a link to the location itself": {"../db-link", func(t *testing.T, base string) {
			require.NoError(t, os.Remove(filepath.Join(base, "db-link")))
			require.NoError(t, os.Symlink(filepath.Join(base, "other", "db"), filepath.Join(base, "db-link")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			base, err := filepath.EvalSymlinks(t.TempDir())
			require.NoError(t, err)
			for _, dir := range []string{"one", "other", "other/db"} {
				require.NoError(t, os.Mkdir(filepath.Join(base, dir), 0o700))
			}
			require.NoError(t, os.Symlink(filepath.Join(base, "one"), filepath.Join(base, "link")))
			if strings.HasSuffix(row.path, "-link") {
				require.NoError(t, os.Mkdir(filepath.Join(base, "one", "db"), 0o700))
				require.NoError(t, os.Symlink(filepath.Join(base, "one", "db"), filepath.Join(base, "db-link")))
			}
			t.Chdir(filepath.Join(base, "one"))
			cfg := persist.Config{CacheSizeLimit: 1}
			c, err := file.Open(ctx, row.path, cfg, small)
			require.NoError(t, err)
			defer c.Stop()
			follower, err := file.OpenRead(ctx, row.path, cfg)
			require.NoError(t, err)
			defer follower.Close()
			w, r, err := persist.CreateOrLoad(ctx, c, "s", codec.String, codec.String)
			require.NoError(t, err)
			write := func(at uint64) {
				for range 8 {
					_, err := w.Write(ctx, []persist.Update[string, string]{{Key: strings.Repeat("k", 4000), Time: at, Diff: 1}}).Wait(ctx)
					require.NoError(t, err)
				}
				require.NoError(t, c.Maintain(ctx))
			}
			write(1)
			row.change(t, base)
			write(2)
			read := func(r interface {
				Snapshot(ctx context.Context) (*persist.Snapshot[string, string], error)
			}) {
				s, err := r.Snapshot(ctx)
				require.NoError(t, err)
				updates, err := s.ReadToEnd(ctx)
				require.NoError(t, err)
				sum := int64(0)
				for _, u := range updates {
					sum += u.Diff
				}
				require.EqualValues(t, 16, sum)
				require.NoError(t, s.Close())
			}
			read(r)
			beside, err := persist.Load(ctx, follower, "s", codec.String, codec.String)
			require.NoError(t, err)
			read(beside)
			_, err = file.Open(ctx, filepath.Join(base, "one", "db"), cfg)
			var locked *storage.LockedError
			require.ErrorAs(t, err, &locked)
			require.Equal(t, filepath.Join(base, "one", "db"), locked.Location)
			names, err := os.ReadDir(filepath.Join(base, "other"))
			require.NoError(t, err)
			require.Len(t, names, 1, "something was made elsewhere")
			require.NoError(t, follower.Close())
			require.NoError(t, c.Stop())
		})
	}
}

// Without a working directory a relative path is an error, for everybody.
func TestRelativePathWithoutAWorkingDirectory(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	require.NoError(t, os.Mkdir(gone, 0o700))
	t.Chdir(gone)
	if os.Remove(gone) != nil {
		t.Skip("the working directory cannot be removed here")
	}
	if _, err := os.Getwd(); err == nil {
		t.Skip("it has a name all the same")
	}
	ctx := t.Context()
	_, errs := file.Open(ctx, "db", persist.Config{})
	require.ErrorContains(t, errs, "working directory")
	_, errs = file.OpenRead(ctx, "db", persist.Config{})
	require.ErrorContains(t, errs, "working directory")
	_, errs = file.NewLog("db")
	require.ErrorContains(t, errs, "working directory")
	_, errs = file.NewBlob("db")
	require.ErrorContains(t, errs, "working directory")
	_, errs = file.NewLogReader("db")
	require.ErrorContains(t, errs, "working directory")
	_, errs = file.NewBlobReader("db")
	require.ErrorContains(t, errs, "working directory")
}
