package disk

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A hook hears of every operation, with the name that doc.go says, and can fail each.
func TestHookOfEveryOperation(t *testing.T) {
	var heard []string
	var fails error
	m := New()
	require.NoError(t, m.Mkdir("/d"))
	f := write(t, m, "/d/f", "contents")
	d, err := m.OpenDir("/d")
	require.NoError(t, err)
	unlock, err := m.Lock("/d/LOCK")
	require.NoError(t, err)
	require.NoError(t, m.Rename("/d/f", "/d/now"))
	m.SetHook(func(op, name string) error {
		heard = append(heard, op+" "+name)
		return fails
	})
	calls := map[string]func() error{
		"open /o":            func() error { return second(m.Open("/o")) },
		"openWrite /o":       func() error { return second(m.OpenWrite("/o")) },
		"create /c":          func() error { return second(m.Create("/c")) },
		"mkdir /m":           func() error { return m.Mkdir("/m") },
		"remove /r":          func() error { return m.Remove("/r") },
		"rename /to":         func() error { return m.Rename("/from", "/to") },
		"list /d":            func() error { return second(m.List("/d")) },
		"stat /d/now":        func() error { return second(m.Stat("/d/now")) },
		"openDir /d":         func() error { return second(m.OpenDir("/d")) },
		"syncDir /d":         d.SyncDir,
		"isAt /d":            func() error { return second(d.IsAt("/x")) },
		"lock /d/LOCK":       func() error { return second(m.Lock("/d/LOCK")) },
		"unlock /d/LOCK":     unlock,
		"read /d/now":        func() error { return second(f.ReadAt(make([]byte, 1), 0)) },
		"write /d/now":       func() error { return second(f.WriteAt([]byte("x"), 0)) },
		"sync /d/now":        f.Sync,
		"datasync /d/now":    f.Datasync,
		"truncate /d/now":    func() error { return f.Truncate(3) },
		"size /d/now":        func() error { return second(f.Size()) },
		"links /d/now":       func() error { return second(f.Links()) },
		"isAt /d/now":        func() error { return second(f.IsAt("/x")) },
		"id /d/now":          func() error { return second(f.ID()) },
		"tryLock /d/now":     func() error { return f.TryLock(true) },
		"unlock /d/now":      f.Unlock,
		"tryLockByte /d/now": func() error { return f.TryLockByte(1, true) },
		"unlockByte /d/now":  func() error { return f.UnlockByte(1) },
	}
	fails = errors.New("injected")
	for want, call := range calls {
		heard = nil
		require.ErrorIs(t, call(), fails, want)
		require.Equal(t, []string{want}, heard)
	}
	heard = nil
	require.ErrorIs(t, f.Close(), fails)
	require.ErrorIs(t, d.Close(), fails)
	require.Equal(t, []string{"close /d/now", "close /d"}, heard)
	require.Zero(t, m.Handles(), "what fails to close is closed")
}

// An operation that a hook fails has no effect. A write is half done.
func TestHookFails(t *testing.T) {
	m := New()
	f := write(t, m, "/f", "12345678")
	m.SetHook(func(string, string) error { return syscall.EIO })
	before := m.Everything()
	require.Error(t, f.Truncate(0))
	require.Error(t, m.Rename("/f", "/g"))
	require.Error(t, m.Remove("/f"))
	require.Error(t, m.Mkdir("/d"))
	require.Error(t, second(m.Create("/g")))
	require.Error(t, second(m.Lock("/LOCK")))
	require.Equal(t, before, m.Everything())
	n, err := f.WriteAt([]byte("abcd"), 0)
	require.ErrorIs(t, err, syscall.EIO)
	require.Equal(t, 2, n)
	require.Equal(t, "ab345678", string(m.Contents("/f")))
}

// A hook may look at the disk, and use it within Meanwhile.
func TestHookUsesTheDisk(t *testing.T) {
	m := New()
	m.Put("/f", []byte("one"))
	var left *Disk
	done := false
	m.SetHook(func(op, name string) error {
		if op != "remove" || done {
			return nil
		}
		done = true
		require.Equal(t, "one", string(m.Contents(name)))
		left = m.Crash(nil, 0)
		m.Meanwhile(func() { require.NoError(t, m.Rename(name, "/g")) })
		return nil
	})
	require.ErrorContains(t, m.Remove("/f"), "/f", "it is gone meanwhile")
	require.Equal(t, []string{"f is file one"}, shown(left))
	require.Equal(t, []string{"g is file one"}, shown(m))
}

// A disk that hangs lets no operation end until it is let go.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		m.Put("/f", nil)
		asked := 0
		reached, letGo := m.Stall(func(op, name string) bool {
			asked++
			return op == "open" && strings.HasSuffix(name, "f")
		})
		require.NoError(t, m.Mkdir("/d"), "it hangs in one operation only")
		ends := make(chan error, 2)
		go func() { ends <- second(m.Open("/f")) }()
		<-reached
		go func() { ends <- m.Mkdir("/e") }()
		require.Empty(t, ends)
		letGo()
		require.NoError(t, errors.Join(<-ends, <-ends))
		before := asked
		require.NoError(t, m.FlushDir("/"))
		require.Equal(t, before, asked, "the hook is still there")
		require.Equal(t, []string{"d is dir", "e is dir", "f is file "}, shown(m))
	})
}

// Nothing happens beside Alone.
func TestAlone(t *testing.T) {
	m := New()
	ends := make(chan error)
	m.Alone(func() {
		go func() { ends <- m.Mkdir("/d") }()
		for range 100 {
			require.False(t, m.Has("/d"))
		}
		m.Put("/f", nil)
	})
	require.NoError(t, <-ends)
	require.Equal(t, []string{"d is dir", "f is file "}, shown(m))
}
