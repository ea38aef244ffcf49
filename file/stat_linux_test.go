package file

import (
	iofs "io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Where there is no statx, what was there before it says the same.
func TestStatWithoutStatx(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	f, err := os.Create(name)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.NoError(t, os.Link(name, filepath.Join(dir, "other")))
	require.NoError(t, os.Symlink(name, filepath.Join(dir, "link")))
	for _, path := range []string{"", name, filepath.Join(dir, "link")} { // "" is the file itself
		now, err := statx(f.Fd(), path, unix.STATX_NLINK|unix.STATX_INO)
		require.NoError(t, err)
		old, err := statOld(f.Fd(), path)
		require.NoError(t, err)
		require.Equal(t, idOf(&now), idOf(&old), path)
		require.EqualValues(t, 2, now.Nlink, path)
		require.EqualValues(t, 2, old.Nlink, path)
		require.NotZero(t, old.Mask&unix.STATX_NLINK)
	}
	_, err = statx(0, filepath.Join(dir, "none"), unix.STATX_INO)
	require.ErrorIs(t, err, iofs.ErrNotExist)
	_, err = statOld(0, filepath.Join(dir, "none"))
	require.ErrorIs(t, err, iofs.ErrNotExist)
}
