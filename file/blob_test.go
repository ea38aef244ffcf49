package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

func openMemBlob(t testing.TB, m *disk.Disk) *Blob {
	t.Helper()
	b, err := NewBlob("/db", withFileSystem(m))
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// contents returns all blobs.
func contents(t testing.TB, b storage.BlobReader) map[string]string {
	t.Helper()
	all := map[string]string{}
	var keys []string
	for info, err := range b.List(t.Context(), "") {
		require.NoError(t, err)
		data, _, err := b.Get(t.Context(), info.Key)
		require.NoError(t, err)
		require.EqualValues(t, len(data), info.Size)
		all[info.Key] = string(data)
		keys = append(keys, info.Key)
	}
	require.True(t, slices.IsSorted(keys), keys)
	return all
}

// A list that cannot be read to its end says so, wherever it fails and whatever it has found
// before. Long keys lie in directories of their own.
func TestListEndsWithItsError(t *testing.T) {
	m := disk.New()
	b := openMemBlob(t, m)
	keys := []string{"a", strings.Repeat("k", 300), strings.Repeat("z", 300)}
	for _, key := range keys {
		_, err := b.Set(t.Context(), key, nil)
		require.NoError(t, err)
	}
	for fails := 1; ; fails++ {
		calls := 0
		m.SetHook(func(string, string) error {
			if calls++; calls == fails {
				return syscall.EIO
			}
			return nil
		})
		var found []string
		var last error
		for info, err := range b.List(t.Context(), "") {
			require.NoError(t, last, "the error is the last")
			if last = err; err == nil {
				found = append(found, info.Key)
			}
		}
		if calls < fails {
			require.NoError(t, last)
			require.Equal(t, keys, found)
			require.GreaterOrEqual(t, calls, 6, "three directories, three files")
			return
		}
		require.ErrorIs(t, last, syscall.EIO, "call %d fails", fails)
	}
}

func TestBlobNames(t *testing.T) {
	for key, want := range map[string]string{
		"s/1/t-5.parquet": "s%2f1%2ft-5.parquet",
		"A":               "%41",
		"a":               "a",
		".":               "%2e",
		"..":              "%2e.",
		"a..b":            "a..b",
		"a~":              "a%7e",
		"%41":             "%2541",
		"\x00\xff":        "%00%ff",
	} {
		require.Equal(t, want, blobPath(key), "%q", key)
	}
	for _, path := range []string{"", "%", "%4", "%4G", "%61", "A", "~", "a~", ".a", "tmp~/x", "%2F"} {
		_, ok := blobKey(path)
		require.False(t, ok, "%q", path)
	}
	rapid.Check(t, func(t *rapid.T) {
		key := string(rapid.SliceOfN(rapid.Byte(), 1, storage.MaxKeySize).Draw(t, "key"))
		if rapid.Bool().Draw(t, "long") {
			key = strings.Repeat(key, storage.MaxKeySize)[:storage.MaxKeySize]
		}
		path := blobPath(key)
		back, ok := blobKey(path)
		require.True(t, ok)
		require.Equal(t, key, back, "two keys with one path")
		require.Equal(t, strings.ToLower(path), path, "file systems may ignore case")
		require.True(t, filepath.IsLocal(path))
		parts := strings.Split(path, string(filepath.Separator))
		for i, part := range parts {
			require.LessOrEqual(t, len(part), 255)
			require.NotContains(t, []string{".", "..", ""}, part)
			require.Equal(t, i < len(parts)-1, strings.HasSuffix(part, nameContinues), "directories are known by their names")
		}
	})
}

// Every operation of a set fails: the old contents or the new, and the old ones
// for certain if the error says so.
func TestBlobErrorAtEveryOperation(t *testing.T) {
	injected := errors.New("injected")
	for at := 1; ; at++ {
		m := disk.New()
		b := openMemBlob(t, m)
		_, err := b.Set(t.Context(), "k", []byte("old"))
		require.NoError(t, err)
		op, failed := 0, ""
		m.SetHook(func(kind, _ string) error {
			if op++; op == at {
				failed = kind
				return injected
			}
			return nil
		})
		version, err := b.SetIf(t.Context(), "k", []byte("new"), blobVersion([]byte("old")))
		m.SetHook(nil)
		if failed == "" {
			require.NoError(t, err)
			require.Equal(t, blobVersion([]byte("new")), version)
			require.Greater(t, at, 8, "SetIf has fewer operations than it should")
			break
		}
		require.ErrorIs(t, err, injected, failed)
		data, _, err2 := b.Get(t.Context(), "k")
		require.NoError(t, err2)
		if errors.Is(err, storage.ErrNoEffect) {
			require.Equal(t, "old", string(data), failed)
		}
		_, again := b.Set(t.Context(), "other", nil)
		if failed == "syncDir" {
			require.NotErrorIs(t, err, storage.ErrNoEffect)
			require.ErrorIs(t, again, ErrFailed, "a directory that could not be flushed must not be flushed again")
		} else {
			require.NoError(t, again, failed)
		}
		require.NoError(t, b.Close())
		b = openMemBlob(t, m)
		names, err := m.List("/db/blob/tmp")
		require.NoError(t, err)
		require.Empty(t, names)
		_, err = b.Set(t.Context(), "k", []byte("newest"))
		require.NoError(t, err)
	}
}

// A full disk changes nothing, and is over when there is room.
func TestBlobFullDisk(t *testing.T) {
	m := disk.New()
	b := openMemBlob(t, m)
	_, err := b.Set(t.Context(), "k", []byte("old"))
	require.NoError(t, err)
	m.Capacity = m.Used() + 100
	_, err = b.Set(t.Context(), "k", bytes.Repeat([]byte{1}, 200))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, err, storage.ErrNoEffect)
	require.Equal(t, map[string]string{"k": "old"}, contents(t, b))
	_, err = b.Set(t.Context(), "k", bytes.Repeat([]byte{1}, 90))
	require.NoError(t, err, "what the failed one had written must be gone")
}

