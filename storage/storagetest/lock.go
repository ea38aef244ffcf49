package storagetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

var (
	alice = storage.LockInfo{Owner: "alice", Details: "pid 17 on a test host"}
	bob   = storage.LockInfo{Owner: "bob", Details: "pid 42 on a test host"}
)

// location is what logs and blobs have in common for the tests of locks.
type location struct {
	features Features
	// open opens the location for writing.
	open func(lock storage.LockInfo) (writer, error)
	// openReader is nil if there are no readers.
	openReader func() (closer, error)
}

type closer interface{ Close() error }

// writer is a handle that owns the location.
type writer interface {
	closer
	// write changes the location once.
	write() error
	// contents says what the location holds; every write changes it.
	contents(t testing.TB) string
}

func (l location) mustOpen(t testing.TB, lock storage.LockInfo) writer {
	t.Helper()
	w, err := l.open(lock)
	require.NoError(t, err, "open for %s", lock.Owner)
	closeAtEnd(t, w)
	return w
}

// requireRefused checks that lock cannot be had, and that the error says why.
func (l location) requireRefused(t testing.TB, lock, holder storage.LockInfo) {
	t.Helper()
	w, err := l.open(lock)
	if err == nil {
		closeAtEnd(t, w)
	}
	require.ErrorIs(t, err, storage.ErrLocked, "open for %s while %s has it open", lock.Owner, holder.Owner)
	var locked *storage.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, holder.Owner, locked.Holder.Owner, "the holder that the error names")
	require.Equal(t, holder.Details, locked.Holder.Details, "the details of the holder that the error names")
}

// requireFenced checks that a handle that has lost the location can change nothing.
func requireFenced(t testing.TB, old, current writer) {
	t.Helper()
	before := current.contents(t)
	err := old.write()
	require.Error(t, err, "a write through a handle that was replaced")
	require.True(t, isOneOf(err, storage.ErrClosed, storage.ErrConflict),
		"a write through a handle that was replaced gave %v; want ErrClosed or ErrConflict", err)
	require.Equal(t, before, current.contents(t), "a write through a handle that was replaced left a trace")
}

func testSecondOwner(t testing.TB, l location) {
	if l.features.Exclusion == Share {
		t.Skip("several writers may have these blobs open")
	}
	first := l.mustOpen(t, alice)
	require.NoError(t, first.write())
	if l.features.Exclusion == Fence {
		second := l.mustOpen(t, bob)
		requireFenced(t, first, second)
		require.NoError(t, second.write())
		requireFenced(t, first, second)
		return
	}
	l.requireRefused(t, bob, alice)
	require.NoError(t, first.write(), "a refused open must not disturb the holder")
	l.requireRefused(t, bob, alice)

	before := first.contents(t)
	require.NoError(t, first.Close())
	second := l.mustOpen(t, bob)
	require.Equal(t, before, second.contents(t))
	require.NoError(t, second.write())
	l.requireRefused(t, alice, bob)
}

func testSameOwner(t testing.TB, l location) {
	if l.features.Exclusion == Share {
		t.Skip("several writers may have these blobs open")
	}
	orphan := l.mustOpen(t, alice)
	require.NoError(t, orphan.write())
	before := orphan.contents(t)

	current, err := l.open(alice)
	if err != nil {
		require.False(t, l.features.TakeOver, "the same owner must be able to take over: %v", err)
		require.NotEqual(t, Fence, l.features.Exclusion, "opening must fence: %v", err)
		require.ErrorIs(t, err, storage.ErrLocked)
		require.NoError(t, orphan.write(), "a refused open must not disturb the holder")
		return
	}
	closeAtEnd(t, current)
	require.Equal(t, before, current.contents(t))
	requireFenced(t, orphan, current)
	require.NoError(t, current.write())
	requireFenced(t, orphan, current)

	// The orphan is closed late, and then once more.
	for range 2 {
		assert.NoError(t, orphan.Close())
		require.NoError(t, current.write(), "a late Close of an old handle closed its successor")
		if l.features.Exclusion == Refuse {
			l.requireRefused(t, bob, alice)
		}
	}
}

func testLateClose(t testing.TB, l location) {
	old := l.mustOpen(t, alice)
	require.NoError(t, old.write())
	require.NoError(t, old.Close())

	current := l.mustOpen(t, alice)
	require.NoError(t, current.write())
	require.NoError(t, old.Close(), "a second Close does nothing")
	require.NoError(t, current.write(), "a late Close of an old handle closed its successor")
	if l.features.Exclusion == Refuse {
		l.requireRefused(t, bob, alice)
	}
	before := current.contents(t)
	require.Error(t, old.write(), "a write through a closed handle")
	require.Equal(t, before, current.contents(t))
}

func testReaderKeepsLock(t testing.TB, l location) {
	if l.openReader == nil {
		t.Skip("no readers")
	}
	writer := l.mustOpen(t, alice)
	require.NoError(t, writer.write())
	for range 2 {
		reader, err := l.openReader()
		require.NoError(t, err, "a reader beside the writer")
		require.NoError(t, reader.Close())
		require.NoError(t, reader.Close(), "a second Close does nothing")
	}
	require.NoError(t, writer.write(), "closing a reader must leave the writer usable")
	if l.features.Exclusion == Refuse {
		l.requireRefused(t, bob, alice)
	}

	// An open reader does not keep a writer out either.
	reader, err := l.openReader()
	require.NoError(t, err)
	closeAtEnd(t, reader)
	before := writer.contents(t)
	require.NoError(t, writer.Close())
	next := l.mustOpen(t, bob)
	require.Equal(t, before, next.contents(t))
	require.NoError(t, next.write())
}

// closeAtEnd closes a handle when the test is over, even if the test has closed it.
func closeAtEnd(t testing.TB, c closer) {
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
}
