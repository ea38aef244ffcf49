package part

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math/bits"
	"slices"
)

// rowRef points at a row of one of several runs. prefix decides most comparisons, so that
// the row itself is not touched.
type rowRef struct {
	prefix uint64
	run, i uint32
}

// sortedRefs yields the rows of unsorted runs in sorted order.
type sortedRefs struct {
	runs []Columns
	refs []rowRef

	block [64]Row // rows that are ready
	ready int     // how many of these rows are left
	ended int     // index behind the last of these rows
	touch byte    // depends on loads that only fill the cache, so that the compiler keeps them
}

// Sort returns the rows of runs that the filter admits, sorted. It holds 16 bytes for each
// row beside the runs, and 32 while it sorts.
func Sort(runs []Columns, filter TimeFilter) *sortedRefs {
	n := 0
	for i := range runs {
		n += runs[i].Len()
	}
	refs := make([]rowRef, 0, n)
	// Keys often begin with the same bytes, so the prefix is taken after these.
	skip := commonPrefix(runs)
	for run := range runs {
		c := &runs[run]
		for i := range c.Len() {
			if filter.Admits(c.Time(i)) {
				refs = append(refs, rowRef{keyPrefix(c.Key(i)[skip:]), uint32(run), uint32(i)})
			}
		}
	}
	return &sortedRefs{runs: runs, refs: sortRefs(refs, func(a, b rowRef) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		ca, cb := &runs[a.run], &runs[b.run]
		i, j := int(a.i), int(b.i)
		if c := bytes.Compare(ca.Key(i), cb.Key(j)); c != 0 {
			return c
		}
		if c := bytes.Compare(ca.Val(i), cb.Val(j)); c != 0 {
			return c
		}
		return cmp.Compare(ca.Time(i), cb.Time(j))
	})}
}

// commonPrefix returns the number of bytes with which all keys begin.
func commonPrefix(runs []Columns) int {
	var first []byte
	for run := range runs {
		c := &runs[run]
		for i := range c.Len() {
			key := c.Key(i)
			if first == nil {
				first = key
			}
			if !bytes.HasPrefix(key, first) {
				first = first[:sharedPrefix(first, key)]
			}
			if len(first) == 0 {
				return 0
			}
		}
	}
	return len(first)
}

// With at least leastToDistribute references, sorting begins with one pass that distributes
// them over buckets, by the highest bits in which their prefixes differ. If keys are spread
// evenly, a bucket fits a processor's nearest cache.
const (
	leastToDistribute = 1 << 11
	bucketBits        = 12
)

// sortRefs returns the references in order. It changes refs.
func sortRefs(refs []rowRef, compare func(a, b rowRef) int) []rowRef {
	if len(refs) < leastToDistribute {
		slices.SortFunc(refs, compare)
		return refs
	}
	least, most := refs[0].prefix, refs[0].prefix
	for i := range refs {
		least, most = min(least, refs[i].prefix), max(most, refs[i].prefix)
	}
	shift := max(0, bits.Len64(most-least)-bucketBits)
	var ends [1<<bucketBits + 1]int // of the bucket before
	for i := range refs {
		ends[(refs[i].prefix-least)>>shift+1]++
	}
	for i := range ends[1:] {
		ends[i+1] += ends[i]
	}
	sorted := make([]rowRef, len(refs))
	for i := range refs {
		at := &ends[(refs[i].prefix-least)>>shift]
		sorted[*at] = refs[i]
		*at++
	}
	from := 0
	for _, to := range ends[:1<<bucketBits] { // each has moved to its own end
		slices.SortFunc(sorted[from:to], compare)
		from = to
	}
	return sorted
}

// keyPrefix returns the first eight bytes of a key as a number that has the order of the
// keys. A shorter key is padded with zeros. Keys with equal prefixes must be compared in
// full.
func keyPrefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var p [8]byte
	copy(p[:], key)
	return binary.BigEndian.Uint64(p[:])
}

func (s *sortedRefs) next(context.Context) (Row, bool, error) {
	if s.ready == 0 && !s.locate() {
		return Row{}, false, nil
	}
	r := s.block[s.ended-s.ready]
	s.ready--
	return r, true, nil
}

// locate makes some rows ready. The rows lie anywhere in memory. It loads many at once,
// because loads that do not wait for one another are several times as fast as one row after
// the other.
func (s *sortedRefs) locate() bool {
	n := min(len(s.refs), len(s.block))
	for _, ref := range s.refs[:n] {
		c := &s.runs[ref.run]
		s.touch ^= c.buf[16*c.n+4*int(ref.i)]
	}
	for k, ref := range s.refs[:n] {
		c, i := &s.runs[ref.run], int(ref.i)
		s.block[k] = Row{c.Key(i), c.Val(i), c.Time(i), c.Diff(i)}
	}
	for k := range s.block[:n] {
		if r := &s.block[k]; len(r.Key) > 0 && len(r.Val) > 0 {
			s.touch ^= r.Key[0] ^ r.Val[0] ^ r.Val[len(r.Val)-1]
		}
	}
	s.refs = s.refs[n:]
	s.ready, s.ended = n, n
	return n > 0
}