// Sets of different keys must not wait for each other's I/O; sets of one key
// must take turns.
func TestBlobSetsOverlap(t *testing.T) {
	m := disk.New()
	b := openMemBlob(t, m)
	const n = 4
	var inSync sync.WaitGroup
	inSync.Add(n)
	slow := slowFS{FS: m, wait: func() { inSync.Done(); inSync.Wait() }}
	b.config.fsys = slow
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, err := b.Set(context.WithoutCancel(t.Context()), fmt.Sprint(i), []byte("x"))
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait() // hangs if a set waits for another one to be flushed
	require.Len(t, contents(t, b), n)
	b.config.fsys = m

	won := make([]bool, 16)
	for i := range won {
		all.Go(func() {
			_, err := b.SetIf(context.WithoutCancel(t.Context()), "one", fmt.Append(nil, i), storage.NoVersion)
			won[i] = err == nil
		})
	}
	all.Wait()
	i := slices.Index(won, true)
	require.NotEqual(t, -1, i)
	require.NotContains(t, won[i+1:], true, "two winners")
	require.Equal(t, fmt.Sprint(i), contents(t, b)["one"])
}

// slowFS waits before it makes the contents of a new file durable.
type slowFS struct {
	vfs.FS
	wait func()
}

type slowHandle struct {
	vfs.File
	wait func()
}

func (s slowFS) Create(name string) (vfs.File, error) {
	h, err := s.FS.Create(name)
	return slowHandle{h, s.wait}, err
}

func (s slowHandle) Sync() error {
	s.wait()
	return s.File.Sync()
}

