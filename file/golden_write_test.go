package file_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

var writeGolden = flag.String("write-golden", "",
	"write golden stores of the format as it is now into this new directory of testdata/golden, such as v2")

// goldenConfig is a config without background work of its own accord.
func goldenConfig() persist.Config {
	return persist.Config{MinStepInterval: time.Hour, FlushInterval: -1, PartBytes: 512}
}

// goldenStore is how one golden store is made.
type goldenStore struct {
	name string
	make func(t *testing.T, dir string)
}

var goldenStores = []goldenStore{
	{"empty", func(t *testing.T, dir string) { goldenSession(t, dir, func(*persist.Client) {}) }},
	{"small", smallGolden},
	{"compacted", compactedGolden},
	{"crashed", crashedGolden},
	{"many", manyGolden},
	{"ended", endedGolden},
	{"keyed", keyedGolden},
	{"damaged-log", func(t *testing.T, dir string) {
		smallGolden(t, dir)
		flipGolden(t, filepath.Join(dir, "log", "0000000000000001.log"), 4096+32+8) // the first entry
	}},
	{"damaged-manifest", func(t *testing.T, dir string) {
		compactedGolden(t, dir)
		flipGolden(t, newestBlob(t, dir, "manifest*"), 60)
	}},
	{"damaged-part", func(t *testing.T, dir string) {
		compactedGolden(t, dir)
		flipGolden(t, newestBlob(t, dir, "batch%2f0*"), 60)
	}},
}

// TestWriteGolden writes the golden stores of a new format, if it is told to. It never
// writes over those of a released one.
func TestWriteGolden(t *testing.T) {
	if *writeGolden == "" {
		t.Skip("no -write-golden")
	}
	dir := filepath.Join(goldenDir, *writeGolden)
	require.NoError(t, os.MkdirAll(goldenDir, 0o755))
	require.NoError(t, os.Mkdir(dir, 0o755), "a released format does not change")
	for _, s := range goldenStores {
		store := filepath.Join(t.TempDir(), "store")
		s.make(t, store)
		archive := filepath.Join(dir, s.name+".tar.gz")
		require.NoError(t, os.WriteFile(archive, packGolden(t, store), 0o644))
		text := describeReading(t.Context(), unpackGolden(t, archive))
		require.NoError(t, os.WriteFile(filepath.Join(dir, s.name+".txt"), []byte(text), 0o644))
	}
	store := filepath.Join(t.TempDir(), "store")
	filesGolden(t, store)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "files.tar.gz"), packGolden(t, store), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, goldenSums), []byte(goldenSumsOf(t, dir)), 0o644))
}

// goldenSession opens a store, works on it and closes it.
func goldenSession(t *testing.T, dir string, work func(c *persist.Client)) {
	c, err := openGolden(t.Context(), dir)
	require.NoError(t, err)
	work(c)
	require.NoError(t, c.Close())
}

type goldenWriter = persist.WriteHandle[string, string]

func goldenStream(t *testing.T, c *persist.Client, name string) *goldenWriter {
	w, _, err := persist.CreateOrLoad(t.Context(), c, name, codec.String, codec.String)
	require.NoError(t, err)
	return w
}

func goldenDone[T any](t *testing.T, f *persist.Future[T]) {
	_, err := f.Wait(t.Context())
	require.NoError(t, err)
}

func goldenUpdate(key, val string, at uint64, diff int64) persist.Update[string, string] {
	return persist.Update[string, string]{Key: key, Val: val, Time: at, Diff: diff}
}

