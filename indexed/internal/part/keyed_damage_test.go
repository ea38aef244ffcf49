package part

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/storage"
)

// keyRead is a read by key of a batch, and what it gives of the whole batch.
type keyRead struct {
	name string
	do   func(s *Store, parts []Part) Source
	want []Row
}

// keyReads are reads of single keys, of many and of ranges: of keys that are there, and of
// some before, between and behind them.
func keyReads(t require.TestingT, w Written, blobs storage.BlobReader) (reads []keyRead) {
	add := func(name string, do func(s *Store, parts []Part) Source) {
		want, err := rowsOf(do(uncachedStore(t, blobs), w.Parts))
		require.NoError(t, err)
		reads = append(reads, keyRead{name, do, want})
	}
	lookup := func(name string, keys ...[]byte) {
		fits := len(reads)%2 == 0
		add(name, func(s *Store, parts []Part) Source { return s.NewKeyed(parts, AllTimes, keys, fits) })
	}
	ranged := func(name string, from, to []byte) {
		fits := len(reads)%2 == 0
		add(name, func(s *Store, parts []Part) Source { return s.NewRanged(parts, AllTimes, from, to, fits) })
	}
	ranged("everything", nil, nil)
	var keys [][]byte
	for _, r := range reads[0].want {
		if len(keys) == 0 || !bytes.Equal(keys[len(keys)-1], r.Key) {
			keys = append(keys, r.Key)
		}
	}
	absent := func(i int) []byte { return append(bytes.Clone(keys[i]), 0) }
	last := len(keys) - 1
	lookup("all keys", keys...)
	lookup("a key before all", keys[0][:len(keys[0])-1])
	lookup("a key behind all", absent(last))
	var others [][]byte
	for i := range keys {
		others = append(others, absent(i))
	}
	lookup("no key of many", others...)
	for _, i := range []int{0, last / 3, last} {
		lookup(fmt.Sprintf("key %d", i), keys[i])
		lookup(fmt.Sprintf("no key behind key %d", i), absent(i))
	}
	ranged("the middle", keys[last/3], keys[2*last/3])
	ranged("the end", absent(2*last/3), nil)
	return reads
}

func sameRow(a, b Row) bool { return compareRows(&a, &b) == 0 && a.Diff == b.Diff }

// openable is a store that can open its blobs.
type openable struct{ *manyBlobs }

type openedBlob struct {
	of  openable
	key string
}

func (o openable) Open(ctx context.Context, key string) (storage.OpenBlob, error) {
	_, _, err := o.Get(ctx, key)
	return openedBlob{o, key}, err
}

func (b openedBlob) ReadRange(ctx context.Context, p []byte, offset int64) error {
	data, err := b.of.GetRange(ctx, b.key, offset, int64(len(p)))
	copy(p, data)
	return err
}

func (b openedBlob) Size() int64 { return int64(len(b.of.blobs[b.key])) }

func (openedBlob) Close() error { return nil }

// uncachedStore reads blobs through a cache that holds nothing.
func uncachedStore(t require.TestingT, blobs storage.BlobReader) *Store {
	s, err := NewStore(blobs, Config{CacheBytes: 1, PartBytes: 4 << 20, LeastGroup: 400}, testMetrics())
	require.NoError(t, err)
	return s
}

// usedBytes says of each byte of a part whether reads by key use it: those of pages, of indexes
// of row groups with their filters, and of the directory.
func usedBytes(t testing.TB, data []byte, p *Part) (used, ofFilters []bool) {
	used, ofFilters = make([]bool, len(data)), make([]bool, len(data))
	mark := func(of []bool, at int64, length int) {
		for i := range length {
			of[at+int64(i)] = true
		}
	}
	d, err := decodeDirectory(data[p.Directory.At:][:p.Directory.Len], p)
	require.NoError(t, err)
	mark(used, p.Directory.At, p.Directory.Len)
	for g := range d.groups {
		at := d.groups[g].index
		x, err := decodeGroupIndex(data[at.At:][:at.Len], p, d, g)
		require.NoError(t, err)
		mark(used, at.At, at.Len)
		mark(ofFilters, at.At+int64(at.Len-len(x.filter)), len(x.filter))
		for i := range x.pages {
			for _, c := range x.pages[i].columns {
				mark(used, c.at, c.len)
			}
		}
	}
	return used, ofFilters
}

// A bit of a part that changes is reported by the reads by key that use it, with the name of
// the file, and has no effect on the others. The same holds for a part that is cut, and for
// one that is gone.
func TestKeyedReadsOfDamagedParts(t *testing.T) {
	every, seed := proof.Pick(31, 13, 1), proof.Seed(t)
	damaged, reported := 0, 0
	batches, files := sampleBatches(t)
	ofFiltersReported := 0
	for n, w := range batches {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		reads := keyReads(t, w, files[n])
		blobs := &manyBlobs{blobs: maps.Clone(files[n].blobs)}
		// judge reads a damaged batch in all ways, and says which of them have found it.
		judge := func(key, what string) (found map[string]bool) {
			damaged++
			found = map[string]bool{}
			store := uncachedStore(t, blobs)
			if damaged%2 == 0 {
				store = uncachedStore(t, openable{blobs})
			}
			for _, r := range reads {
				got, err := rowsOf(r.do(store, w.Parts))
				if err == nil {
					require.True(t, slices.EqualFunc(got, r.want, sameRow), "%s, and %s of batch %d: %v", what, r.name, n, got)
					continue
				}
				var corrupt *storage.CorruptError
				require.ErrorAs(t, err, &corrupt, "%s, and %s of batch %d", what, r.name, n)
				require.Equal(t, key, corrupt.Where)
				require.LessOrEqual(t, len(got), len(r.want))
				require.True(t, slices.EqualFunc(got, r.want[:len(got)], sameRow), "rows before the damage")
				found[r.name] = true
			}
			reported += min(len(found), 1)
			return found
		}
		for i := range w.Parts {
			p := &w.Parts[i]
			data := files[n].blobs[p.Key]
			used, ofFilters := usedBytes(t, data, p)
			for at := rng.IntN(every); at < len(data); at += every {
				flipped := bytes.Clone(data)
				flipped[at] ^= 1 << rng.IntN(8)
				blobs.blobs[p.Key] = flipped
				found := judge(p.Key, fmt.Sprintf("%s with a flipped bit at %d", p.Key, at))
				require.Equal(t, used[at], found["everything"], "byte %d of %s", at, p.Key)
				if len(found) > 0 {
					require.True(t, used[at], "byte %d of %s", at, p.Key)
					ofFiltersReported += asIndex(ofFilters[at])
				}
			}
			for size := rng.IntN(every); size < len(data); size += every {
				blobs.blobs[p.Key] = data[:size]
				found := judge(p.Key, fmt.Sprintf("%s cut to %d bytes", p.Key, size))
				require.Equal(t, size < len(data) && slices.Contains(used[size:], true), found["everything"])
			}
			delete(blobs.blobs, p.Key)
			require.True(t, judge(p.Key, p.Key+" gone")["everything"])
			blobs.blobs[p.Key] = data
		}
		require.Empty(t, judge("", "nothing"))
	}
	require.Greater(t, ofFiltersReported, 5)
	require.Greater(t, reported, damaged/3)
	proof.Reached(t, 3, "parts damaged, and read by key", damaged)
}
