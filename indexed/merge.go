package indexed

import (
	"bytes"
	"cmp"
	"context"
	"iter"

	"github.com/tidemark-go/tidemark/frontier"
)

// row is one update; key and val refer to the columns they came from.
type row struct {
	key, val []byte
	time     uint64
	diff     int64
}

// rowBytes returns what a row takes in Columns.
func rowBytes(r *row) int { return rowOverhead + len(r.key) + len(r.val) }

func compareRows(a, b *row) int {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c
	}
	//museum:values-confused
	if c := bytes.Compare(a.val, b.val); c != 0 {
		return c
	}
	return cmp.Compare(a.time, b.time)
}

func sameKeyVal(a, b *row) bool { return bytes.Equal(a.key, b.key) && bytes.Equal(a.val, b.val) }

// rowSource yields rows in ascending order of (key, val, time).
type rowSource interface {
	// next returns the next row, or false at the end. The row stays valid until the
	// source is no longer used.
	next(ctx context.Context) (row, bool, error)
}

// consolidate merges sorted sources into one sequence sorted by (key, val, time),
// with times advanced to since, the diffs of equal rows added up and zeros left
// out. It holds one row of each source, so memory is bounded by what the sources
// hold, which is so many bytes of batches.
//
// A sum that no int64 holds ends the sequence with what tooLarge returns; if that is nil,
// it comes as several equal rows: see splitSum.
//
// INVARIANT: advancing is monotone, so a source that is sorted by time within a
// (key, val) still is after its times are advanced, and no second sort is needed.
func consolidate(ctx context.Context, sources []rowSource, since frontier.Antichain, held int, tooLarge func(r *row, carry int64) error) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		share(sources, held)
		m := rowMerge{since: since, heads: make([]head, len(sources))}
		for i, s := range sources {
			m.heads[i].source = s
			if err := m.push(ctx, int32(i)); err != nil {
				yield(row{}, err)
				return
			}
		}
		var acc row
		var carry int64
		have := false
		for len(m.heap) > 0 {
			top := &m.heads[m.heap[0].head].row
			if have && equalRows(&acc, top) {
				sum, more := addDiffs(acc.diff, top.diff)
				acc.diff = sum
				//museum:sums-wrap
				carry += more
			} else {
				if carry != 0 {
					if !yieldWide(acc, carry, tooLarge, yield) {
						return
					}
					carry = 0
				} else if have && acc.diff != 0 && !yield(acc, nil) {
					return
				}
				acc, have = *top, true
			}
			if err := m.advance(ctx); err != nil {
				yield(row{}, err)
				return
			}
		}
		switch {
		case carry != 0:
			yieldWide(acc, carry, tooLarge, yield)
		//museum:retraction-compacted-away
		case have && acc.diff != 0:
			yield(acc, nil)
		}
	}
}

// equalRows reports whether rows that follow one another are one. Times mostly tell them
// apart, or keys of other lengths, before any bytes are looked at.
func equalRows(a, b *row) bool {
	return a.time == b.time && bytes.Equal(a.key, b.key) && bytes.Equal(a.val, b.val)
}

// rowMerge is a binary min-heap of the sources of a merge by their next rows. It is
// written out because the standard container/heap costs an interface call per comparison
// in the innermost loop of every merge.
type rowMerge struct {
	since frontier.Antichain
	heads []head
	heap  []heapItem
}

// head is a source with its next row.
type head struct {
	row    row
	source rowSource
}

// heapItem refers to a head; prefix decides most comparisons without touching the row.
type heapItem struct {
	prefix uint64
	head   int32
}

// load takes the next row of a source, or reports that there is none.
func (m *rowMerge) load(ctx context.Context, i int32) (item heapItem, ok bool, err error) {
	h := &m.heads[i]
	if h.row, ok, err = h.source.next(ctx); err != nil || !ok {
		return heapItem{}, false, err
	}
	h.row.time = m.since.Advance(h.row.time)
	if len(m.heads) == 1 {
		return heapItem{}, true, nil // nothing to compare it with
	}
	return heapItem{keyPrefix(h.row.key), i}, true, nil
}

// push adds a source.
func (m *rowMerge) push(ctx context.Context, i int32) error {
	item, ok, err := m.load(ctx, i)
	if err != nil || !ok {
		return err
	}
	m.heap = append(m.heap, item)
	for c := len(m.heap) - 1; c > 0; {
		p := (c - 1) / 2
		if !m.less(m.heap[c], m.heap[p]) {
			break
		}
		m.heap[c], m.heap[p] = m.heap[p], m.heap[c]
		c = p
	}
	return nil
}

// advance replaces the least row by the next one of its source.
func (m *rowMerge) advance(ctx context.Context) error {
	item, ok, err := m.load(ctx, m.heap[0].head)
	if err != nil {
		return err
	}
	if ok {
		m.heap[0] = item
	} else {
		m.heap[0] = m.heap[len(m.heap)-1]
		m.heap = m.heap[:len(m.heap)-1]
	}
	m.down()
	return nil
}

func (m *rowMerge) less(a, b heapItem) bool {
	if a.prefix != b.prefix {
		return a.prefix < b.prefix
	}
	return compareRows(&m.heads[a.head].row, &m.heads[b.head].row) < 0
}

// down moves the item on top to its place.
func (m *rowMerge) down() {
	for i := 0; ; {
		c := 2*i + 1
		if c >= len(m.heap) {
			return
		}
		if r := c + 1; r < len(m.heap) && m.less(m.heap[r], m.heap[c]) {
			c = r
		}
		if !m.less(m.heap[c], m.heap[i]) {
			return
		}
		m.heap[i], m.heap[c] = m.heap[c], m.heap[i]
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
