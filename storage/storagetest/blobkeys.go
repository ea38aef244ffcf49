package storagetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// oddKeys are keys that cause trouble in stores which map keys to file names, URLs or
// patterns. All of them are different blobs and may exist together.
func oddKeys() []string {
	keys := []string{
		"a", "A", "ab", "aB", "a/b", "a/b/c", "a/", "/a", "//", "/", "a//b", "a/./b", "./a", "a\\b",
		".", "..", "...", "../a", "../../../../etc/passwd", "a/..", "/etc/passwd", ".hidden", "a.", "a..",
		" ", "  ", " a", "a ", "a b", "\t", "\n", "a\nb", "\r\n", "\x00", "a\x00b", "a\x00",
		"é", "e\u0301", "日本語", "🌊", "\u202e", "\xff", "\xc3\x28", "a\xff", "\x7f", "ß", "SS", "ı",
		"%", "%2F", "a%2Fb", "%00", "a+b", "a=b", "a=", "=", "-", "--help", "~", "~a", "$HOME", "*", "?", "[a]", "a*",
		"\"", "'", "`", "<", ">", "|", ":", ";", "&", "#", "!", "@", "^", "{}", "()", "a:b", "C:\\a",
		"LOCK", "lock", "LOCK.tmp", "a.tmp", "a.tmp.1", ".tmp", "tmp", "tmp/a", "tmp-1", "META", "MANIFEST", "CURRENT",
		"CON", "nul", "NUL.txt", "aux", "COM1", "log", "blob", "blobs", "lost+found", ".DS_Store", "Thumbs.db",
	}
	for _, size := range []int{100, 127, 128, 170, 200, 254, 255, 256, 257, 300, storage.MaxKeySize - 1, storage.MaxKeySize} {
		keys = append(keys, strings.Repeat("k", size), strings.Repeat("/", size), strings.Repeat("\xff", size))
	}
	// Long keys that differ only at the end, or only by case.
	long := strings.Repeat("x", storage.MaxKeySize-1)
	return append(keys, long+"1", long+"2", strings.Repeat("X", storage.MaxKeySize-1)+"1", strings.Repeat("é", storage.MaxKeySize/2))
}

func testBlobOddKeys(t testing.TB, open Blobs) {
	path := newPath("blob")
	blob := open.mustOpen(t, path, alice)
	want := map[string][]byte{}
	for i, key := range oddKeys() {
		requireAbsent(t, blob, key)
		value := fmt.Appendf(nil, "%d %s", i, key)
		_, err := blob.SetIf(t.Context(), key, value, storage.NoVersion)
		require.NoError(t, err, "set %q", key)
		require.NotContains(t, want, key, "the suite's own list")
		want[key] = value
	}
	requireStore(t, blob, want)
	if open.OpenReader != nil {
		requireStore(t, open.mustOpenReader(t, path), want)
	}
	require.NoError(t, blob.Close())
	blob = open.mustOpen(t, path, alice)
	requireStore(t, blob, want)

	// Each one can be deleted without another one.
	for i, key := range oddKeys() {
		if i%2 == 0 {
			require.NoError(t, blob.Delete(t.Context(), key), "delete %q", key)
			delete(want, key)
			requireAbsent(t, blob, key)
		}
	}
	requireStore(t, blob, want)
}

func testBlobInvalidKeys(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	for _, key := range []string{"", strings.Repeat("k", storage.MaxKeySize+1), strings.Repeat("k", 1<<16)} {
		_, err := blob.Set(t.Context(), key, []byte("x"))
		require.ErrorIs(t, err, storage.ErrInvalidKey, "set a key of %d bytes", len(key))
		_, err = blob.SetIf(t.Context(), key, []byte("x"), storage.NoVersion)
		require.ErrorIs(t, err, storage.ErrInvalidKey, "set a key of %d bytes", len(key))
		_, _, err = blob.Get(t.Context(), key)
		require.True(t, isOneOf(err, storage.ErrNotFound, storage.ErrInvalidKey), "get a key of %d bytes: %v", len(key), err)
		_, err = blob.GetRange(t.Context(), key, 0, 0)
		require.True(t, isOneOf(err, storage.ErrNotFound, storage.ErrInvalidKey), "get a key of %d bytes: %v", len(key), err)
		err = blob.Delete(t.Context(), key)
		require.True(t, err == nil || isOneOf(err, storage.ErrInvalidKey), "delete a key of %d bytes: %v", len(key), err)
	}
	requireStore(t, blob, nil)
	// A prefix may be longer than any key. Then no key begins with it.
	require.Empty(t, list(t, blob, strings.Repeat("k", storage.MaxKeySize+1)))
}

