package file

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// slowFailure is a file system whose first flush of a directory fails, and is slow to
// say so: until release is closed.
type slowFailure struct {
	*memFS
	armed            atomic.Bool
	failing, release chan struct{}
	renamed          chan struct{}
}

func (s *slowFailure) syncDir(dir string) error {
	if s.armed.CompareAndSwap(true, false) {
		close(s.failing)
		<-s.release
		return syscall.EIO
	}
	return s.memFS.syncDir(dir)
}

func (s *slowFailure) rename(from, to string) error {
	defer func() { s.renamed <- struct{}{} }()
	return s.memFS.rename(from, to)
}

// While one flush of a directory fails, another of the same directory may succeed
// without having written what the first one dropped. So neither is believed.
func TestFlushesOfNamesFailTogether(t *testing.T) {
	s := &slowFailure{memFS: newMemFS(), failing: make(chan struct{}), release: make(chan struct{}), renamed: make(chan struct{}, 2)}
	b, err := NewBlob("/db", withFileSystem(s))
	require.NoError(t, err)
	defer b.Close()
	s.armed.Store(true)
	answers := make(chan error, 2)
	set := func(key string) {
		_, err := b.Set(t.Context(), key, []byte(key))
		answers <- err
	}
	go set("a")
	<-s.failing
	<-s.renamed
	go set("b")
	<-s.renamed // it has its name, and only the flush is missing
	close(s.release)
	for range 2 {
		err := <-answers
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorIs(t, err, syscall.EIO)
		require.NotErrorIs(t, err, storage.ErrNoEffect)
	}
}

// lateRename is a file system whose next rename takes effect and fails.
type lateRename struct {
	*memFS
	armed bool
}

func (l *lateRename) rename(from, to string) error {
	err := l.memFS.rename(from, to)
	if l.armed {
		l.armed = false
		return syscall.EIO
	}
	return err
}

// A rename that took effect and failed is not durable, and whoever repeats the write
// must not find its own blob and take it for that.
func TestRenameThatFailedWithEffect(t *testing.T) {
	l := &lateRename{memFS: newMemFS()}
	b, err := NewBlob("/db", withFileSystem(l))
	require.NoError(t, err)
	defer b.Close()
	l.armed = true
	for range 2 {
		_, err = b.SetIf(t.Context(), "edit", []byte("1"), storage.NoVersion)
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorIs(t, err, syscall.EIO)
		require.NotErrorIs(t, err, storage.ErrConflict)
	}
}
