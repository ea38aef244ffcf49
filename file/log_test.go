package file

import (
	"errors"
	"io"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

func lastOf(t testing.TB, l storage.LogReader) storage.SeqNo {
	t.Helper()
	b, err := l.Bounds(t.Context())
	require.NoError(t, err)
	return b.Last
}

// After a failed write or flush the outcome is unknown: the log says so, appends
// nothing more, and never asks for another flush.
func TestFailedWriteStopsTheLog(t *testing.T) {
	for _, kind := range []string{"write", "datasync"} {
		t.Run(kind, func(t *testing.T) {
			m := disk.New()
			l := openMem(t, m)
			appendGroups(t, l, []int{10, 10})
			eio := errors.New("input/output error")
			flushes := 0
			m.SetHook(func(op, _ string) error {
				if op == "datasync" || op == "sync" || op == "syncDir" {
					flushes++
				}
				if op == kind {
					return eio
				}
				return nil
			})
			_, err := l.Append(t.Context(), 2, [][]byte{entryData(3, 5)})
			require.ErrorIs(t, err, eio)
			require.ErrorIs(t, err, ErrFailed)
			require.NotErrorIs(t, err, storage.ErrNoEffect)
			first := flushes
			eio = nil
			for range 3 {
				_, err = l.Append(t.Context(), 2, [][]byte{entryData(3, 5)})
				require.ErrorIs(t, err, ErrFailed)
				require.NotErrorIs(t, err, storage.ErrNoEffect)
				require.ErrorIs(t, l.Truncate(t.Context(), 1), ErrFailed)
			}
			got, err := readAll(t, l, 0)
			require.NoError(t, err, "what was acknowledged stays readable")
			require.Equal(t, upTo(2), got)
			require.NoError(t, l.Close())
			require.Equal(t, first, flushes, "a flush was tried again")
		})
	}
}

// What a failed flush has left is in the page cache, and nowhere else. Opening
// the log again finds it there; it must then become durable before anything is
// built on it.
func TestFailedFlushThenPowerCut(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{10, 10})
	m.SetHook(func(op, _ string) error {
		if op == "datasync" {
			return syscall.EIO
		}
		return nil
	})
	_, err := l.Append(t.Context(), 2, [][]byte{entryData(3, 600)})
	require.ErrorIs(t, err, syscall.EIO)
	m.SetHook(nil)
	require.NoError(t, l.Close())

	l = openMem(t, m)
	require.EqualValues(t, 3, lastOf(t, l), "found in the page cache")
	appendGroups(t, l, []int{20})
	l = openMem(t, m.Crash(nil, 0))
	got, err := readAll(t, l, 0)
	require.NoError(t, err)
	require.Equal(t, upTo(4), got)
}

// A full disk is met before anything is written. The log goes on without being
// opened again, and with a smaller segment if that is all there is room for.
func TestFullDisk(t *testing.T) {
	m := disk.New()
	l, err := tryOpenMem(m, SegmentSize(MinSegmentSize, 8*MinSegmentSize))
	require.NoError(t, err)
	defer l.Close()
	m.Capacity = 6*MinSegmentSize + 1000 // for 16 and 32 KiB, and not for 64 KiB after those
	next := storage.SeqNo(0)
	for err == nil {
		next++
		_, err = l.Append(t.Context(), next-1, [][]byte{entryData(next, 1000)})
	}
	for range 3 {
		_, err = l.Append(t.Context(), next-1, [][]byte{entryData(next, 1000)})
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorIs(t, err, storage.ErrNoEffect)
		require.Empty(t, m.Names(tempPrefix), "a half-made segment is in the way of recovery")
	}
	got, err := readAll(t, l, 0)
	require.NoError(t, err)
	require.Equal(t, upTo(next-1), got)

	require.Len(t, l.mu.segs, 4, "smaller segments are made as long as there is room for any")

	require.NoError(t, l.Truncate(t.Context(), l.mu.segs[1].first), "truncating needs no room")
	appendGroups(t, l, []int{1000}, []int{1000})
	require.Equal(t, next+1, lastOf(t, l))
	newest, end := l.mu.segs[len(l.mu.segs)-1].name, l.write.off
	require.NoError(t, l.Close())

	m.Capacity = m.Used() // nor does opening, also if there is a torn tail to be cut
	copy(m.Edit(newest)[end+markSize/2-8:], "torn")
	copy(m.Edit(newest)[end:], "torn")
	l = openMem(t, m)
	require.Equal(t, next+1, lastOf(t, l))
	require.True(t, l.Recovery().Cut)
	require.Empty(t, l.Recovery().Kept, "there was no room for a copy")
	require.Empty(t, m.Names(tornPrefix), "nor is there a half of one")
}

