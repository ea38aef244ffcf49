package part

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/storage"
)

// manyBlobs is a store of blobs in memory.
type manyBlobs struct {
	storage.BlobReader
	blobs map[string][]byte
}

func (m *manyBlobs) Get(_ context.Context, key string) ([]byte, storage.Version, error) {
	data, ok := m.blobs[key]
	if !ok {
		return nil, "", storage.ErrNotFound
	}
	return bytes.Clone(data), "", nil
}

func (m *manyBlobs) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	data, _, err := m.Get(ctx, key)
	if err == nil && offset+length > int64(len(data)) {
		err = storage.ErrInvalidRange
	}
	if err != nil {
		return nil, err
	}
	return data[offset : offset+length], nil
}

// writeParts writes sorted rows as the parts of a batch.
func writeParts(t require.TestingT, cfg Config, rows []Row) (Written, *manyBlobs) {
	blobs := &manyBlobs{blobs: map[string][]byte{}}
	written, err := Write(context.Background(), Output{
		Config: cfg,
		Key:    func(i int) string { return fmt.Sprintf("batch/0/x-1-%d.parquet", i) },
		Set: func(_ context.Context, key string, data []byte) error {
			blobs.blobs[key] = bytes.Clone(data)
			return nil
		},
	}, []Source{&sliceSource{rows: rows}}, frontier.Antichain{})
	require.NoError(t, err)
	return written, blobs
}

// A read by keys gives what a read of everything gives for these keys, whatever the keys have
// in common, however long they are, however many rows have one, and however rows are cut into
// pages, row groups and parts.
func TestKeyedReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := bytes.Repeat([]byte{'p'}, rapid.SampledFrom([]int{0, 3, MaxSeparator - 1, MaxSeparator, MaxSeparator + 1, 200}).Draw(t, "shared"))
		key := rapid.Custom(func(t *rapid.T) string {
			k := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 0, 4).Draw(t, "key")
			if rapid.IntRange(0, 9).Draw(t, "bare") > 0 {
				k = append(bytes.Clone(prefix), k...)
			}
			return string(k)
		})
		var rows []Row
		for _, k := range rapid.SliceOfN(key, 1, 200).Draw(t, "keys") {
			n := rapid.SampledFrom([]int{1, 1, 1, 2, 30}).Draw(t, "rows of a key")
			for range n {
				rows = append(rows, Row{[]byte(k), fmt.Appendf(nil, "%04d", len(rows)), uint64(len(rows) % 7), 1})
			}
		}
		slices.SortFunc(rows, func(a, b Row) int { return compareRows(&a, &b) })
		cfg := Config{
			PartBytes:  rapid.SampledFrom([]int{200, 2000, 1 << 20}).Draw(t, "part"),
			LeastGroup: rapid.SampledFrom([]int{100, 400, 4000}).Draw(t, "group"),
			CacheBytes: rapid.SampledFrom([]int64{1, 10_000, -1}).Draw(t, "cache"),
		}
		written, blobs := writeParts(t, cfg, rows)
		if rapid.IntRange(0, 9).Draw(t, "old parts") == 0 {
			for i := range written.Parts {
				p := &written.Parts[i]
				p.First, p.Clean, p.Directory = nil, false, Region{}
			}
		}
		store, err := NewStore(blobs, cfg, testMetrics())
		require.NoError(t, err)
		for range 3 {
			fits := rapid.Bool().Draw(t, "fits")
			held := rapid.SampledFrom([]int{1, 500, math.MaxInt}).Draw(t, "held")
			var keys [][]byte
			for _, k := range rapid.SliceOf(key).Draw(t, "asked for") {
				keys = append(keys, []byte(k))
			}
			slices.SortFunc(keys, bytes.Compare)
			keys = slices.CompactFunc(keys, bytes.Equal)
			times := TimeFilter{frontier.At(uint64(rapid.IntRange(0, 3).Draw(t, "lower"))), frontier.At(uint64(rapid.IntRange(3, 7).Draw(t, "upper")))}
			var want []Row
			for _, r := range rows {
				if _, ok := slices.BinarySearchFunc(keys, r.Key, bytes.Compare); ok && times.Admits(r.Time) {
					want = append(want, r)
				}
			}
			keyed := store.NewKeyed(written.Parts, times, keys, fits)
			share([]Source{keyed}, held)
			requireSame(t, want, keyed)

			from, to := []byte(key.Draw(t, "from")), []byte(key.Draw(t, "to"))
			if rapid.IntRange(0, 4).Draw(t, "no end") == 0 {
				to = nil
			}
			want = nil
			for _, r := range rows {
				if bytes.Compare(r.Key, from) >= 0 && (to == nil || bytes.Compare(r.Key, to) < 0) && times.Admits(r.Time) {
					want = append(want, r)
				}
			}
			ranged := store.NewRanged(written.Parts, times, from, to, fits)
			share([]Source{ranged}, held)
			requireSame(t, want, ranged)
		}
	})
}

func requireSame(t require.TestingT, want []Row, source Source) {
	got, err := rowsOf(source)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, string(want[i].Key), string(got[i].Key))
		require.Equal(t, string(want[i].Val), string(got[i].Val))
		require.Equal(t, want[i].Time, got[i].Time)
	}
}

// rowsOf returns the rows of a source, up to the first error.
func rowsOf(source Source) (rows []Row, err error) {
	for {
		r, ok, err := source.next(context.Background())
		if err != nil || !ok {
			return rows, err
		}
		rows = append(rows, Row{bytes.Clone(r.Key), bytes.Clone(r.Val), r.Time, r.Diff})
	}
}

type sliceSource struct{ rows []Row }

func (s *sliceSource) next(context.Context) (Row, bool, error) {
	if len(s.rows) == 0 {
		return Row{}, false, nil
	}
	r := s.rows[0]
	s.rows = s.rows[1:]
	return r, true, nil
}
