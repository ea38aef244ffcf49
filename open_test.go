package tidemark_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// Every way to write a directory opens that one, for writing and for reading.
func TestOpenDirectories(t *testing.T) {
	parent := t.TempDir()
	for location, dir := range map[string]string{
		"shop.db":                  "shop.db",
		"./shop.db":                "shop.db",
		"a/b/shop.db":              "a/b/shop.db",
		"a/b:c":                    "a/b:c",
		"a/b://c":                  "a/b:/c",
		"./mem:shop":               "mem:shop",
		"./other:shop":             "other:shop",
		"100%25":                   "100%25",
		"what?x=1":                 "what?x=1",
		`C:\shop`:                  `C:\shop`, // of this name on Linux; nowhere a scheme
		"c:shop":                   "c:shop",
		"under_score:shop":         "under_score:shop",
		"9lives:shop":              "9lives:shop",
		"file:relative":            "relative",
		"file:a/b":                 "a/b",
		"file:./a:b":               "a:b",
		"FILE:upper":               "upper",
		"file:a%20b%3Fc%23d%25":    "a b?c#d%",
		"file://ROOT/abs/%20path":  "abs/ path",
		"file:ROOT/abs":            "abs",
		"file://localhostROOT/abs": "abs",
		"file://LOCALHOSTROOT/abs": "abs",
		"ROOT/abs":                 "abs",
	} {
		t.Run(location, func(t *testing.T) {
			ctx := t.Context()
			root, err := os.MkdirTemp(parent, "")
			require.NoError(t, err)
			t.Chdir(root)
			location := strings.Replace(location, "ROOT", filepath.ToSlash(root), 1)
			write(ctx, t, location, "apple")
			require.FileExists(t, filepath.Join(root, dir, "log", "LOCK"))
			require.Equal(t, []string{"apple"}, read(ctx, t, location))
		})
	}
}

