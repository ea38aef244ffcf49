package part

import (
	"bytes"
	"cmp"
	"context"
	"iter"

	"github.com/tidemark-go/tidemark/frontier"
)

// Row is one encoded update. Key and Val refer to memory of something else and must not be
// changed. A function that yields rows says whether equal rows are added up.
type Row struct {
	Key, Val []byte
	Time     uint64
	Diff     int64
}

// RowBytes returns the bytes that a row takes in Columns.
func RowBytes(r *Row) int { return RowOverhead + len(r.Key) + len(r.Val) }

func compareRows(a, b *Row) int {
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	//museum:values-confused
	if c := bytes.Compare(a.Val, b.Val); c != 0 {
		return c
	}
	return cmp.Compare(a.Time, b.Time)
}

func sameKeyVal(a, b *Row) bool { return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Val, b.Val) }

// Source yields rows in ascending order of (key, val, time). NewRows and Sort return
// sources.
type Source interface {
	// next returns the next row, or false at the end. The row stays valid until the
	// source is no longer used.
	next(ctx context.Context) (Row, bool, error)
}

// Consolidate merges sorted sources into one sequence, sorted by (key, val, time). Times
// are advanced to since, the diffs of equal rows are added up, and zeros are left out. It
// holds one row of each source, beside what the sources hold: at most held bytes of batches
// together.
//
// If no int64 holds a sum, the sequence ends with the error that tooLarge returns. If
// tooLarge is nil, the sum comes as several equal rows: see splitSum.
//
// INVARIANT: advancing keeps the order of times. So a source that is sorted by time within
// a (key, val) is still sorted after its times are advanced, and needs no second sort.
func Consolidate(ctx context.Context, sources []Source, since frontier.Antichain, held int, tooLarge func(r *Row, carry int64) error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		share(sources, held)
		m := rowMerge{since: since, heads: make([]head, len(sources))}
		for i, s := range sources {
			m.heads[i].source = s
			if err := m.push(ctx, int32(i)); err != nil {
				yield(Row{}, err)
				return
			}
		}
		var acc Row
		var carry int64
		have := false
		for len(m.heap) > 0 {
			top := &m.heads[m.heap[0].head].row
			if have && equalRows(&acc, top) {
				sum, more := addDiffs(acc.Diff, top.Diff)
				acc.Diff = sum
				//museum:sums-wrap
				carry += more
			} else {
				if carry != 0 {
					if !yieldWide(acc, carry, tooLarge, yield) {
						return
					}
					carry = 0
				} else if have && acc.Diff != 0 && !yield(acc, nil) {
					return
				}
				acc, have = *top, true
			}
			if err := m.advance(ctx); err != nil {
				yield(Row{}, err)
				return
			}
		}
		switch {
		case carry != 0:
			yieldWide(acc, carry, tooLarge, yield)
		//museum:retraction-compacted-away
		case have && acc.Diff != 0:
			yield(acc, nil)
		}
	}
}

// equalRows reports whether two rows that follow one another are equal. In most cases their
// times or the lengths of their keys differ, and no key is compared.
func equalRows(a, b *Row) bool {
	return a.Time == b.Time && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Val, b.Val)
}

// rowMerge is a binary min-heap of sources, by their next rows. It does not use
// container/heap, which costs an interface call for each comparison in the innermost loop
// of every merge.
type rowMerge struct {
	since frontier.Antichain
	heads []head
	heap  []heapItem
}

// head is a source and its next row.
type head struct {
	row    Row
	source Source
}

// heapItem refers to a head. prefix decides most comparisons, so that the row is not
// touched.
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
	h.row.Time = m.since.Advance(h.row.Time)
	if len(m.heads) == 1 {
		return heapItem{}, true, nil // nothing to compare it with
	}
	return heapItem{keyPrefix(h.row.Key), i}, true, nil
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

// advance replaces the least row by the next row of its source.
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

// TimeFilter admits the times in [Lower, Upper).
type TimeFilter struct{ Lower, Upper frontier.Antichain }

// AllTimes admits every time.
var AllTimes = TimeFilter{Upper: frontier.Empty()}

// Admits reports whether t is in [Lower, Upper).
func (f TimeFilter) Admits(t uint64) bool { return f.Lower.Admits(t) && !f.Upper.Admits(t) }

// sortedColumns yields the rows of one run of columns that is already sorted.
type sortedColumns struct {
	cols   Columns
	filter TimeFilter
	i      int
}

func (s *sortedColumns) next(context.Context) (Row, bool, error) {
	for s.i < s.cols.Len() {
		i := s.i
		s.i++
		if t := s.cols.Time(i); s.filter.Admits(t) {
			return Row{s.cols.Key(i), s.cols.Val(i), t, s.cols.Diff(i)}, true, nil
		}
	}
	return Row{}, false, nil
}
