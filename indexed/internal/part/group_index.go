package part

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// groupIndex says where the pages of a row group are, and which keys they may have. A page is a
// run of rows: one Parquet page in each of the four columns. The filter of the group is part of
// its index. docs/format.md describes how an index is stored.
type groupIndex struct {
	pages      []dirPage
	separators []byte // of all pages, one after another
	filter     filter // nil: the group has none
	kept       int    // bytes of memory that the filter keeps
}

// dirPage is a page. Its separator is that of dirGroup, with pages in place of groups.
type dirPage struct {
	rows, keyBytes, valBytes int // its updates in memory
	separator                int // end of it in groupIndex.separators
	clean                    bool
	columns                  [columnCount]piece
	sum                      uint64 // xxhash64 of the four pieces in the order of the columns
}

// maxPageRows bounds what is taken for a page before it is decoded. A page that this program
// writes has about a thousand rows at most.
const maxPageRows = 1 << 20

// piece is a Parquet page of one column: a header, and the compressed values.
type piece struct {
	at          int64
	header, len int
}

func (p *piece) end() int64 { return p.at + int64(p.len) }

func (p *dirPage) bytes() int { return RowOverhead*p.rows + p.keyBytes + p.valBytes }

// Size returns about how many bytes of memory the index takes.
func (x *groupIndex) Size() int {
	const page = 144
	return page*len(x.pages) + len(x.separators) + x.kept + 128
}

func (x *groupIndex) separator(i int) []byte {
	from := 0
	if i > 0 {
		from = x.pages[i-1].separator
	}
	return x.separators[from:x.pages[i].separator]
}

// from returns the first page of the group that may have rows with this key, or 0 if none may.
func (x *groupIndex) from(key []byte) int {
	return firstWith(len(x.pages), func(i int) ([]byte, bool) { return x.separator(i), x.pages[i].clean }, key)
}

// until returns the first page of the group whose rows are all not less than to. If to is nil,
// it returns the number of pages.
func (x *groupIndex) until(to []byte) int {
	if to == nil {
		return len(x.pages)
	}
	return sort.Search(len(x.pages), func(i int) bool { return bytes.Compare(x.separator(i), to) >= 0 })
}

// appendTo writes the pages as docs/format.md describes them. The filter comes behind them: see
// appendFilter.
func (x *groupIndex) appendTo(dst []byte) []byte {
	for _, c := range x.pages[0].columns {
		dst = binary.AppendUvarint(dst, uint64(c.at))
	}
	for i := range x.pages {
		p, separator := &x.pages[i], x.separator(i)
		for _, n := range []int{p.rows, p.keyBytes, p.valBytes, len(separator)<<1 | asIndex(p.clean)} {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
		dst = append(dst, separator...)
		for _, c := range p.columns {
			dst = binary.AppendUvarint(dst, uint64(c.header))
			dst = binary.AppendUvarint(dst, uint64(c.len))
		}
		dst = binary.LittleEndian.AppendUint64(dst, p.sum)
	}
	return dst
}

// minPageEntry is the least number of bytes that appendTo writes for a page.
const minPageEntry = 4 + 2*columnCount + 8

// decodeGroupIndex reads what appendTo has written for a row group of a part, and the filter
// behind it, which keeps the memory of the message. Whatever the message says, what it refers to
// is within the part, and its pages have exactly the rows and bytes of the group.
func decodeGroupIndex(message []byte, p *Part, d *directory, group int) (*groupIndex, error) {
	r := wire.NewReader(message, 0)
	g := &d.groups[group]
	var at [columnCount]uint64
	for c := range at {
		at[c] = r.Uvarint()
	}
	first, last := d.pagesOf(group)
	if n := last - first; n > r.Remaining()/minPageEntry {
		r.Fail(fmt.Errorf("%d pages are more than it can have", n))
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	x := &groupIndex{pages: make([]dirPage, last-first)}
	end, left := reach(p.Size), contents{g.rows, g.bytes()}
	for i := range x.pages {
		q := &x.pages[i]
		if q.rows, q.keyBytes, q.valBytes = left.take(r); q.rows > maxPageRows {
			r.Fail(fmt.Errorf("page of %d rows, the limit is %d", q.rows, maxPageRows))
		}
		x.separators, q.clean = appendSeparator(x.separators, r)
		q.separator = len(x.separators)
		if i > 0 && bytes.Compare(x.separator(i), x.separator(i-1)) < 0 {
			r.Fail(fmt.Errorf("page %d begins before page %d", i, i-1))
		}
		for c := range at {
			header, length := r.Uvarint(), r.Uvarint()
			if header > length {
				r.Fail(fmt.Errorf("header of %d bytes in a page of %d", header, length))
			}
			q.columns[c] = piece{end.within(r, at[c], length), AsInt(header), AsInt(length)}
			if c > 0 && q.columns[c].at < q.columns[c-1].end() {
				r.Fail(fmt.Errorf("page %d of column %s lies before that of column %s", i, columnName(c), columnName(c-1)))
			}
			at[c] += length
		}
		if q.sum = fixed64(r); r.Err() != nil {
			return nil, r.Err()
		}
	}
	if !bytes.Equal(x.separator(0), d.separator(group)) || x.pages[0].clean != g.clean {
		return nil, fmt.Errorf("it begins at %.80q, clean %t, expected %.80q, %t", x.separator(0), x.pages[0].clean, d.separator(group), g.clean)
	}
	if err := left.end(g.rows); err != nil {
		return nil, err
	}
	var err error
	if rest := message[len(message)-r.Remaining():]; len(rest) > 0 {
		x.filter, err = decodeFilter(rest)
	}
	return x, err
}

// indexOf returns the index of a row group.
func (b *Store) indexOf(ctx context.Context, p *Part, d *directory, group int) (*groupIndex, error) {
	key := cacheKey{p.Key, indexPiece(group)}
	if x, ok := present[*groupIndex](b.cache, key); ok {
		return x, nil
	}
	return fetched(ctx, b.cache, key, func(ctx context.Context) (*groupIndex, error) {
		return b.fetchIndex(ctx, p, d, group)
	})
}

func (b *Store) fetchIndex(ctx context.Context, p *Part, d *directory, group int) (*groupIndex, error) {
	b.metrics.Misses.Inc()
	at := d.groups[group].index
	data, err := b.fetchRange(ctx, p, at.At, int64(at.Len), nil)
	if err != nil {
		return nil, err
	}
	//museum:unchecked-index
	if sum := xxhash.Sum64(data); sum != at.Sum {
		return nil, storage.Corruptf(p.Key, at.At, "xxhash64 of the index of row group %d is %016x, expected %016x", group, sum, at.Sum)
	}
	x, err := decodeGroupIndex(data, p, d, group)
	if err == nil && x.filter != nil {
		x.kept = cap(data)
	}
	if err != nil {
		return nil, wire.Unreadable(p.Key, fmt.Errorf("index of row group %d: %w", group, err))
	}
	return x, nil
}
