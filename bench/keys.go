package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// openKeyed opens the store of a job for reads by keys. No record is in the cache of the
// store, but the file system has all files in memory.
func (j job) openKeyed(cacheBytes int64) (keyed, error) {
	s, err := systemNamed(j.System)
	if err != nil {
		return nil, err
	}
	if s.openKeyed == nil {
		return nil, fmt.Errorf("%s is not read by keys", j.System)
	}
	if err := readTree(j.Dir); err != nil {
		return nil, err
	}
	return s.openKeyed(j.Dir, cacheBytes)
}

// readTree reads all files below a directory.
func readTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		_, err = io.Copy(io.Discard, f)
		return err
	})
}

// order is some records of the input in the order of their keys.
type order struct {
	keys [][]byte
	sums []uint64 // sums of the digests of the records before each key, and of all records
}

// orderOf returns the records with these numbers in order.
func orderOf(numbers []uint64) order {
	type entry struct {
		key [keySize]byte
		sum uint64
	}
	entries := make([]entry, len(numbers))
	var r record
	for i, n := range numbers {
		r.fill(n)
		var d digest
		d.add(r.key[:], r.val[:])
		entries[i] = entry{r.key, d.sum}
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key[:], b.key[:]) })
	o := order{keys: make([][]byte, len(entries)), sums: make([]uint64, len(entries)+1)}
	for i := range entries {
		o.keys[i] = entries[i].key[:]
		o.sums[i+1] = o.sums[i] + entries[i].sum
	}
	return o
}

// digest is that of the records from..end.
func (o *order) digest(from, end int) digest {
	return digest{uint64(end - from), o.sums[end] - o.sums[from]}
}

// firstNumbers returns the numbers of the first n records.
func firstNumbers(n uint64) []uint64 {
	numbers := make([]uint64, n)
	for i := range numbers {
		numbers[i] = uint64(i)
	}
	return numbers
}

// someNumbers returns the numbers of k of the first n records, each once.
func someNumbers(rng *rand.Rand, n, k uint64) []uint64 {
	seen := make(map[uint64]struct{}, k)
	numbers := make([]uint64, 0, k)
	for uint64(len(numbers)) < k {
		i := rng.Uint64N(n)
		if _, ok := seen[i]; !ok {
			seen[i] = struct{}{}
			numbers = append(numbers, i)
		}
	}
	return numbers
}