// Segments double up to the limit; a group that is larger gets one that fits.
func TestSegmentSizes(t *testing.T) {
	m := disk.New()
	l, err := tryOpenMem(m, SegmentSize(MinSegmentSize, 4*MinSegmentSize))
	require.NoError(t, err)
	for len(l.mu.segs) < 5 {
		appendGroups(t, l, []int{5000})
	}
	appendGroups(t, l, []int{9 * MinSegmentSize}, []int{1})
	var sizes []int64
	for _, s := range l.mu.segs {
		sizes = append(sizes, s.size/MinSegmentSize)
	}
	require.Equal(t, []int64{1, 2, 4, 4, 4, 9, 4}, sizes)
	require.NoError(t, l.Close())

	_, err = NewLog("/db", withFileSystem(m), SegmentSize(1, 2))
	require.ErrorContains(t, err, "segment sizes 1 to 2")
	l = openMem(t, m)
	_, err = l.Append(t.Context(), lastOf(t, l), [][]byte{make([]byte, MaxAppendSize-3)})
	require.ErrorIs(t, err, storage.ErrTooLarge)
	require.ErrorIs(t, err, storage.ErrNoEffect)
}

// A reader that polls pays for what is new, not for what there is.
func TestPollIsCheap(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	r, err := NewLogReader("/db", withFileSystem(m))
	require.NoError(t, err)
	defer r.Close()
	ops := 0
	counting := func(_, name string) error {
		if _, ok := segmentIndex(filepath.Base(name)); ok || name == "/db/log" { // not the spares
			ops++
		}
		return nil
	}
	for i, reader := range []storage.LogReader{l, r} {
		allowed := []int{0, 2}[i]
		after := storage.SeqNo(0)
		for round := range 60 {
			if i == 0 || round > 0 {
				appendGroups(t, l, []int{100, 100})
			}
			got, err := readAll(t, reader, after)
			require.NoError(t, err)
			require.NotEmpty(t, got)
			after = got[len(got)-1]
			ops = 0
			m.SetHook(counting)
			got, err = readAll(t, reader, after)
			require.NoError(t, err)
			require.Empty(t, got)
			require.Equal(t, allowed, ops, "operations of a poll without news")
			m.SetHook(nil)

			appendGroups(t, l, []int{50})
			ops = 0
			m.SetHook(counting)
			got, err = readAll(t, reader, after)
			require.NoError(t, err)
			require.Len(t, got, 1)
			if segments := len(l.mu.segs); segments == 1 {
				require.LessOrEqual(t, ops, allowed+2, "operations of a poll with one new group")
			}
			after = got[0]
			m.SetHook(nil)
		}
	}
}

// Damage behind the end of the log is found by a reader that has been there for
// long, too.
func TestReaderSuspects(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{10})
	r, err := NewLogReader("/db", withFileSystem(m))
	require.NoError(t, err)
	defer r.Close()
	require.EqualValues(t, 1, lastOf(t, r))
	at := l.write.off
	appendGroups(t, l, []int{10}, []int{10})
	clear(m.Edit(seg(1))[at : at+40])
	var polls int
	for err = nil; err == nil && polls <= 2*suspectAfter; polls++ {
		_, err = r.Bounds(t.Context())
	}
	var damage *storage.CorruptError
	require.ErrorAs(t, err, &damage)
	require.Equal(t, at, damage.Offset)
	require.Equal(t, suspectAfter, polls)
}