// A pinned blob stays as it is for this reader after it was deleted, until every pin is
// released or the reader closed; then its file goes. It needs no descriptor, except where
// there is no file whose bytes could be locked.
func TestPin(t *testing.T) {
	for _, byLock := range []bool{true, false} {
		t.Run(fmt.Sprintf("by lock %v", byLock), func(t *testing.T) {
			m := disk.New()
			b := openMemBlob(t, m)
			idle, pinned := m.Handles(), 1 // the pins of the writer, and its directory
			if !byLock {
				require.NoError(t, m.Remove("/db/blob/pins"))
			}
			set := func(value string) {
				_, err := b.Set(t.Context(), "k", []byte(value))
				require.NoError(t, err)
			}
			r, err := NewBlobReader("/db", withFileSystem(m))
			require.NoError(t, err)
			get := func() string {
				data, version, err := r.Get(t.Context(), "k")
				if errors.Is(err, storage.ErrNotFound) {
					return "not found"
				}
				require.NoError(t, err)
				require.Equal(t, blobVersion(data), version)
				return string(data)
			}
			_, err = r.Pin(t.Context(), "k")
			require.ErrorIs(t, err, storage.ErrNotFound)
			set("one")
			first, err := r.Pin(t.Context(), "k")
			require.NoError(t, err)
			second, err := r.Pin(t.Context(), "k")
			require.NoError(t, err)
			require.NoError(t, b.Delete(t.Context(), "k"))
			require.Equal(t, "one", get())
			part, err := r.GetRange(t.Context(), "k", 1, 2)
			require.NoError(t, err)
			require.Equal(t, "ne", string(part))
			first()
			first()
			require.Equal(t, "one", get())

			// Others see what is there, and so does this reader once it has released it.
			set("two")
			other, err := NewBlobReader("/db", withFileSystem(m))
			require.NoError(t, err)
			data, _, err := other.Get(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, "two", string(data))
			require.NoError(t, other.Close())
			require.Equal(t, "one", get())
			third, err := r.Pin(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, "one", get())
			second()
			third()
			require.Equal(t, "two", get())

			// What is replaced, and not deleted, is there or not found.
			fourth, err := r.Pin(t.Context(), "k")
			require.NoError(t, err)
			set("three")
			require.Equal(t, map[bool]string{true: "not found", false: "two"}[byLock], get())
			fourth()
			require.Equal(t, "three", get())

			for i := range 100 {
				key := fmt.Sprint("k", i)
				_, err := b.Set(t.Context(), key, []byte(key))
				require.NoError(t, err)
				_, err = r.Pin(t.Context(), key)
				require.NoError(t, err)
				require.NoError(t, b.Delete(t.Context(), key))
			}
			if !byLock {
				pinned = 100
			}
			require.Equal(t, idle+pinned, m.Handles())
			for i := range 100 {
				data, err := r.GetRange(t.Context(), fmt.Sprint("k", i), 0, 2)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint("k", i)[:2], string(data))
			}
			require.Equal(t, idle+pinned, m.Handles())
			require.NoError(t, r.Close())
			fourth()
			require.Equal(t, idle, m.Handles())
			_, err = r.Pin(t.Context(), "k")
			require.ErrorIs(t, err, storage.ErrClosed)
			require.Equal(t, idle, m.Handles())
			require.NoError(t, b.Close())
			names, err := m.List("/db/blob/pinned")
			require.NoError(t, ignoreNotExist(err))
			require.Empty(t, names)
		})
	}
}