// smallGolden is a store that lives in its log alone: streams of several types, sealed
// and not, and one write over two of them.
func smallGolden(t *testing.T, dir string) {
	goldenSession(t, dir, func(c *persist.Client) {
		ctx := t.Context()
		orders := goldenStream(t, c, "orders")
		goldenDone(t, orders.Write(ctx, []persist.Update[string, string]{
			goldenUpdate("apple", "1", 3, 1), goldenUpdate("apple", "1", 5, -1), goldenUpdate("", "", 0, 7),
			goldenUpdate("pear\x00", "\u00e9", 1<<63, -math.MaxInt64), goldenUpdate("pear\x00", "\u00e9", 1<<63, -1),
		}))
		goldenDone(t, orders.Seal(ctx, 4))
		goldenDone(t, orders.AllowCompaction(ctx, frontier.At(2)))
		numbers, _, err := persist.CreateOrLoad(ctx, c, "numbers", codec.Int64, codec.Float64)
		require.NoError(t, err)
		type number = persist.Update[int64, float64]
		goldenDone(t, numbers.Write(ctx, []number{{Key: -1, Val: -0.5, Time: 1, Diff: 1}, {Key: 1, Val: 0.5, Time: 2, Diff: 2}, {Key: -1 << 63, Time: 9, Diff: 1}}))
		pairs, _, err := persist.CreateOrLoad(ctx, c, "pairs", codec.Pair(codec.String, codec.Time), codec.JSON[map[string]int]())
		require.NoError(t, err)
		type key = codec.Tuple[string, time.Time]
		both, err := persist.NewMultiWriteHandle(orders, pairs)
		require.NoError(t, err)
		goldenDone(t, both.WriteAtomic(ctx, func(b *persist.AtomicWrite) error {
			require.NoError(t, persist.AddWrite(b, orders, []persist.Update[string, string]{goldenUpdate("both", "x", 6, 1)}))
			require.NoError(t, persist.AddWrite(b, pairs, []persist.Update[key, map[string]int]{
				{Key: key{First: "both", Second: time.Unix(-1, 5)}, Val: map[string]int{"b": 2, "a": 1}, Time: 6, Diff: 1},
			}))
			return persist.AddSeal(b, pairs, 7)
		}))
	})
}

// compactedGolden has been through many rounds of maintenance: batches of several
// levels and parts, trace and unsealed, a since that has advanced, a log that was
// truncated and has gone on, and a stream aside that is never sealed.
func compactedGolden(t *testing.T, dir string) {
	ctx := t.Context()
	for round := range uint64(24) {
		goldenSession(t, dir, func(c *persist.Client) {
			w := goldenStream(t, c, "inventory")
			var updates []persist.Update[string, string]
			for i := range uint64(12) {
				updates = append(updates, goldenUpdate(fmt.Sprintf("item %02d", i*7%30), fmt.Sprint(i%3), 10*round+i%10, 1-2*int64(i%5/4)))
			}
			updates = append(updates, goldenUpdate("future", fmt.Sprint(round), 1000+round, 1))
			goldenDone(t, w.Write(ctx, updates))
			goldenDone(t, w.Seal(ctx, 10*round+10))
			aside := goldenStream(t, c, "aside")
			goldenDone(t, aside.Write(ctx, []persist.Update[string, string]{goldenUpdate("round", fmt.Sprint(round%2), round, 1)}))
			if round%6 == 5 {
				goldenDone(t, w.AllowCompaction(ctx, frontier.At(10*round-20)))
			}
			if round != 23 { // what the last round wrote is in the log alone
				require.NoError(t, c.Maintain(ctx))
			}
		})
	}
}

// crashedGolden is what a process leaves that is killed in the middle of everything: an
// append half written, files half made, a blob that no manifest names.
func crashedGolden(t *testing.T, dir string) {
	after := filepath.Join(t.TempDir(), "after")
	work := filepath.Join(t.TempDir(), "work")
	goldenSession(t, work, func(c *persist.Client) {
		ctx := t.Context()
		w := goldenStream(t, c, "survivor")
		for i := range uint64(5) {
			goldenDone(t, w.Write(ctx, []persist.Update[string, string]{goldenUpdate("key", fmt.Sprint(i), i, 1)}))
			goldenDone(t, w.Seal(ctx, i+1))
			if i == 2 {
				require.NoError(t, c.Maintain(ctx))
			}
		}
		require.NoError(t, os.CopyFS(dir, os.DirFS(work)))
		goldenDone(t, w.Write(ctx, []persist.Update[string, string]{goldenUpdate("torn", string(bytes.Repeat([]byte("x"), 3000)), 7, 1)}))
		require.NoError(t, os.CopyFS(after, os.DirFS(work)))
	})
	name := filepath.Join("log", "0000000000000001.log")
	have, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	next, err := os.ReadFile(filepath.Join(after, name))
	require.NoError(t, err)
	from := 0
	for have[from] == next[from] {
		from++
	}
	copy(have[from:from+1500], next[from:])
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), have, 0o600))
	for name, data := range map[string]string{
		"log/tmp-0123456789abcdef": "half a spare",
		"blob/tmp/1":               "half a blob",
		"blob/data/batch%2f0%2f00000000-0000-0000-0000-000000000000-9-0.parquet": "an orphan",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(data), 0o600))
	}
}