// write opens a location, writes a key to its stream, and closes it.
func write(ctx context.Context, t *testing.T, location, key string) {
	t.Helper()
	db, err := tidemark.Open(ctx, location, persist.Config{})
	require.NoError(t, err)
	w, _, err := persist.CreateOrLoad(ctx, db, "stock", codec.String, codec.Unit)
	require.NoError(t, err)
	_, err = w.Write(ctx, []update{{Key: key, Diff: 1}}).Wait(ctx)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// read opens a location for reading and returns the keys of its stream.
func read(ctx context.Context, t *testing.T, location string) (keys []string) {
	t.Helper()
	db, err := tidemark.OpenRead(ctx, location, persist.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	r, err := persist.Load(ctx, db, "stock", codec.String, codec.Unit)
	require.NoError(t, err)
	snapshot, err := r.Snapshot(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, snapshot.Close()) }()
	for u, err := range snapshot.Consolidated(ctx) {
		require.NoError(t, err)
		keys = append(keys, u.Key)
	}
	return keys
}

// What a file URL names depends on the operating system, as far as drives go.
func TestDirectoryOfFileURL(t *testing.T) {
	for _, row := range []struct{ location, goos, want string }{
		{"file:///C:/data/shop", "windows", "C:/data/shop"},
		{"file:///c:", "windows", "c:"},
		{"file:/C:/data", "windows", "C:/data"},
		{"file:C:/data", "windows", "C:/data"},
		{"file:///data/shop", "windows", "/data/shop"},
		{"file:///C:/data/shop", "linux", "/C:/data/shop"},
	} {
		u, err := url.Parse(row.location)
		require.NoError(t, err)
		dir, err := tidemark.Directory(u, row.goos)
		require.NoError(t, err)
		require.Equal(t, filepath.FromSlash(row.want), dir, "%s on %s", row.location, row.goos)
	}
}

// What cannot be understood is refused by both functions, says why, and makes nothing.
func TestOpenRefusesLocations(t *testing.T) {
	for location, words := range map[string][]string{
		"":                                  {"empty"},
		"s3://bucket/shop":                  {`scheme "s3"`, "file, mem", "import", "./"},
		"s3://key:secret@bucket/shop?k=v":   {`scheme "s3"`},
		"shop:db":                           {`scheme "shop"`, "./"},
		"un_known://bucket/shop":            {`"un_known"`, "./"},
		"file:":                             {"names no directory"},
		"file://":                           {"names no directory"},
		"file://localhost":                  {"names no directory"},
		"file://relative/shop":              {`host, here "relative"`, "write file:shop.db "},
		"file://my%20dir/shop":              {"behind file:", "no host"},
		"file:shop\n":                       {"control character"},
		"mem:shop\x00":                      {"control character"},
		"file://anna:12/34secret@localhost": {"has a host:"},
		"file://anna:12#34secret@localhost": {"fragment:"},
		"file://anna:1?2secret@localhost":   {"parameters:"},
		"file:///shop?sync=no&Cache=1":      {`"Cache", "sync"`, "no parameters"},
		"file:shop?sync=no":                 {`"sync"`},
		"file:shop?a;b":                     {"parameters"},
		"file:shop#1":                       {`"#1"`, "%23"},
		"file://anna:secret@localhost/shop": {"no user"},
		"file:shop?":                        {"question mark", "%3F"},
		"file:shop?&":                       {"question mark", "%3F"},
		"mem:shop?":                         {"question mark", "%3F"},
		"file:shop#":                        {"%23"},
		"mem:shop#":                         {"%23"},
		"file:///%zz":                       {"file URL", "%25"},
		"file:a%zz":                         {"file URL", "%25"},
		"file://anna:secret%@localhost/":    {"file URL", "%25"},
		"file://anna:se/cret@localhost":     {"file URL", "%2F"},
		"file:shop?password=secret%zz":      {"parameters"},
		"file://[secret/shop":               {"file URL"},
		"mem:":                              {"names no place"},
		"mem:/shop":                         {"names no place", "mem:NAME"},
		"mem://shop":                        {"names no place", "mem:NAME"},
		"mem:shop?gaps=1":                   {`"gaps"`, "no parameters"},
		"mem:shop#1":                        {`"#1"`},
		"mem:%":                             {"mem URL"},
		"mem://my shop":                     {"mem:NAME"},
	} {
		t.Run(location, func(t *testing.T) {
			t.Chdir(t.TempDir())
			_, err := tidemark.Open(t.Context(), location, persist.Config{})
			_, readErr := tidemark.OpenRead(t.Context(), location, persist.Config{})
			for _, err := range []error{err, readErr} {
				require.ErrorIs(t, err, tidemark.ErrLocation)
				for _, part := range []string{"secret", "cret", ":se"} {
					require.NotContains(t, err.Error(), part)
				}
				for _, word := range words {
					require.ErrorContains(t, err, word)
				}
			}
			entries, err := os.ReadDir(".")
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
}

// A mem location is one place for each name. It keeps its data, and takes one writer.
func TestOpenMem(t *testing.T) {
	ctx, n := t.Context(), number.Add(1)
	one, escaped, other := fmt.Sprintf("mem:%d/a", n), fmt.Sprintf("mem:%d%%2Fa", n), fmt.Sprintf("mem:%d/A", n)
	write(ctx, t, one, "apple")
	write(ctx, t, escaped, "pear")
	write(ctx, t, other, "plum")
	require.Equal(t, []string{"apple", "pear"}, read(ctx, t, "MEM"+one[3:]))
	require.Equal(t, []string{"plum"}, read(ctx, t, other))

	db, err := tidemark.Open(ctx, one, persist.Config{})
	require.NoError(t, err)
	_, err = tidemark.Open(ctx, one, persist.Config{})
	require.ErrorIs(t, err, persist.ErrLocked)
	var locked *storage.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, one[4:], locked.Location)
	require.Contains(t, locked.Holder.Owner, "of this process")
	require.Equal(t, []string{"apple", "pear"}, read(ctx, t, one), "beside the writer")
	_, _, err = persist.CreateOrLoad(ctx, db, "new", codec.String, codec.Unit)
	require.NoError(t, err, "the writer was not fenced")
	require.NoError(t, db.Close())
	write(ctx, t, one, "quince")
}

// number makes names that no other test has, nor the same one when it runs again: what is
// registered, and what is in memory, stays until the process ends.
var number atomic.Int64

// The errors of an opening are those of the package that opens.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for _, location := range []string{dir, "file://" + filepath.ToSlash(dir), "mem:TestOpenErrors"} {
		_, err := tidemark.Open(t.Context(), location, persist.Config{PartBytes: -1})
		require.ErrorIs(t, err, persist.ErrInvalid, location)
		require.ErrorContains(t, err, "PartBytes")
		db, err := tidemark.Open(t.Context(), location, persist.Config{})
		require.NoError(t, err)
		_, err = tidemark.Open(t.Context(), location, persist.Config{})
		require.ErrorIs(t, err, persist.ErrLocked, location)
		require.NoError(t, db.Close())
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tidemark.Open(over, t.TempDir(), persist.Config{})
	require.ErrorIs(t, err, context.Canceled)
}

// bucket is an opener of another module: it keeps the URLs that it is given.
type bucket struct {
	mem *mem.MultiRegistry

	mu   sync.Mutex
	seen []string // guarded by mu
}

func (b *bucket) Open(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.Client, error) {
	b.saw("open " + location.String())
	return b.mem.Open(ctx, location.Path, "bucket", cfg)
}

func (b *bucket) OpenRead(ctx context.Context, location *url.URL, cfg persist.Config) (*persist.ReadClient, error) {
	b.saw("read " + location.String())
	return b.mem.OpenRead(ctx, location.Path, cfg)
}

func (b *bucket) saw(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, what)
}

// registeredBucket registers a bucket once, however often the tests are run.
var registeredBucket = sync.OnceValue(func() *bucket {
	b := &bucket{mem: mem.NewMultiRegistry()}
	tidemark.Register("test.bucket+1", b)
	return b
})

// A scheme that was registered opens its locations, and is named to those who look for
// another one.
func TestRegister(t *testing.T) {
	ctx, b := t.Context(), registeredBucket()
	b.seen = nil
	write(ctx, t, "Test.Bucket+1://anna@host:1/shop%20a?region=x", "apple")
	require.Equal(t, []string{"apple"}, read(ctx, t, "test.bucket+1:/shop%20a"))
	require.Equal(t, []string{
		"open test.bucket+1://anna@host:1/shop%20a?region=x",
		"read test.bucket+1:/shop%20a",
	}, b.seen)

	_, err := tidemark.Open(ctx, "test.other:shop", persist.Config{})
	require.ErrorIs(t, err, tidemark.ErrLocation)
	require.ErrorContains(t, err, "file, mem, scratch, test.bucket+1")
	_, err = tidemark.Open(ctx, "test.bucket+1://anna:se/cret@bucket", persist.Config{})
	require.ErrorIs(t, err, tidemark.ErrLocation)
	require.ErrorContains(t, err, "a port that is no number; write %40, %3A and %2F")
	require.NotContains(t, err.Error(), "cret")
}

func TestRegisterPanics(t *testing.T) {
	b := registeredBucket()
	for scheme, words := range map[string]string{
		"test.bucket+1": `"test.bucket+1": it is registered already`,
		"file":          `"file": it is registered already`,
		"mem":           `"mem": it is registered already`,
		"":              "two or more",
		"c":             "two or more",
		"S3":            "a-z",
		"3s":            "first a letter",
		"s3:":           "a-z",
		"s_3":           "a-z",
		"größe":         "a-z",
	} {
		t.Run(scheme, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), words) }()
			tidemark.Register(scheme, b)
		})
	}
	t.Run("nil", func(t *testing.T) {
		defer func() { require.Contains(t, fmt.Sprint(recover()), "nil") }()
		tidemark.Register("test.nil", nil)
	})
	_, err := tidemark.Open(t.Context(), "test.nil:shop", persist.Config{})
	require.ErrorIs(t, err, tidemark.ErrLocation, "it was not registered")
}

// Schemes may be registered while others open: the race detector watches.
func TestRegisterAndOpenAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		scheme := fmt.Sprintf("test.once%d", number.Add(1))
		all.Go(func() { tidemark.Register(scheme, &bucket{mem: mem.NewMultiRegistry()}) })
		for _, location := range []string{scheme + ":/shop", "mem:" + scheme} {
			all.Go(func() {
				db, err := tidemark.Open(t.Context(), location, persist.Config{})
				if err == nil {
					err = db.Close()
				} else if errors.Is(err, tidemark.ErrLocation) && location != "mem:"+scheme {
					err = nil // it was not registered yet
				}
				assert.NoError(t, err)
			})
		}
	}
	all.Wait()
}
