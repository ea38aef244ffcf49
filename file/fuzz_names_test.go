package file

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

// FuzzSegmentName: a file is a segment only under the one name that its index has.
func FuzzSegmentName(f *testing.F) {
	for _, index := range []uint64{1, 7, 9_999_999_999_999_999, 10_000_000_000_000_000, math.MaxUint64} {
		f.Add(segmentName(index), index)
	}
	for _, name := range []string{"", ".log", "1.log", "0000000000000000.log", "+000000000000001.log", "spare-0123456789abcdef", "tmp-1", "LOCK"} {
		f.Add(name, uint64(0))
	}
	f.Fuzz(func(t *testing.T, name string, index uint64) {
		if index > 0 {
			back, ok := segmentIndex(segmentName(index))
			require.True(t, ok)
			require.Equal(t, index, back)
		}
		got, ok := segmentIndex(name)
		require.Equal(t, ok, got > 0 && segmentName(got) == name, "%q is segment %d", name, got)
		indexes := segmentIndexes([]string{name, segmentName(3), "LOCK", segmentName(2)})
		require.True(t, slices.IsSorted(indexes))
		require.Equal(t, ok, len(indexes) == 3)
	})
}

// FuzzBlobName: keys and the paths of their files are two ways to say one thing.
func FuzzBlobName(f *testing.F) {
	for _, s := range []string{
		"s/1/t-5.parquet", "META", "manifest/base", "manifest/edit-00000000000000000042", ".hidden", "a.b", "%", "%2", "%2f", "%2F", "~", "a~/b",
		strings.Repeat("a", 300), strings.Repeat("\xff", 67), strings.Repeat("a", 200) + ".", strings.Repeat("a", 200) + "..b", strings.Repeat("a", 200) + "~/" + strings.Repeat("a", 100),
		strings.Repeat("a", storage.MaxKeySize), "../../etc/passwd", "a/../b", "con", "a\x00b", "\u00e9",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if key, ok := blobKey(s); ok {
			require.Equal(t, s, blobPath(key), "the path of %q", key)
			require.True(t, validKey(key))
		}
		if !validKey(s) {
			return
		}
		path := blobPath(s)
		key, ok := blobKey(path)
		require.True(t, ok, "%q is not the path of a key", path)
		require.Equal(t, s, key)
		// Every file system takes it, and it stays below the directory that it is in.
		require.True(t, filepath.IsLocal(path), path)
		for _, part := range strings.Split(path, string(filepath.Separator)) {
			require.LessOrEqual(t, len(part), maxNamePart+len(nameContinues))
			require.NotEmpty(t, part)
			require.NotEqual(t, byte('.'), part[0])
			require.Equal(t, strings.ToLower(part), part)
		}
	})
}

// A key has a file of its own also if a dot is where its name is cut.
func TestBlobNameAtACut(t *testing.T) {
	b, err := NewBlob(t.TempDir())
	require.NoError(t, err)
	want := map[string]string{}
	for _, dots := range []string{"", ".", "..", "...", ".hidden", "a."} {
		key := strings.Repeat("a", maxNamePart) + dots
		_, err := b.Set(t.Context(), key, []byte(key))
		require.NoError(t, err, "with %q", dots)
		want[key] = key
	}
	require.Equal(t, want, contents(t, b))
	require.NoError(t, b.Close())
}

// FuzzLockFile: whatever a LOCK file says, a location that is held is refused with
// what it says, as far as anybody would read, and a location that is free is opened.
func FuzzLockFile(f *testing.F) {
	f.Add([]byte{}, "owner", "details")
	f.Add([]byte("ingest\n(pid 7 on host since 2026-01-02T03:04:05Z)"), "ingest", "")
	f.Add([]byte("\n\n\n"), "", "\n")
	f.Add([]byte(strings.Repeat("x", 2*maxLockInfo)), strings.Repeat("y", 2*maxLockInfo), "z")
	f.Fuzz(func(t *testing.T, contents []byte, owner, details string) {
		m := disk.New()
		for _, dir := range []string{"/db", "/db/log"} {
			require.NoError(t, m.Mkdir(dir))
		}
		name := "/db/log/" + lockName
		lay(t, m, name, contents)
		unlock, err := m.Lock(name)
		require.NoError(t, err)
		_, err = takeLock(m, "/db/log", "/db", storage.LockInfo{Owner: "me"})
		var locked *storage.LockedError
		require.ErrorAs(t, err, &locked)
		require.NotEmpty(t, locked.Error())
		says := locked.Holder.Owner + "\n" + locked.Holder.Details
		seen := contents[:min(len(contents), maxLockInfo)]
		if strings.Contains(string(seen), "\n") {
			require.Equal(t, string(seen), says)
		} else {
			require.Equal(t, string(seen), locked.Holder.Owner)
		}

		// What the next owner writes replaces all of it, and is read back.
		require.NoError(t, unlock())
		info := storage.LockInfo{Owner: owner, Details: details}
		if err := checkLockInfo(info); strings.ContainsAny(owner, "\r\n") || len(owner)+len(details) >= maxLockInfo {
			require.Error(t, err)
			require.Less(t, len(err.Error()), maxLockInfo)
			return
		}
		l, err := takeLock(m, "/db/log", "/db", info)
		require.NoError(t, err)
		require.Equal(t, owner+"\n"+details, string(m.Edit(name)))
		_, err = takeLock(m, "/db/log", "/db", storage.LockInfo{Owner: "me"})
		require.ErrorAs(t, err, &locked)
		if len(owner)+1+len(details) <= maxLockInfo {
			require.Equal(t, storage.LockInfo{Owner: owner, Details: details}, locked.Holder)
		}
		require.NoError(t, l.restore())
		require.Equal(t, string(contents), string(m.Edit(name)))
		require.NoError(t, l.unlock())
	})
}
