package file_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// keyedGolden has a stream with batches of several parts, and parts of several pages and row
// groups, which have filters. Some keys have several values, and rows at many times; some are in
// both batches, and some in the log alone.
func keyedGolden(t *testing.T, dir string) {
	ctx := t.Context()
	cfg := goldenConfig()
	cfg.PartBytes = 150 << 10
	c, err := file.Open(ctx, dir, cfg, goldenLock, file.SegmentSize(file.MinSegmentSize, file.MinSegmentSize))
	require.NoError(t, err)
	w := goldenStream(t, c, "library")
	value := func(i int) string {
		return string(bytes.Repeat(fmt.Appendf(nil, "page %d of the book. ", i), 1000/20))
	}
	write := func(from, to, step int, at uint64) {
		var updates []persist.Update[string, string]
		for i := from; i < to; i += step {
			updates = append(updates, goldenUpdate(fmt.Sprintf("book %04d", i), value(i), at, 1))
			if i%7 == 0 {
				updates = append(updates, goldenUpdate(fmt.Sprintf("book %04d", i), "lent", at, 2))
			}
			if len(updates) >= 20 || i+step >= to {
				goldenDone(t, w.Write(ctx, updates))
				updates = nil
			}
		}
	}
	write(0, 800, 4, 1)
	// A key with more rows than a page has, and two that differ behind what a separator takes.
	var updates []persist.Update[string, string]
	for i := range 30 {
		updates = append(updates, goldenUpdate("book 0400", fmt.Sprintf("%02d %s", i, value(i)), 1, 1))
	}
	long := string(bytes.Repeat([]byte("book 0500 "), 20))
	updates = append(updates, goldenUpdate(long+"a", "a", 1, 1), goldenUpdate(long+"b", "b", 1, 1))
	goldenDone(t, w.Write(ctx, updates))
	goldenDone(t, w.Seal(ctx, 2))
	require.NoError(t, c.Maintain(ctx))
	write(2, 800, 8, 2)
	goldenDone(t, w.Write(ctx, []persist.Update[string, string]{
		goldenUpdate("book 0000", value(0), 2, -1), goldenUpdate("book 0008", "lent", 2, 1), goldenUpdate("later", "", 9, 1),
	}))
	goldenDone(t, w.Seal(ctx, 3))
	require.NoError(t, c.Maintain(ctx))
	goldenDone(t, w.Write(ctx, []persist.Update[string, string]{
		goldenUpdate("book 0004", value(4), 3, -1), goldenUpdate("book 0005", "new", 3, 1), goldenUpdate("", "nameless", 3, 1),
	}))
	goldenDone(t, w.AllowCompaction(ctx, frontier.At(1)))
	require.NoError(t, c.Close())
	parts, err := filepath.Glob(filepath.Join(dir, "blob", "data", "batch*"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(parts), 4)
}

// requireReadByKeys requires that reads by key of each stream give what a read of everything
// gives of these keys, and that they find the same damage. It returns how many there were.
func requireReadByKeys(t *testing.T, c lister, load func(name, keys, vals string) (*rawReader, error)) (reads int) {
	ctx := t.Context()
	streams, err := c.Streams(ctx)
	require.NoError(t, err)
	for _, s := range streams {
		read, err := load(s.Name, s.KeyCodec, s.ValCodec)
		if err != nil {
			continue // described elsewhere
		}
		snapshot, err := read.Snapshot(ctx)
		require.NoError(t, err)
		times := []uint64{math.MaxUint64}
		if since, ok := snapshot.Since().Elem(); ok {
			times = append(times, since, since+1)
		}
		for _, at := range times {
			reads += requireViewReadsByKeys(t, snapshot, snapshot.At(at))
		}
		require.NoError(t, snapshot.Close())
	}
	return reads
}

type rawUpdate = persist.Update[[]byte, []byte]

func requireViewReadsByKeys(t *testing.T, s *persist.Snapshot[[]byte, []byte], v *persist.View[[]byte, []byte]) (reads int) {
	ctx := t.Context()
	all, whole := collectRaw(s.AsOf(ctx, v.Time()))
	if whole != nil {
		_, err := collectRaw(v.Prefix(ctx, nil))
		var of, found *storage.CorruptError
		require.ErrorAs(t, whole, &of)
		require.ErrorAs(t, err, &found)
		require.Equal(t, of.Where, found.Where)
		return 1
	}
	require1 := func(what string, seq iter.Seq2[rawUpdate, error], keep func(key []byte) bool) {
		reads++
		var want []rawUpdate
		for _, u := range all {
			if keep(u.Key) {
				want = append(want, u)
			}
		}
		got, err := collectRaw(seq)
		require.NoError(t, err, what)
		require.Equal(t, want, got, "%s at time %d", what, v.Time())
	}
	var keys [][]byte
	add := func(key []byte) { keys = append(keys, key, append(bytes.Clone(key), 0)) }
	add(nil)
	for i := 0; i < len(all); i += 1 + len(all)/12 {
		add(all[i].Key)
	}
	if len(all) > 0 {
		add(all[len(all)-1].Key)
	}
	slices.SortFunc(keys, bytes.Compare)
	for i, key := range keys {
		require1(fmt.Sprintf("get %q", key), v.Get(ctx, key), func(k []byte) bool { return bytes.Equal(k, key) })
		to := keys[len(keys)-1-i]
		require1(fmt.Sprintf("range %q to %q", key, to), v.Range(ctx, key, to), func(k []byte) bool {
			return bytes.Compare(key, k) <= 0 && bytes.Compare(k, to) < 0
		})
		prefix := key[:len(key)/2]
		require1(fmt.Sprintf("prefix %q", prefix), v.Prefix(ctx, prefix), func(k []byte) bool { return bytes.HasPrefix(k, prefix) })
	}
	require1("lookup", v.Lookup(ctx, slices.Values(keys)), func(k []byte) bool {
		_, ok := slices.BinarySearchFunc(keys, k, bytes.Compare)
		return ok
	})
	return reads
}

func collectRaw(seq iter.Seq2[rawUpdate, error]) (updates []rawUpdate, err error) {
	for u, err := range seq {
		if err != nil {
			return updates, err
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// requireStoreReadsByKeys opens a store for reading, and reads it by keys.
func requireStoreReadsByKeys(t *testing.T, dir string) int {
	c, err := file.OpenRead(t.Context(), dir, goldenConfig())
	if err != nil {
		return 0 // described elsewhere
	}
	defer c.Close()
	return requireReadByKeys(t, c, func(name, keys, vals string) (*rawReader, error) {
		return persist.Load(context.Background(), c, name, rawCodec(keys), rawCodec(vals))
	})
}
