package file

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// corner is a situation that the workload of an engine does not come to. It is run
// with every fault at every operation, as the workload is.
type corner struct {
	name    string
	prepare func(t *testing.T) *disk.Disk
	// run returns the errors that it met. It closes what it opens.
	run func(t *testing.T, f *disk.Faulty) []error
	// check looks at what is left, without faults.
	check func(t *testing.T, m *disk.Disk)
}

var corners = []corner{
	{"recovery of a torn tail", tornLog, useLog, requireWholeLog},
	{"segment that another location shares", sharedLog, useLog, requireWholeLogAndCopy},
	{"file system that does not count names", uncountedLog, useLog, requireWholeLog},
	{"location that is locked", plainLog, openLocked, requireWholeLog},
	{"segments that are read", plainLog, truncateWhileRead, requireWholeLog},
	{"reader of a log", plainLog, readBehind, requireWholeLog},
	{"segment that the writer has just taken", plainLog, readTaken, func(*testing.T, *disk.Disk) {}},
	{"blobs with long keys", longBlobs, useBlobs, requireKeptBlobs},
	{"readers of blobs", longBlobs, readBlobs, requireKeptBlobs},
}

// met keeps the errors of a run.
type met []error

func (e *met) of(err error) bool {
	if err != nil {
		*e = append(*e, err)
	}
	return err == nil
}

const tornAt = 14 // entries of threeSegments

// tornLog is a log that a power cut has torn, with leftovers of every kind.
func tornLog(t *testing.T) *disk.Disk {
	m := threeSegments(t)
	end := groups(t, m, 3)[3].off
	clear(m.Edit(seg(3))[end:][:markSize])
	copy(m.Edit(seg(3))[end:], "torn")
	torn := strings.TrimSuffix(segmentName(3), segmentSuffix)
	for _, n := range []string{"0000000000000001-1", "0000000000000001-2", "0000000000000001-3", "0000000000000001-4", torn + "-" + padded(end)} {
		m.Leave("/db/log/" + tornPrefix + n)
	}
	m.Leave("/db/log/" + tempPrefix + "left")
	m.Leave("/db/log/" + sparePrefix + "short")
	return m
}

func padded(n int64) string {
	const digits = "0123456789"
	b := bytes.Repeat([]byte{'0'}, 10)
	for i := len(b) - 1; n > 0; i, n = i-1, n/10 {
		b[i] = digits[n%10]
	}
	return string(b)
}

func logOn(f vfs.FS) (*Log, error) {
	return NewLog("/db", withFileSystem(f), SegmentSize(MinSegmentSize, MinSegmentSize))
}

// useLog opens, appends until segments change, truncates and closes.
func useLog(t *testing.T, f *disk.Faulty) (errs []error) {
	var e met
	l, err := logOn(f)
	if !e.of(err) {
		return e
	}
	defer func() { e.of(l.Close()); errs = e }()
	for range 6 {
		b, err := l.Bounds(ctx0)
		require.NoError(t, err)
		_, err = l.Append(ctx0, b.Last, [][]byte{entryData(b.Last+1, 5000)})
		e.of(err)
		if b.Last == 17 {
			e.of(l.Truncate(ctx0, 17))
		}
	}
	return e
}

