package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// Only a directory that is gone, or another one, says that somebody else may own the
// log, after which the owner stops for good. That it cannot be looked at does not.
func TestLockedDirThatCannotBeSeen(t *testing.T) {
	base := t.TempDir()
	dir, other := filepath.Join(base, "log"), filepath.Join(base, "other")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Mkdir(other, 0o700))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	var locked lockedDir
	require.NoError(t, locked.check(), "nothing is locked yet")
	look := func(name string) error {
		locked.dir.Store(&lockedInfo{name, info})
		return locked.check()
	}
	require.NoError(t, look(dir))
	for _, name := range []string{other, filepath.Join(base, "nowhere")} {
		err := look(name)
		require.ErrorIs(t, err, storage.ErrConflict)
		require.ErrorIs(t, err, storage.ErrNoEffect)
	}
	require.NoError(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o600))
	err = look(filepath.Join(base, "file", "log")) // ENOTDIR
	require.Error(t, err)
	require.NotErrorIs(t, err, storage.ErrConflict)
	require.ErrorIs(t, err, storage.ErrNoEffect)
}
