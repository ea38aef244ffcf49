package indexed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/tidemark-go/tidemark/frontier"
)

// row is one update; key and val refer to the columns they came from.
type row struct {
	key, val []byte
	time     uint64
	diff     int64
}

func compareRows(a, b *row) int {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c
	}
	if c := bytes.Compare(a.val, b.val); c != 0 {
		return c
	}
	return cmp.Compare(a.time, b.time)
}

// rowSource yields rows in ascending order of (key, val, time).
type rowSource interface {
	// next returns the next row, or false at the end. The row stays valid until the
	// source is no longer used.
	next(ctx context.Context) (row, bool, error)
}

// consolidate merges sorted sources into one sequence sorted by (key, val, time),
// with times advanced to since, the diffs of equal rows added up and zeros left
// out. It holds one row of each source, so memory is bounded by what the sources
// hold, which batches share.
//
// INVARIANT: advancing is monotone, so a source that is sorted by time within a
// (key, val) still is after its times are advanced, and no second sort is needed.
func consolidate(ctx context.Context, sources []rowSource, since frontier.Antichain) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		share(sources)
		h := make(rowHeap, 0, len(sources))
		for _, s := range sources {
			r, ok, err := s.next(ctx)
			if err != nil {
				yield(row{}, err)
				return
			}
			if ok {
				r.time = since.Advance(r.time)
				h = append(h, heapItem{r, s})
			}
		}
		h.init()

		var acc row
		have := false
		for len(h) > 0 {
			top := &h[0]
			if have && compareRows(&acc, &top.row) == 0 {
				acc.diff += top.row.diff
			} else {
				if have && acc.diff != 0 && !yield(acc, nil) {
					return
				}
				acc, have = top.row, true
			}
			r, ok, err := top.source.next(ctx)
			if err != nil {
				yield(row{}, err)
				return
			}
			if ok {
				r.time = since.Advance(r.time)
				top.row = r
				h.down(0)
			} else {
				h[0] = h[len(h)-1]
				h[len(h)-1] = heapItem{}
				h = h[:len(h)-1]
				h.down(0)
			}
		}
		if have && acc.diff != 0 {
			yield(acc, nil)
		}
	}
}

type heapItem struct {
	row    row
	source rowSource
}

// rowHeap is a binary min-heap of rows. It is written out because the standard
// container/heap costs an interface call per comparison in the innermost loop of
// every merge.
type rowHeap []heapItem

func (h rowHeap) init() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h rowHeap) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if r := c + 1; r < len(h) && compareRows(&h[r].row, &h[c].row) < 0 {
			c = r
		}
		if compareRows(&h[i].row, &h[c].row) <= 0 {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// timeFilter admits the times in [lower, upper).
type timeFilter struct{ lower, upper frontier.Antichain }

var allTimes = timeFilter{upper: frontier.Empty()}

func (f timeFilter) admits(t uint64) bool { return f.lower.Admits(t) && !f.upper.Admits(t) }

// sortedColumns yields the rows of one run of columns that is already sorted.
type sortedColumns struct {
	cols   Columns
	filter timeFilter
	i      int
}

func (s *sortedColumns) next(context.Context) (row, bool, error) {
	for s.i < s.cols.Len() {
		i := s.i
		s.i++
		if t := s.cols.Time(i); s.filter.admits(t) {
			return row{s.cols.Key(i), s.cols.Val(i), t, s.cols.Diff(i)}, true, nil
		}
	}
	return row{}, false, nil
}

// rowRef points at a row of one of several runs; prefix decides most comparisons
// without touching the row.
type rowRef struct {
	prefix uint64
	run, i uint32
}

// sortedRefs yields the rows of unsorted runs in sorted order.
type sortedRefs struct {
	runs []Columns
	refs []rowRef
}

// sortRuns sorts the rows of runs that the filter admits. It holds 16 bytes a row
// beside the runs.
func sortRuns(runs []Columns, filter timeFilter) *sortedRefs {
	n := 0
	for i := range runs {
		n += runs[i].Len()
	}
	s := &sortedRefs{runs: runs, refs: make([]rowRef, 0, n)}
	for run := range runs {
		c := &runs[run]
		for i := range c.Len() {
			if filter.admits(c.Time(i)) {
				s.refs = append(s.refs, rowRef{keyPrefix(c.Key(i)), uint32(run), uint32(i)})
			}
		}
	}
	slices.SortFunc(s.refs, func(a, b rowRef) int {
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
	})
	return s
}

// keyPrefix returns the first eight bytes of the key as a number that orders as
// keys do: a shorter key is padded with zeros, and equal prefixes are compared in
// full.
func keyPrefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var p [8]byte
	copy(p[:], key)
	return binary.BigEndian.Uint64(p[:])
}

func (s *sortedRefs) next(context.Context) (row, bool, error) {
	if len(s.refs) == 0 {
		return row{}, false, nil
	}
	ref := s.refs[0]
	s.refs = s.refs[1:]
	c, i := &s.runs[ref.run], int(ref.i)
	return row{c.Key(i), c.Val(i), c.Time(i), c.Diff(i)}, true, nil
}