// manyGolden has a thousand streams, a few of them with batches, and so many edits of
// the manifest that there is a base, and an edit after it. Its log has several segments.
func manyGolden(t *testing.T, dir string) {
	goldenSession(t, dir, func(c *persist.Client) {
		ctx := t.Context()
		var all []persist.Stream
		var writers []*goldenWriter
		for i := range 1000 {
			w := goldenStream(t, c, fmt.Sprint(i))
			all, writers = append(all, w), append(writers, w)
			if i%100 == 0 {
				goldenDone(t, w.Write(ctx, []persist.Update[string, string]{goldenUpdate("batch", "", 1, 1)}))
			}
		}
		require.NoError(t, c.Maintain(ctx))
		multi, err := persist.NewMultiWriteHandle(all...)
		require.NoError(t, err)
		goldenDone(t, multi.WriteAtomic(ctx, func(b *persist.AtomicWrite) error {
			for i, w := range writers {
				if i%10 == 0 {
					require.NoError(t, persist.AddWrite(b, w, []persist.Update[string, string]{goldenUpdate("k", "", uint64(i), 1)}))
				}
			}
			return nil
		}))
		for round, more := uint64(0), 1; more >= 0; round++ {
			goldenDone(t, multi.SealAll(ctx, 2000+round))
			require.NoError(t, c.Maintain(ctx))
			if _, err := os.Stat(filepath.Join(dir, "blob", "data", "manifest%2fbase")); err == nil {
				more--
			}
			require.Less(t, round, uint64(10), "no base")
		}
		for upper := range uint64(4) { // together more than a segment
			goldenDone(t, multi.SealAll(ctx, 3000+upper))
		}
	})
}

// endedGolden has streams that were finished and destroyed, before and after their
// updates went to batches.
func endedGolden(t *testing.T, dir string) {
	goldenSession(t, dir, func(c *persist.Client) {
		ctx := t.Context()
		end := func(w *goldenWriter) {
			goldenDone(t, w.Write(ctx, []persist.Update[string, string]{goldenUpdate("last", "words", 3, 1)}))
			goldenDone(t, w.Finish(ctx))
		}
		end(goldenStream(t, c, "finished in a batch"))
		goldenDone(t, goldenStream(t, c, destroyedName).Write(ctx, []persist.Update[string, string]{goldenUpdate("gone", "", 1, 1)}))
		goldenDone(t, goldenStream(t, c, "alive").Write(ctx, []persist.Update[string, string]{goldenUpdate("here", "", 1, 1)}))
		require.NoError(t, c.Maintain(ctx))
		end(goldenStream(t, c, "finished in the log"))
		goldenDone(t, goldenStream(t, c, "finished empty").Finish(ctx))
		goldenDone(t, goldenStream(t, c, "destroyed in the log").Write(ctx, []persist.Update[string, string]{goldenUpdate("gone", "", 1, 1)}))
		for _, name := range []string{destroyedName, "destroyed in the log"} {
			_, err := c.Destroy(ctx, name)
			require.NoError(t, err)
		}
	})
}

// filesGolden is a log of two segments, the older one of which was truncated, and two
// blobs, written without an engine.
func filesGolden(t *testing.T, dir string) {
	ctx := context.Background()
	l, err := file.NewLog(dir, goldenLock, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
	require.NoError(t, err)
	large, want := goldenEntries()
	_, err = l.Append(ctx, 0, [][]byte{[]byte("gone"), large})
	require.NoError(t, err)
	_, err = l.Append(ctx, 2, [][]byte{want[0].Data, want[1].Data})
	require.NoError(t, err)
	_, err = l.Append(ctx, 4, [][]byte{want[2].Data})
	require.NoError(t, err)
	require.NoError(t, l.Truncate(ctx, 2))
	require.NoError(t, l.Close())
	b, err := file.NewBlob(dir, goldenLock)
	require.NoError(t, err)
	for _, blob := range goldenBlobs {
		_, err = b.Set(ctx, blob.key, []byte("contents of "+blob.key))
		require.NoError(t, err)
	}
	require.NoError(t, b.Close())
}

func flipGolden(t *testing.T, path string, offset int) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[offset] ^= 0x10
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// newestBlob returns the last blob file that matches, in order of names.
func newestBlob(t *testing.T, dir, pattern string) string {
	names, err := filepath.Glob(filepath.Join(dir, "blob", "data", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names, "no %s", pattern)
	return names[len(names)-1]
}