// What was pinned when it was deleted goes when it is pinned no more: with the mutations
// after that, or with the next opening if a reader outlives the writer.
func TestPinnedBlobsGo(t *testing.T) {
	m := disk.New()
	b := openMemBlob(t, m)
	r, err := NewBlobReader("/db", withFileSystem(m))
	require.NoError(t, err)
	var releases []func()
	for i := range 10 {
		key := fmt.Sprint("k", i)
		_, err := b.Set(t.Context(), key, []byte(key))
		require.NoError(t, err)
		release, err := r.Pin(t.Context(), key)
		require.NoError(t, err)
		releases = append(releases, release)
		require.NoError(t, b.Delete(t.Context(), key))
	}
	kept := func() int {
		names, err := m.List("/db/blob/pinned")
		require.NoError(t, err)
		return len(names)
	}
	require.Equal(t, 10, kept())
	for _, release := range releases[:5] {
		release()
	}
	for range 4 {
		_, err := b.Set(t.Context(), "other", nil)
		require.NoError(t, err)
	}
	require.Equal(t, 5, kept())
	releases[5]()
	require.NoError(t, b.Close())
	require.Equal(t, 4, kept())
	releases[6]()
	b = openMemBlob(t, m)
	require.Equal(t, 3, kept())
	for i := 7; i < 10; i++ {
		data, _, err := r.Get(t.Context(), fmt.Sprint("k", i))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("k", i), string(data))
	}
	require.NoError(t, r.Close())
	require.NoError(t, b.Close())
	require.Equal(t, 0, kept())
}

// A blob that was cut outside of this package is an error, not fewer bytes.
func TestBlobCutWhileRead(t *testing.T) {
	m := disk.New()
	b := openMemBlob(t, m)
	_, err := b.Set(t.Context(), "k", []byte("0123456789"))
	require.NoError(t, err)
	m.SetHook(func(op, name string) error {
		if op == "read" {
			m.Resize(name, 4)
		}
		return nil
	})
	_, _, err = b.Get(t.Context(), "k")
	var damage *storage.CorruptError
	require.ErrorAs(t, err, &damage)
	require.Equal(t, `blob "k"`, damage.Where)
	require.EqualValues(t, 4, damage.Offset)
}

// Where the state of a lock cannot be told, a deleted blob is kept, and the log says so.
func TestLocksThatCannotBeTold(t *testing.T) {
	m := disk.New()
	var log bytes.Buffer
	b, err := NewBlob("/db", withFileSystem(m), Logger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	_, err = b.Set(t.Context(), "k", []byte("contents"))
	require.NoError(t, err)
	m.SetHook(func(op, name string) error {
		if op == "tryLockByte" {
			return &iofs.PathError{Op: op, Path: name, Err: syscall.ENOLCK}
		}
		return nil
	})
	require.NoError(t, b.Delete(t.Context(), "k"))
	require.Contains(t, log.String(), "/db/blob/pinned")
	require.Contains(t, log.String(), "no locks available")
	require.Len(t, m.Names(pinnedName("k", vfs.FileID{Inode: 1})), 1)
	m.SetHook(nil)
	_, err = b.Set(t.Context(), "other", nil)
	require.NoError(t, err)
	require.Empty(t, m.Names(pinnedName("k", vfs.FileID{Inode: 1})))
	require.NoError(t, b.Close())
}

// An owner that cannot open the file pins although it is there does not go on without: it
// would delete what readers have locked. One that cannot make it does.
func TestPinsThatCannotBeOpened(t *testing.T) {
	m := disk.New()
	fail := func(what string) {
		m.SetHook(func(op, name string) error {
			if op+" "+name == what {
				return &iofs.PathError{Op: op, Path: name, Err: syscall.EMFILE}
			}
			return nil
		})
	}
	fail("create /db/blob/pins")
	b := openMemBlob(t, m)
	_, err := m.Stat("/db/blob/pins")
	require.True(t, isNotExist(err))
	require.NoError(t, b.Close())
	m.SetHook(nil)

	b = openMemBlob(t, m)
	_, err = b.Set(t.Context(), "k", []byte("contents"))
	require.NoError(t, err)
	r, err := NewBlobReader("/db", withFileSystem(m))
	require.NoError(t, err)
	_, err = r.Pin(t.Context(), "k")
	require.NoError(t, err)
	require.NoError(t, b.Close())
	fail("openWrite /db/blob/pins")
	_, err = NewBlob("/db", withFileSystem(m))
	require.ErrorIs(t, err, syscall.EMFILE)
	m.SetHook(nil)
	b = openMemBlob(t, m)
	require.NoError(t, b.Delete(t.Context(), "k"))
	data, _, err := r.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "contents", string(data))

	// A location that was replaced has another file, whose locks the reader does not have:
	// it keeps what it pins open.
	require.NoError(t, m.Rename("/db/blob/pins", "/elsewhere"))
	require.NoError(t, b.Close())
	b = openMemBlob(t, m)
	_, err = b.Set(t.Context(), "later", []byte("contents"))
	require.NoError(t, err)
	_, err = r.Pin(t.Context(), "later")
	require.NoError(t, err)
	require.NoError(t, b.Delete(t.Context(), "later"))
	_, _, err = r.Get(t.Context(), "later")
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, b.Close())
}

