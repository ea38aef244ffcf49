package file

import (
	iofs "io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// slowFailure is a file system whose first flush of a directory fails, and is slow to
// say so: until release is closed.
type slowFailure struct {
	*disk.Disk
	armed            atomic.Bool
	failing, release chan struct{}
	renamed          chan struct{}
}

func (s *slowFailure) OpenDir(dir string) (vfs.Dir, error) {
	d, err := s.Disk.OpenDir(dir)
	return slowDir{d, s}, err
}

type slowDir struct {
	vfs.Dir
	s *slowFailure
}

func (d slowDir) SyncDir() error {
	if d.s.armed.CompareAndSwap(true, false) {
		close(d.s.failing)
		<-d.s.release
		return syscall.EIO
	}
	return d.Dir.SyncDir()
}

func (s *slowFailure) Rename(from, to string) error {
	defer func() { s.renamed <- struct{}{} }()
	return s.Disk.Rename(from, to)
}

// While one flush of a directory fails, another of the same directory may succeed
// without having written what the first one dropped. So neither is believed. The flush
// that fails is of a blob's name, or of the directory that a long key needs.
func TestFlushesOfNamesFailTogether(t *testing.T) {
	for name, first := range map[string]struct {
		key    string
		rename bool // comes before the flush
	}{"of a name": {"a", true}, "of a directory": {strings.Repeat("a", storage.MaxKeySize), false}} {
		t.Run(name, func(t *testing.T) {
			s := &slowFailure{Disk: disk.New(), failing: make(chan struct{}), release: make(chan struct{}), renamed: make(chan struct{}, 2)}
			b, err := NewBlob("/db", withFileSystem(s))
			require.NoError(t, err)
			defer b.Close()
			s.armed.Store(true)
			answers := make(chan error, 2)
			set := func(key string) {
				_, err := b.Set(t.Context(), key, []byte(key))
				answers <- err
			}
			go set(first.key)
			<-s.failing
			if first.rename {
				<-s.renamed
			}
			go set("b")
			<-s.renamed // it has its name, and only the flush is missing
			close(s.release)
			for range 2 {
				err := <-answers
				require.ErrorIs(t, err, ErrFailed)
				require.ErrorIs(t, err, syscall.EIO)
				require.NotErrorIs(t, err, storage.ErrNoEffect)
			}
		})
	}
}

// A directory that is gone when it is to be opened has not been flushed, and nothing was
// done in it. For Delete that is as good as done.
func TestFlushOfADirectoryThatIsGone(t *testing.T) {
	m := disk.New()
	b, err := NewBlob("/db", withFileSystem(m))
	require.NoError(t, err)
	defer b.Close()
	key := strings.Repeat("a", storage.MaxKeySize)
	require.NoError(t, b.Delete(t.Context(), key))
	m.SetHook(func(op, name string) error {
		if op == "openDir" && strings.HasSuffix(name, nameContinues) {
			return iofs.ErrNotExist
		}
		return nil
	})
	_, err = b.Set(t.Context(), key, []byte("1"))
	require.ErrorIs(t, err, storage.ErrNoEffect)
	m.SetHook(nil)
	_, err = b.Set(t.Context(), key, []byte("1"))
	require.NoError(t, err)
}

// lateRename is a file system whose next rename between names that end like these takes
// effect and fails.
type lateRename struct {
	*disk.Disk
	from, to string // what the names are to end with
	armed    atomic.Bool
	// refuses, if set, is why nothing can be removed.
	refuses atomic.Pointer[error]
}

func (l *lateRename) Rename(from, to string) error {
	err := l.Disk.Rename(from, to)
	if strings.HasSuffix(from, l.from) && strings.HasSuffix(to, l.to) && l.armed.CompareAndSwap(true, false) {
		return syscall.EIO
	}
	return err
}

func (l *lateRename) Remove(name string) error {
	if refuses := l.refuses.Load(); refuses != nil {
		return *refuses
	}
	return l.Disk.Remove(name)
}

// A rename that took effect and failed is not durable, and whoever repeats the write
// must not find its own blob and take it for that.
func TestRenameThatFailedWithEffect(t *testing.T) {
	l := &lateRename{Disk: disk.New()}
	b, err := NewBlob("/db", withFileSystem(l))
	require.NoError(t, err)
	defer b.Close()
	l.armed.Store(true)
	for range 2 {
		_, err = b.SetIf(t.Context(), "edit", []byte("1"), storage.NoVersion)
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorIs(t, err, syscall.EIO)
		require.NotErrorIs(t, err, storage.ErrConflict)
	}
}
