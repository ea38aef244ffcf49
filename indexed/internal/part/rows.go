package part

import (
	"bytes"
	"cmp"
	"context"
	"iter"

	"github.com/tidemark-go/tidemark/frontier"
)

// Row is one encoded update. Key and Val refer to the memory that they came from and must
// not be changed. Whatever yields rows says whether equal ones are added up.
type Row struct {
	Key, Val []byte
	Time     uint64
	Diff     int64
}

// RowBytes returns what a row takes in Columns.
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

// Source yields rows in ascending order of (key, val, time).
type Source interface {
	// next returns the next row, or false at the end. The row stays valid until the
	// source is no longer used.
	next(ctx context.Context) (Row, bool, error)
}

// Consolidate merges sorted sources into one sequence sorted by (key, val, time),
// with times advanced to since, the diffs of equal rows added up and zeros left
// out. It holds one row of each source, so memory is bounded by what the sources
// hold, which is so many bytes of batches.
//
// A sum that no int64 holds ends the sequence with what tooLarge returns; if that is nil,
// it comes as several equal rows: see splitSum.
//
// INVARIANT: advancing is monotone, so a source that is sorted by time within a
// (key, val) still is after its times are advanced, and no second sort is needed.
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

// equalRows reports whether rows that follow one another are one. Times mostly tell them
// apart, or keys of other lengths, before any bytes are looked at.
func equalRows(a, b *Row) bool {
	return a.Time == b.Time && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Val, b.Val)
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
	row    Row
	source Source
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

// TimeFilter admits the times in [lower, upper).
type TimeFilter struct{ Lower, Upper frontier.Antichain }

// AllTimes admits every time.
var AllTimes = TimeFilter{Upper: frontier.Empty()}

// Admits reports whether a time is in [Lower, Upper).
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