func testBlobList(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	keys := []string{"a", "a/", "a/b", "a/b/c", "a0", "aa", "b", "b/c", "\xff", "\xff\xff", "é", "ê"}
	for i, key := range keys {
		set(t, blob, key, pattern(i))
	}
	for _, prefix := range append([]string{"", "a/b/", "a/b/c/d", "c", "\xc3", "/", "A", "a//", "%", "."}, keys...) {
		want := map[string]int64{}
		for i, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want[key] = int64(i)
			}
		}
		got := map[string]int64{}
		for _, info := range list(t, blob, prefix) {
			got[info.Key] = info.Size
		}
		require.Equal(t, want, got, "list %q", prefix)
	}

	// A sequence can be stopped early, and run twice.
	infos := blob.List(t.Context(), "a")
	for range 2 {
		var got []string
		for info, err := range infos {
			require.NoError(t, err)
			got = append(got, info.Key)
			if len(got) == 3 {
				break
			}
		}
		require.Equal(t, []string{"a", "a/", "a/b"}, got)
	}
}

// A store that lists in pages of a reasonable size needs several pages for these keys.
func testBlobListMany(t testing.TB, open Blobs) {
	blob := open.mustOpen(t, newPath("blob"), alice)
	want := map[string][]byte{}
	for i := range 250 {
		key := fmt.Sprintf("%c/%d", 'a'+i%3, i)
		value := []byte(key)[:i%3]
		_, err := blob.Set(t.Context(), key, value)
		require.NoError(t, err)
		want[key] = value
	}
	requireStore(t, blob, want)
	require.Len(t, list(t, blob, "b/"), 83)
}

// Each blob that nobody touches during a List is seen exactly once.
func testBlobListWhileChanging(t testing.TB, open Blobs) {
	const n = 60
	key := func(i int, what string) string { return fmt.Sprintf("%02d-%s", i, what) }
	for _, change := range []struct {
		name string
		do   func(blob storage.Blob, seen int) error
	}{
		{"delete behind", func(blob storage.Blob, seen int) error {
			return blob.Delete(t.Context(), key(max(seen/2-1, 0), "goes"))
		}},
		{"delete ahead", func(blob storage.Blob, seen int) error {
			return blob.Delete(t.Context(), key(min(seen+1, n), "goes"))
		}},
		{"insert behind", func(blob storage.Blob, seen int) error {
			_, err := blob.Set(t.Context(), fmt.Sprintf("!%d", seen), []byte("x"))
			return err
		}},
		{"insert ahead", func(blob storage.Blob, seen int) error {
			_, err := blob.Set(t.Context(), key(min(seen+1, n), "new"), []byte("x"))
			return err
		}},
		{"overwrite", func(blob storage.Blob, seen int) error {
			_, err := blob.Set(t.Context(), key(seen%n, "goes"), []byte("longer"))
			return err
		}},
	} {
		blob := open.mustOpen(t, newPath("blob"), alice)
		for i := range n {
			for _, what := range []string{"stays", "goes"} {
				_, err := blob.Set(t.Context(), key(i, what), []byte("x"))
				require.NoError(t, err)
			}
		}
		var last string
		stays, seen := 0, 0
		for info, err := range blob.List(t.Context(), "") {
			require.NoError(t, err)
			require.Greater(t, info.Key, last, "%s: in order, each once", change.name)
			last = info.Key
			if strings.HasSuffix(info.Key, "-stays") {
				stays++
			}
			require.NoError(t, change.do(blob, seen))
			seen++
			require.Less(t, seen, 10*n, "%s: an endless list", change.name)
		}
		require.Equal(t, n, stays, "%s: blobs that nobody touched", change.name)
	}
}
