package part

import (
	"bytes"
	"context"
	"math"
	"sort"
)

// Keyed yields the rows of some keys of parts that follow one another, as those of a batch
// do. It reads forward only: of each part the directory, the indexes of row groups that may
// have a key, and the pages that may have one. Parts of older versions, which have no
// directory, are read whole.
type Keyed struct {
	store *Store
	parts []Part
	times TimeFilter
	keys  [][]byte // those that are not done yet, ascending, each once
	// fits says that the parts of all batches of the snapshot fit into the cache together. Then
	// pages are read one by one, through the cache. If not, row groups of which many pages are
	// needed are read past it.
	fits bool
	most int // bytes of updates to hold at once: see share
	// visits counts what the read has cost: pages, and filters that were asked in vain.
	visits int

	part int // the present part
	groupCursor
	page int      // of the part: the first one that was not read
	cur  *Columns // what was read last
	row  int      // of cur: the next one
}

// groupCursor is the row group of a part that a read has come to.
type groupCursor struct {
	directory *directory  // of the part; nil if it was not opened
	index     *groupIndex // of the row group; nil if it was not opened
	group     int
	first     int // the page of the part that the group begins with
}

// open opens the directory of a part.
func (c *groupCursor) open(ctx context.Context, b *Store, p *Part) (err error) {
	if c.directory == nil {
		c.directory, err = b.directoryOf(ctx, p)
		c.index = nil
	}
	return err
}

// goTo goes to a row group.
func (c *groupCursor) goTo(ctx context.Context, b *Store, p *Part, group int) (err error) {
	if c.index == nil || c.group != group {
		c.group = group
		c.first, _ = c.directory.pagesOf(group)
		c.index, err = b.indexOf(ctx, p, c.directory, group)
	}
	return err
}

// NewKeyed returns the rows with these keys that a filter admits. The keys must be ascending,
// and different. fits says whether pages are to be read through the cache.
func (b *Store) NewKeyed(parts []Part, times TimeFilter, keys [][]byte, fits bool) *Keyed {
	return &Keyed{store: b, parts: parts, times: times, keys: keys, fits: fits, most: math.MaxInt}
}

// Visits returns how many pages were read, and how many filters were asked in vain.
func (k *Keyed) Visits() int { return k.visits }

func (k *Keyed) next(ctx context.Context) (Row, bool, error) {
	for {
		if k.cur == nil || k.row == k.cur.Len() {
			more, err := k.load(ctx)
			if err != nil || !more {
				return Row{}, false, err
			}
		}
		c, i := k.cur, k.row
		switch order := bytes.Compare(c.Key(i), k.keys[0]); {
		case order < 0:
			k.row = gallop(c, i, k.keys[0])
		case order > 0:
			if k.keys = k.keys[1:]; len(k.keys) == 0 {
				return Row{}, false, nil
			}
		default:
			k.row++
			if t := c.Time(i); k.times.Admits(t) {
				return Row{c.Key(i), c.Val(i), t, c.Diff(i)}, true, nil
			}
		}
	}
}

// load reads the next page that may have a row with one of the keys. It returns false if
// there is none.
func (k *Keyed) load(ctx context.Context) (bool, error) {
	k.cur, k.row = nil, 0
	for len(k.keys) > 0 {
		key := k.keys[0]
		if i := firstWith(len(k.parts), func(i int) ([]byte, bool) { return k.parts[i].First, k.parts[i].Clean }, key); i > k.part {
			k.part, k.directory, k.page = i, nil, 0
		}
		if k.part == len(k.parts) {
			return false, nil
		}
		p := &k.parts[k.part]
		if bytes.Compare(p.First, key) > 0 {
			k.keys = k.keys[1:]
			continue
		}
		if p.Directory.Len == 0 {
			k.part++
			cols, err := cached{k.store}.readCached(ctx, p)
			k.cur = &cols
			return true, err
		}
		if err := k.open(ctx, k.store, p); err != nil {
			return false, err
		}
		i, err := k.pageWith(ctx, p, key)
		switch {
		case err != nil:
			return false, err
		case i < 0:
			k.keys = k.keys[1:]
		case i == k.directory.pages():
			k.part, k.directory, k.page = k.part+1, nil, 0
		default:
			return true, k.read(ctx, p, i)
		}
	}
	return false, nil
}

// pageWith returns the next page of the present part that may have a key, and goes to its row
// group. It returns the number of pages if all of them were read, and -1 if no page that is
// left has the key.
//
// If the next part may have the key as well, filters are not asked, and all pages are read:
// keys that come next may be in either part.
func (k *Keyed) pageWith(ctx context.Context, p *Part, key []byte) (int, error) {
	k.visits++
	d := k.directory
	if k.page == d.pages() {
		return k.page, nil
	}
	continues := k.part+1 < len(k.parts) && bytes.Compare(k.parts[k.part+1].First, key) <= 0
	for g := max(d.groupOf(k.page), d.from(key)); g < len(d.groups) && bytes.Compare(d.separator(g), key) <= 0; g++ {
		if err := k.goTo(ctx, k.store, p, g); err != nil {
			return 0, err
		}
		//museum:filter-that-lies
		if !continues && k.index.filter != nil && !k.index.filter.mayHave(key) {
			//museum:filter-ends-a-part
			continue
		}
		i := max(k.index.from(key), k.page-k.first)
		switch {
		case i == len(k.index.pages): // all were read
		case continues, bytes.Compare(k.index.separator(i), key) <= 0:
			return k.first + i, nil
		default:
			return -1, nil
		}
	}
	return -1, nil
}

// read reads a page of the row group that the cursor is at, or the whole group.
func (k *Keyed) read(ctx context.Context, p *Part, page int) (err error) {
	if !k.fits && k.directory.groups[k.group].bytes() <= k.most && k.isDense() {
		k.page = k.first + len(k.index.pages)
		cols, err := k.store.fetchPages(ctx, p, k.directory, k.index.pages)
		k.cur = &cols
		return err
	}
	k.page = page + 1
	k.cur, err = k.store.page(ctx, p, k.directory, k.index, k.first, page-k.first)
	return err
}

// isDense reports whether so many pages of the row group may have one of the keys that the group
// is read in one piece: one in four, and more than one.
func (k *Keyed) isDense() bool {
	if k.page > k.first {
		return false
	}
	end := k.end()
	need := max(2, (len(k.index.pages)+3)/4)
	for keys := k.keys; len(keys) > 0 && (end == nil || bytes.Compare(keys[0], end) < 0); {
		if need--; need == 0 {
			return true
		}
		next := k.index.from(keys[0]) + 1
		if next == len(k.index.pages) {
			return false
		}
		separator := k.index.separator(next)
		keys = keys[sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], separator) >= 0 }):]
	}
	return false
}

// end returns a key that is not less than those of the row group, or nil if there is none.
func (k *Keyed) end() []byte {
	switch {
	case k.group+1 < len(k.directory.groups):
		return k.directory.separator(k.group + 1)
	case k.part+1 < len(k.parts):
		return k.parts[k.part+1].First
	}
	return nil
}

// gallop returns the first row from i on whose key is not less than key, or the number of
// rows. It takes the longer the farther that row is.
func gallop(c *Columns, i int, key []byte) int {
	step, n := 1, c.Len()
	for i+step < n && bytes.Compare(c.Key(i+step), key) < 0 {
		i += step
		step *= 2
	}
	return i + 1 + sort.Search(min(step, n-i-1), func(j int) bool { return bytes.Compare(c.Key(i+1+j), key) >= 0 })
}
