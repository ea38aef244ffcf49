package part

import (
	"bytes"
	"context"
	"math"
)

// Ranged yields the rows of a range of keys of parts that follow one another, as those of a
// batch do. Of the first part it reads the pages from the range's first key on, and nothing
// behind the range's end. It begins with one page, and reads more and more at once, up to a
// row group.
type Ranged struct {
	store    *Store
	parts    []Part // from the present one on
	times    TimeFilter
	from, to []byte // to is exclusive; nil: the range has no end
	fits     bool   // see Keyed
	most     int    // bytes of updates to hold at once: see share

	groupCursor
	page   int         // of the present part: the next one
	run    int         // how many pages to read at once
	visits int         // see Visits
	groups groupReader // of the present part, if that has no directory
	done   int         // of the groups: how many were read
	cur    *Columns
	row    int
}

// NewRanged returns the rows with keys in [from, to) that a filter admits. If to is nil, the
// range has no end.
func (b *Store) NewRanged(parts []Part, times TimeFilter, from, to []byte, fits bool) *Ranged {
	first := firstWith(len(parts), func(i int) ([]byte, bool) { return parts[i].First, parts[i].Clean }, from)
	return &Ranged{store: b, parts: parts[first:], times: times, from: from, to: to, fits: fits, most: math.MaxInt, run: 1}
}

// Visits returns what the read has cost: a visit for each piece that was read, and one for each
// rowsOfVisit rows in it.
func (r *Ranged) Visits() int { return r.visits }

// rowsOfVisit is how many rows of a range are merged in the time of a visit.
const rowsOfVisit = 16

func (r *Ranged) next(ctx context.Context) (Row, bool, error) {
	for {
		if r.cur == nil || r.row == r.cur.Len() {
			if more, err := r.load(ctx); err != nil || !more {
				return Row{}, false, err
			}
			r.visits += 1 + r.cur.Len()/rowsOfVisit
			if r.cur.Len() > 0 && bytes.Compare(r.cur.Key(0), r.from) < 0 {
				r.row = gallop(r.cur, 0, r.from)
				continue
			}
		}
		c, i := r.cur, r.row
		r.row++
		if r.to != nil && bytes.Compare(c.Key(i), r.to) >= 0 {
			r.parts, r.cur = nil, nil
			return Row{}, false, nil
		}
		if t := c.Time(i); r.times.Admits(t) {
			return Row{c.Key(i), c.Val(i), t, c.Diff(i)}, true, nil
		}
	}
}

// mostPages is how many pages are read at once. A row group has fewer, if its rows are not
// very small.
const mostPages = 64

// load reads what comes next. It returns false if nothing is left of the range.
func (r *Ranged) load(ctx context.Context) (bool, error) {
	r.cur, r.row = nil, 0
	for len(r.parts) > 0 {
		p := &r.parts[0]
		if r.to != nil && bytes.Compare(p.First, r.to) >= 0 {
			return false, nil
		}
		if p.Directory.Len == 0 {
			if more, err := r.loadGroup(ctx, p); err != nil || more {
				return more, err
			}
			continue
		}
		begins := r.directory == nil
		if err := r.open(ctx, r.store, p); err != nil {
			return false, err
		}
		if begins {
			r.page, _ = r.directory.pagesOf(r.directory.from(r.from))
		}
		if r.page < r.directory.pages() {
			if err := r.goTo(ctx, r.store, p, r.directory.groupOf(r.page)); err != nil {
				return false, err
			}
			if begins {
				r.page += r.index.from(r.from)
			}
			if from, end := r.page-r.first, r.index.until(r.to); from < end {
				return true, r.loadPages(ctx, p, from, end)
			}
			return false, nil // the range ends before this page
		}
		r.directory, r.parts = nil, r.parts[1:]
	}
	return false, nil
}

// loadPages reads some of the pages from..end of a row group.
func (r *Ranged) loadPages(ctx context.Context, p *Part, from, end int) (err error) {
	if r.fits {
		r.page++
		r.cur, err = r.store.page(ctx, p, r.directory, r.index, r.first, from)
		return err
	}
	pages := r.index.pages[from:min(from+r.run, end)]
	size := pages[0].bytes()
	for i := range pages[1:] {
		if size += pages[1+i].bytes(); size > r.most {
			pages = pages[:1+i]
			break
		}
	}
	r.page += len(pages)
	r.run = min(2*r.run, mostPages)
	cols, err := r.store.fetchPages(ctx, p, r.directory, pages)
	r.cur = &cols
	return err
}

// loadGroup reads the next row group of a part without a directory. It returns false after
// the last one.
func (r *Ranged) loadGroup(ctx context.Context, p *Part) (bool, error) {
	if r.groups == nil {
		groups, err := r.store.Reader(r.fits).open(ctx, p)
		if err != nil {
			return false, err
		}
		r.groups, r.done = groups, 0
	}
	if r.done == r.groups.count() {
		r.groups, r.parts = nil, r.parts[1:]
		return false, nil
	}
	cols, err := r.groups.group(ctx, r.done)
	r.done++
	r.cur = &cols
	return true, err
}
