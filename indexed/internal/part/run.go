package part

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sort"
)

// Run is rows of several columns in sorted order, to be found by their keys. It takes 16 bytes
// for each row, beside the columns. It is immutable.
type Run struct {
	columns []Columns
	refs    []rowRef // prefixes are those of whole keys
}

// NewRun sorts the rows of columns.
func NewRun(columns []Columns) *Run {
	n := 0
	for i := range columns {
		n += columns[i].Len()
	}
	r := &Run{columns: columns, refs: make([]rowRef, 0, n)}
	for run := range columns {
		c := &columns[run]
		for i := range c.Len() {
			r.refs = append(r.refs, rowRef{keyPrefix(c.Key(i)), uint32(run), uint32(i)})
		}
	}
	// Most columns of a pipeline are sorted already.
	if !slices.IsSortedFunc(r.refs, r.compare) {
		r.refs = sortRefs(r.refs, r.compare)
	}
	return r
}

// Len returns the number of rows.
func (r *Run) Len() int { return len(r.refs) }

func (r *Run) compare(a, b rowRef) int {
	if a.prefix != b.prefix {
		return cmp.Compare(a.prefix, b.prefix)
	}
	x, y := r.row(a), r.row(b)
	return compareRows(&x, &y)
}

func (r *Run) row(ref rowRef) Row {
	c, i := &r.columns[ref.run], int(ref.i)
	return Row{c.Key(i), c.Val(i), c.Time(i), c.Diff(i)}
}

// Merge returns the rows of both runs.
func (r *Run) Merge(s *Run) *Run {
	m := &Run{columns: slices.Concat(r.columns, s.columns), refs: make([]rowRef, 0, len(r.refs)+len(s.refs))}
	a, b, shift := r.refs, s.refs, uint32(len(r.columns))
	for len(a) > 0 && len(b) > 0 {
		next := rowRef{b[0].prefix, b[0].run + shift, b[0].i}
		if m.compare(a[0], next) <= 0 {
			m.refs, a = append(m.refs, a[0]), a[1:]
		} else {
			m.refs, b = append(m.refs, next), b[1:]
		}
	}
	m.refs = append(m.refs, a...)
	for _, ref := range b {
		m.refs = append(m.refs, rowRef{ref.prefix, ref.run + shift, ref.i})
	}
	return m
}

// from returns the first row from i on whose key is not less than key.
func (r *Run) from(i int, key []byte) int {
	prefix := keyPrefix(key)
	less := func(ref rowRef) bool {
		if ref.prefix != prefix {
			return ref.prefix < prefix
		}
		return bytes.Compare(r.columns[ref.run].Key(int(ref.i)), key) < 0
	}
	step, n := 1, len(r.refs)
	for i+step < n && less(r.refs[i+step]) {
		i += step
		step *= 2
	}
	return i + sort.Search(min(step, n-i), func(j int) bool { return !less(r.refs[i+j]) })
}

// Keyed returns the rows with these keys that a filter admits. The keys must be ascending, and
// different.
func (r *Run) Keyed(times TimeFilter, keys [][]byte) Source {
	return &keyedRun{run: r, times: times, keys: keys}
}

type keyedRun struct {
	run   *Run
	times TimeFilter
	keys  [][]byte
	i     int
}

func (k *keyedRun) next(context.Context) (Row, bool, error) {
	for len(k.keys) > 0 && k.i < len(k.run.refs) {
		row := k.run.row(k.run.refs[k.i])
		switch order := bytes.Compare(row.Key, k.keys[0]); {
		case order < 0:
			k.i = k.run.from(k.i, k.keys[0])
		case order > 0:
			k.keys = k.keys[1:]
		default:
			k.i++
			if k.times.Admits(row.Time) {
				return row, true, nil
			}
		}
	}
	return Row{}, false, nil
}

// Ranged returns the rows with keys in [from, to) that a filter admits. If to is nil, the range
// has no end.
func (r *Run) Ranged(times TimeFilter, from, to []byte) Source {
	return &rangedRun{r, times, to, r.from(0, from)}
}

type rangedRun struct {
	run   *Run
	times TimeFilter
	to    []byte
	i     int
}

func (r *rangedRun) next(context.Context) (Row, bool, error) {
	for r.i < len(r.run.refs) {
		row := r.run.row(r.run.refs[r.i])
		if r.to != nil && bytes.Compare(row.Key, r.to) >= 0 {
			break
		}
		r.i++
		if r.times.Admits(row.Time) {
			return row, true, nil
		}
	}
	return Row{}, false, nil
}
