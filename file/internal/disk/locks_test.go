package disk

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// The lock of a LOCK file is one for all, ends with unlock, and does not outlive the process.
func TestLockFile(t *testing.T) {
	m := New()
	unlock, err := m.Lock("/LOCK")
	require.NoError(t, err)
	require.True(t, m.Has("/LOCK"), "it is made")
	require.ErrorIs(t, second(m.Lock("/LOCK")), vfs.ErrHeld)
	left := m.Clone()
	_, err = left.Lock("/LOCK")
	require.NoError(t, err, "the process was killed")
	require.NoError(t, unlock())
	unlock, err = m.Lock("/LOCK")
	require.NoError(t, err)
	require.NoError(t, unlock())
}

// A LOCK file that another location shares is not locked: a copy takes its place.
func TestLockFileThatIsShared(t *testing.T) {
	m := New()
	m.Put("/LOCK", []byte("owner"))
	m.Link("/LOCK", "/copy")
	unlock, err := m.Lock("/LOCK")
	require.NoError(t, err)
	other, err := m.Lock("/copy")
	require.NoError(t, err)
	require.Equal(t, "owner", string(m.Contents("/LOCK")))
	require.NoError(t, errors.Join(unlock(), other()))
}

// Locks of an open file, and of a byte of it, belong to the handle and end with it.
func TestLocksOfHandles(t *testing.T) {
	lock := func(f vfs.File, exclusive bool) error { return f.TryLock(exclusive) }
	lockByte := func(f vfs.File, exclusive bool) error { return f.TryLockByte(7, exclusive) }
	for name, kind := range map[string]struct {
		lock   func(f vfs.File, exclusive bool) error
		unlock func(f vfs.File) error
	}{
		"file": {lock, vfs.File.Unlock},
		"byte": {lockByte, func(f vfs.File) error { return f.UnlockByte(7) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := New()
			m.Put("/f", nil)
			open := func() vfs.File {
				f, err := m.Open("/f")
				require.NoError(t, err)
				return f
			}
			a, b, c := open(), open(), open()
			require.NoError(t, kind.lock(a, false))
			require.NoError(t, kind.lock(b, false))
			require.ErrorIs(t, kind.lock(c, true), vfs.ErrHeld)
			require.NoError(t, kind.unlock(a))
			require.ErrorIs(t, kind.lock(c, true), vfs.ErrHeld)
			require.NoError(t, b.Close())
			require.NoError(t, kind.lock(c, true))
			require.ErrorIs(t, kind.lock(a, false), vfs.ErrHeld)
			require.ErrorIs(t, kind.lock(a, true), vfs.ErrHeld)
			require.NoError(t, a.TryLockByte(8, true), "another byte")
			require.NoError(t, c.Close())
			require.NoError(t, kind.lock(a, true))
		})
	}
	m := New()
	m.NoByteLocks = true
	f := write(t, m, "/f", "")
	require.ErrorIs(t, f.TryLockByte(0, false), errors.ErrUnsupported)
}

// Files are told apart, by whatever names.
func TestIDs(t *testing.T) {
	m := New()
	a, b := write(t, m, "/a", ""), write(t, m, "/b", "")
	require.NoError(t, m.Rename("/a", "/c"))
	c, err := m.Open("/c")
	require.NoError(t, err)
	ids := make([]vfs.FileID, 3)
	for i, f := range []vfs.File{a, b, c} {
		ids[i], err = f.ID()
		require.NoError(t, err)
	}
	require.Equal(t, ids[0], ids[2])
	require.NotEqual(t, ids[0], ids[1])
}