// That the log could not be read where damage was suspected is no damage: it is looked
// at again.
func TestSuspicionThatCouldNotBeRead(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{10})
	r, err := NewLogReader("/db", withFileSystem(m))
	require.NoError(t, err)
	defer r.Close()
	require.EqualValues(t, 1, lastOf(t, r))
	at := l.write.off
	appendGroups(t, l, []int{10})
	clear(m.Edit(seg(1))[at:]) // no mark is left that says where the log ends
	// A look reads the same each time, but for the one that searches: that read fails.
	reads, usual, failed := 0, 0, 0
	m.SetHook(func(op, _ string) error {
		if op != "read" {
			return nil
		}
		if reads++; usual > 0 && reads > usual && failed == 0 {
			failed++
			return syscall.EIO
		}
		return nil
	})
	for polls := range 4 * suspectAfter {
		reads = 0
		before := failed
		if _, err = r.Bounds(t.Context()); failed > before {
			require.ErrorIs(t, err, syscall.EIO)
		} else {
			require.NoError(t, err, "poll %d", polls)
		}
		if polls == 2 {
			usual = reads
		}
	}
	require.Equal(t, 1, failed)
}

// Reading a location writes nothing, not even a directory.
func TestReadersCreateNothing(t *testing.T) {
	m := disk.New()
	watch := func(op, name string) error {
		switch op {
		case "open", "list", "stat", "isAt", "read", "size", "tryLock", "close":
			return nil
		}
		t.Errorf("a reader calls %s %s", op, name)
		return nil
	}
	m.SetHook(watch)
	r, err := NewLogReader("/db", withFileSystem(m))
	require.NoError(t, err)
	b, err := NewBlobReader("/db", withFileSystem(m))
	require.NoError(t, err)
	check := func(n int) {
		got, err := readAll(t, r, 0)
		require.NoError(t, err)
		require.Len(t, got, n)
		for _, err := range b.List(t.Context(), "") {
			require.NoError(t, err)
		}
	}
	check(0)
	m.SetHook(nil)
	l := openMem(t, m)
	appendGroups(t, l, []int{1, 2, 3})
	require.NoError(t, l.Close())
	m.SetHook(watch)
	check(3)
	require.NoError(t, r.Close())
	require.NoError(t, b.Close())
}

// Closing during a Read ends it, and closes every file once it has ended.
func TestCloseDuringRead(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{8000}, []int{8000}, []int{8000})
	r, err := NewLogReader("/db", withFileSystem(m))
	require.NoError(t, err)
	r.Hold(ctx0, 0)
	for _, reader := range []storage.LogReader{r, l} {
		n := 0
		for _, err := range reader.Read(t.Context(), 0) {
			if n++; n == 1 {
				require.NoError(t, err)
				require.NoError(t, reader.Close())
				continue
			}
			require.ErrorIs(t, err, storage.ErrClosed)
		}
		require.Equal(t, 2, n)
	}
	require.Zero(t, m.Handles(), "files left open")
}

// An I/O error while reading is that, not damage.
func TestReadErrorIsNoDamage(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{10})
	for _, failure := range []error{syscall.EIO, io.ErrClosedPipe} {
		m.SetHook(func(op, _ string) error {
			if op == "read" {
				return failure
			}
			return nil
		})
		_, err := readAll(t, l, 0)
		require.ErrorIs(t, err, failure)
		require.NotErrorIs(t, err, storage.ErrCorrupt)
		m.SetHook(nil)
	}
	require.NoError(t, l.Close())
	before := m.Clone()
	m.SetHook(func(op, _ string) error {
		if op == "read" {
			return syscall.EIO
		}
		return nil
	})
	_, err := tryOpenMem(m)
	require.ErrorIs(t, err, syscall.EIO)
	require.NotErrorIs(t, err, storage.ErrCorrupt)
	require.Equal(t, before.Edit(seg(1)), m.Edit(seg(1)), "nothing was cut")
}