// Keys that differ in their last number have neighbouring bytes, which take one place in
// the system's list of locks; those that share a byte are pinned until the last of them is
// released.
func TestBytesOfPins(t *testing.T) {
	// They are part of the format: docs/format-file.md.
	require.Equal(t, int64(4205666291662454791), pinByte("batch/7/x-5-7.parquet"))
	require.Equal(t, int64(4368781952808910848), pinByte("manifest/base"))
	require.Equal(t, pinByte("batch/7/x-5-0.parquet")+7, pinByte("batch/7/x-5-7.parquet"))
	require.NotEqual(t, pinByte("batch/7/x-5-0.parquet"), pinByte("batch/7/x-6-0.parquet"))
	require.NotEqual(t, pinByte("manifest/base"), pinByte("manifest/base0"))
	for _, key := range []string{"", "k", "9", "manifest/edit-18446744073709551615", "99999999999999999999999999"} {
		require.GreaterOrEqual(t, pinByte(key), int64(0), key)
	}

	m := disk.New()
	b := openMemBlob(t, m)
	r, err := NewBlobReader("/db", withFileSystem(m))
	require.NoError(t, err)
	keys := []string{"k1", fmt.Sprintf("k%d", 1+pinRun)}
	require.Equal(t, pinByte(keys[0]), pinByte(keys[1]))
	var releases []func()
	for _, key := range keys {
		_, err := b.Set(t.Context(), key, []byte(key))
		require.NoError(t, err)
		release, err := r.Pin(t.Context(), key)
		require.NoError(t, err)
		releases = append(releases, release)
	}
	_, err = r.Pin(t.Context(), fmt.Sprintf("k%d", 1+2*pinRun)) // is not there: its lock is given up
	require.ErrorIs(t, err, storage.ErrNotFound)
	releases[0]()
	require.NoError(t, b.Delete(t.Context(), keys[1]))
	data, _, err := r.Get(t.Context(), keys[1])
	require.NoError(t, err)
	require.Equal(t, keys[1], string(data))
	releases[1]()
	for range 2 {
		_, err := b.Set(t.Context(), "other", nil)
		require.NoError(t, err)
	}
	names, err := m.List("/db/blob/pinned")
	require.NoError(t, err)
	require.Empty(t, names)
	require.NoError(t, r.Close())
	require.NoError(t, b.Close())
}

// A full disk gets the room back of what is pinned no more.
func TestFullDiskSweepsPinned(t *testing.T) {
	m := disk.New()
	b := openMemBlob(t, m)
	r, err := NewBlobReader("/db", withFileSystem(m))
	require.NoError(t, err)
	for i := range 10 {
		key := fmt.Sprint("k", i)
		_, err := b.Set(t.Context(), key, make([]byte, 1000))
		require.NoError(t, err)
		_, err = r.Pin(t.Context(), key)
		require.NoError(t, err)
		require.NoError(t, b.Delete(t.Context(), key))
	}
	m.Capacity = m.Used() + 500
	_, err = b.Set(t.Context(), "large", make([]byte, 9000))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, r.Close())
	_, err = b.Set(t.Context(), "large", make([]byte, 9000))
	require.NoError(t, err)
	require.NoError(t, b.Close())
}
