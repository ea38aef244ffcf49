package file

import (
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// The size of the directory follows what the log holds, and truncated segments
// are used again.
func TestRecycling(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	created := 0
	m.SetHook(func(op, _ string) error {
		if op == "create" {
			created++
		}
		return nil
	})
	for range 200 {
		appendGroups(t, l, []int{3000})
		require.NoError(t, l.Truncate(t.Context(), lastOf(t, l)))
		require.LessOrEqual(t, len(m.Names("00"))+len(m.Names(sparePrefix)), 2+maxSpares)
	}
	require.Less(t, created, 5, "segments were made although there were spares")
	require.NoError(t, l.Close())
	l = openMem(t, m)
	got, err := readAll(t, l, l.mu.segs[0].first-1)
	require.NoError(t, err)
	require.Equal(t, upTo(200)[l.mu.segs[0].first-1:], got, "and nothing of a previous life shows")
}

// A reader in another process that has a segment open, or holds it, goes on
// reading it after it was truncated, whatever the writer does with the file.
func TestReadersAndRecycling(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	open := func() *LogReader {
		r, err := NewLogReader("/db", withFileSystem(m))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.Close()) })
		return r
	}
	appendGroups(t, l, []int{3000}, []int{3000}, []int{3000}, []int{3000})
	holder, paused, late := open(), open(), open()
	holder.Hold(ctx0, 1)

	next, stop := iter.Pull2(paused.Read(t.Context(), 0))
	defer stop()
	e, err, ok := next()
	require.True(t, ok)
	require.NoError(t, err)
	require.EqualValues(t, 1, e.SeqNo)

	for range 30 { // every segment is made and truncated in its turn
		appendGroups(t, l, []int{3000})
		require.NoError(t, l.Truncate(t.Context(), lastOf(t, l)))
		got, err := readAll(t, holder, 1)
		require.NoError(t, err)
		require.Equal(t, upTo(lastOf(t, l))[1:], got)
	}
	b, err := holder.Bounds(t.Context())
	require.NoError(t, err)
	require.Equal(t, storage.Bounds{After: 0, Last: 34}, b)
	requireRest(t, next)
	_, err = readAll(t, late, 1)
	require.ErrorIs(t, err, storage.ErrTruncated)

	// Letting go is letting go.
	holder.Hold(ctx0, 33)
	_, err = readAll(t, holder, 1)
	require.ErrorIs(t, err, storage.ErrTruncated)
	got, err := readAll(t, holder, 33)
	require.NoError(t, err)
	require.Equal(t, []storage.SeqNo{34}, got)
}

// requireRest takes the entries 2 to 4 of 3,000 bytes each from a Read, and its
// end: that is where the log ended when it began.
func requireRest(t *testing.T, next func() (storage.Entry, error, bool)) {
	t.Helper()
	for want := storage.SeqNo(2); want <= 4; want++ {
		e, err, ok := next()
		require.True(t, ok)
		require.NoError(t, err)
		require.Equal(t, storage.Entry{SeqNo: want, Data: entryData(want, 3000)}, e)
	}
	_, _, ok := next()
	require.False(t, ok)
}

// The same for a Read of the writer's own handle, with nobody else there.
func TestOwnReadsAndRecycling(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{3000}, []int{3000}, []int{3000}, []int{3000})
	next, stop := iter.Pull2(l.Read(t.Context(), 0))
	defer stop()
	_, err, ok := next()
	require.True(t, ok)
	require.NoError(t, err)
	for range 30 {
		appendGroups(t, l, []int{3000})
		require.NoError(t, l.Truncate(t.Context(), lastOf(t, l)))
	}
	requireRest(t, next)
}

// racingFS lets something happen between a reader's opening a file and locking
// it.
type racingFS struct {
	vfs.FS
	meanwhile func()
}

type racingHandle struct {
	vfs.File
	meanwhile func()
}

func (r racingFS) Open(name string) (vfs.File, error) {
	h, err := r.FS.Open(name)
	return racingHandle{h, r.meanwhile}, err
}

func (r racingHandle) TryLock(exclusive bool) error {
	r.meanwhile()
	return r.File.TryLock(exclusive)
}

// dropSpares removes what the log has ready, and what it is about to prepare.
func dropSpares(t *testing.T, l *Log) {
	l.spares.filling.Lock()
	defer l.spares.filling.Unlock()
	l.spares.mu.Lock()
	defer l.spares.mu.Unlock()
	for _, s := range l.spares.free {
		require.NoError(t, l.spares.discard(s))
	}
	l.spares.free, l.spares.want = nil, 0
}

// A segment that becomes another one just when a reader opens it is gone, not
// damaged.
func TestRecycledWhileOpened(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{8000}, []int{8000}, []int{8000})
	opened := 0
	r, err := NewLogReader("/db", withFileSystem(racingFS{m, func() {
		if opened++; opened != 2 { // the newest segment is opened first
			return
		}
		dropSpares(t, l) // so that the next ones are those truncated here
		old, err := m.Open(seg(2))
		require.NoError(t, err)
		defer old.Close()
		require.NoError(t, l.Truncate(t.Context(), 2))
		appendGroups(t, l, []int{8000}, []int{8000}) // into the files of 1 and 2
		at4, err := old.IsAt(seg(4))
		require.NoError(t, err)
		at5, err := old.IsAt(seg(5))
		require.NoError(t, err)
		require.True(t, at4 || at5, "it was not reused")
	}}))
	require.NoError(t, err)
	_, err = readAll(t, r, 0)
	require.ErrorIs(t, err, storage.ErrTruncated)
	require.Greater(t, opened, 1)
	require.NoError(t, r.Close())
}

// A reader that got hold of a truncated segment after its writer was killed: the
// next writer leaves it alone.
func TestSpareThatIsRead(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{8000}, []int{8000})
	require.NoError(t, l.Truncate(t.Context(), 1))
	require.NoError(t, l.Close())
	spares := m.Names(sparePrefix)
	require.NotEmpty(t, spares)
	for _, name := range spares {
		h, err := m.Open(name)
		require.NoError(t, err)
		require.NoError(t, h.TryLock(false))
	}
	openMem(t, m)
	for _, name := range spares {
		require.NotContains(t, m.Names(sparePrefix), name)
	}
}