// requireWholeLog opens a log and requires everything from some position on, up to
// at least tornAt, and that it can be appended to.
func requireWholeLog(t *testing.T, m *disk.Disk) {
	l, err := logOn(m)
	require.NoError(t, err)
	b, err := l.Bounds(ctx0)
	require.NoError(t, err)
	require.GreaterOrEqual(t, b.Last, storage.SeqNo(tornAt))
	got, err := readAll(t, l, b.After)
	require.NoError(t, err)
	require.Equal(t, upTo(b.Last)[b.After:], append([]storage.SeqNo{}, got...))
	_, err = l.Append(ctx0, b.Last, [][]byte{entryData(b.Last+1, 10)})
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

// openLocked opens a location that somebody else has: whatever fails, the answer is
// never that it is free.
func openLocked(t *testing.T, f *disk.Faulty) []error {
	unlock, err := f.Disk.Lock("/db/log/" + lockName)
	require.NoError(t, err)
	defer func() { require.NoError(t, unlock()) }()
	_, err = logOn(f)
	require.Error(t, err)
	if errors.Is(err, storage.ErrLocked) {
		return nil
	}
	return []error{err}
}

// sharedLog is a log whose newest segment belongs to a copy as well, by a hard link.
func sharedLog(t *testing.T) *disk.Disk {
	m := threeSegments(t)
	m.Link(seg(3), "/copy")
	m.Put("/copy-was", m.Contents(seg(3)))
	return m
}

func requireWholeLogAndCopy(t *testing.T, m *disk.Disk) {
	requireWholeLog(t, m)
	require.True(t, slices.Equal(m.Contents("/copy-was"), m.Contents("/copy")), "the copy has changed")
}

func plainLog(t *testing.T) *disk.Disk { return threeSegments(t) }

// uncountedLog is on a file system that says of each file that it has no name.
func uncountedLog(t *testing.T) *disk.Disk {
	m := threeSegments(t)
	m.NoLinks = true
	return m
}

// truncateWhileRead truncates segments that this handle is reading, and one that
// another process reads.
func truncateWhileRead(t *testing.T, f *disk.Faulty) (errs []error) {
	var e met
	other, err := NewLogReader("/db", withFileSystem(f.Disk))
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	next, stopOther := iter.Pull2(other.Read(ctx0, 5)) // in segment 2
	defer stopOther()
	_, err, _ = next()
	require.NoError(t, err)

	l, err := logOn(f)
	if !e.of(err) {
		return e
	}
	defer func() { e.of(l.Close()); errs = e }()
	mine, stopMine := iter.Pull2(l.Read(ctx0, 0))
	defer stopMine()
	_, err, _ = mine()
	if !e.of(err) {
		return e
	}
	for range 2 { // the second time for a fault that is over
		e.of(l.Truncate(ctx0, 4))
		e.of(l.Truncate(ctx0, 8))
	}
	b, err := l.Bounds(ctx0)
	require.NoError(t, err)
	_, err = l.Append(ctx0, b.Last, [][]byte{entryData(b.Last+1, 50)})
	e.of(err)
	return e
}

// readBehind reads as another process does, from the newest segment back.
func readBehind(t *testing.T, f *disk.Faulty) (errs []error) {
	var e met
	r, err := NewLogReader("/db", withFileSystem(f))
	if !e.of(err) {
		return e
	}
	defer func() { e.of(r.Close()); errs = e }()
	r.Hold(ctx0, 2)
	for range 2 {
		b, err := r.Bounds(ctx0)
		if e.of(err) {
			require.Equal(t, storage.Bounds{After: 0, Last: tornAt}, b)
		}
		got, err := readAll(t, r, 0)
		if e.of(err) {
			require.Equal(t, upTo(tornAt), got)
		} else {
			require.Equal(t, upTo(storage.SeqNo(len(got))), append([]storage.SeqNo{}, got...))
		}
	}
	return e
}

// readTaken meets a segment whose exclusive lock the writer has: it is gone.
func readTaken(t *testing.T, f *disk.Faulty) (errs []error) {
	h, err := f.Disk.OpenWrite(seg(1))
	require.NoError(t, err)
	require.NoError(t, h.TryLock(true))
	defer func() { require.NoError(t, h.Close()) }()
	var e met
	r, err := NewLogReader("/db", withFileSystem(f))
	if !e.of(err) {
		return e
	}
	defer func() { e.of(r.Close()); errs = e }()
	_, err = readAll(t, r, 0)
	if !errors.Is(err, storage.ErrTruncated) {
		e.of(err)
	}
	return e
}

var longKey = strings.Repeat("long/", 90)

func blobOn(f vfs.FS) (*Blob, error) { return NewBlob("/db", withFileSystem(f)) }

// longBlobs has blobs with short and long keys, and leftovers of interrupted sets.
func longBlobs(t *testing.T) *disk.Disk {
	m := disk.New()
	b, err := blobOn(m)
	require.NoError(t, err)
	for _, key := range []string{"one", longKey, longKey + "gone"} {
		_, err = b.Set(ctx0, key, []byte("contents of "+key))
		require.NoError(t, err)
	}
	_, err = b.Set(ctx0, strings.Repeat("empty", 100), nil)
	require.NoError(t, err)
	require.NoError(t, b.Delete(ctx0, strings.Repeat("empty", 100)))
	require.NoError(t, b.Delete(ctx0, longKey+"gone"))
	require.NoError(t, b.Close())
	m.Leave("/db/blob/tmp/17")
	return m
}

// useBlobs opens, sets, replaces, reads and deletes.
func useBlobs(t *testing.T, f *disk.Faulty) (errs []error) {
	var e met
	b, err := blobOn(f)
	if !e.of(err) {
		return e
	}
	defer func() { e.of(b.Close()); errs = e }()
	for _, key := range []string{"two", longKey + "two"} {
		_, err := b.SetIf(ctx0, key, []byte("contents of "+key), storage.NoVersion)
		set := e.of(err)
		data, _, err := b.Get(ctx0, key)
		if !errors.Is(err, storage.ErrNotFound) && e.of(err) {
			require.Equal(t, "contents of "+key, string(data))
		}
		require.True(t, !set || !errors.Is(err, storage.ErrNotFound), "a blob that was set is not there")
	}
	if part, err := b.GetRange(ctx0, "one", 3, 4); e.of(err) {
		require.Equal(t, "tent", string(part))
	}
	for _, err := range b.List(ctx0, "") {
		e.of(err)
	}
	e.of(b.Delete(ctx0, longKey+"two"))
	return e
}

// readBlobs reads and pins as another process does.
func readBlobs(t *testing.T, f *disk.Faulty) (errs []error) {
	var e met
	r, err := NewBlobReader("/db", withFileSystem(f))
	if !e.of(err) {
		return e
	}
	defer func() { e.of(r.Close()); errs = e }()
	release, err := r.Pin(ctx0, "one")
	if e.of(err) {
		defer release()
	}
	_, err = r.Pin(ctx0, longKey) // until Close
	e.of(err)
	for _, key := range []string{"one", longKey} {
		if data, _, err := r.Get(ctx0, key); e.of(err) {
			require.Equal(t, "contents of "+key, string(data))
		}
		if part, err := r.GetRange(ctx0, key, 3, 4); e.of(err) {
			require.Equal(t, "tent", string(part))
		}
	}
	for _, err := range r.List(ctx0, "") {
		e.of(err)
	}
	return e
}

func requireKeptBlobs(t *testing.T, m *disk.Disk) {
	b, err := blobOn(m)
	require.NoError(t, err)
	for _, key := range []string{"one", longKey} {
		data, _, err := b.Get(ctx0, key)
		require.NoError(t, err)
		require.Equal(t, "contents of "+key, string(data))
	}
	require.NoError(t, b.Close())
}

// requireInjected requires of errors that they are the fault, or what a log or blob
// store says after it, and name what they are about.
func requireInjected(t *testing.T, f *disk.Faulty, errs []error) {
	t.Helper()
	for _, err := range errs {
		require.True(t, f.Happened(), "without a fault: %v", err)
		require.True(t, slices.ContainsFunc([]error{syscall.EIO, syscall.ENOSPC, syscall.EMFILE}, func(e error) bool { return errors.Is(err, e) }), "%v", err)
		require.NotErrorIs(t, err, storage.ErrCorrupt, "a fault is no damage")
		require.Contains(t, err.Error(), "/db")
	}
}
