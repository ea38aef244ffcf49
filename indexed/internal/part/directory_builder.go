package part

import (
	"bytes"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/format"
)

// directoryBuilder makes the directory of a part, and the indexes and filters of its row
// groups, while rows are added. The places in the file come at the end. It keeps its memory
// from part to part.
type directoryBuilder struct {
	directory  directory
	pages      []dirPage // of all groups
	separators []byte    // of all pages
	ended      int       // bytes of separators of the groups that have ended
	filters    []byte    // of the groups that have ended, as they are stored
	filterEnds []int     // of each of these groups, in filters
	hashes     []uint64  // of the different keys of the present group
	last       []byte    // a copy of the key of the newest row
	rows       int       // rows so far
	first      []byte    // a copy of the first key of the part
}

func (b *directoryBuilder) begin(keysAsDelta, valsAsDelta bool) {
	d := &b.directory
	*d = directory{keysAsDelta: keysAsDelta, valsAsDelta: valsAsDelta, groups: d.groups[:0], separators: d.separators[:0]}
	b.pages, b.separators, b.filters, b.filterEnds, b.ended = b.pages[:0], b.separators[:0], b.filters[:0], b.filterEnds[:0], 0
	b.hashes, b.last, b.rows = b.hashes[:0], b.last[:0], 0
}

// beginPage begins a page with its first key.
func (b *directoryBuilder) beginPage(key []byte) {
	if b.rows == 0 {
		b.first = append(b.first[:0], key...)
	}
	separator, clean := separatorOf(b.last, key, b.rows == 0)
	b.separators = append(b.separators, separator...)
	b.pages = append(b.pages, dirPage{separator: len(b.separators) - b.ended, clean: clean})
}

// separatorOf returns the separator of rows that begin with key: see dirGroup. before is the
// key of the row before them, unless they are the first.
func separatorOf(before, key []byte, first bool) (separator []byte, clean bool) {
	if first {
		return key[:min(len(key), MaxSeparator)], true
	}
	shared := sharedPrefix(before, key)
	return key[:min(len(key), shared+1, MaxSeparator)], shared < min(len(key), MaxSeparator)
}

// add adds rows to the page. It does not keep them.
func (b *directoryBuilder) add(rows []Row) {
	p := &b.pages[len(b.pages)-1]
	before := b.last
	for i := range rows {
		key := rows[i].Key
		if len(b.hashes) == 0 || !bytes.Equal(key, before) {
			b.hashes = append(b.hashes, xxhash.Sum64(key))
		}
		before = key
		p.keyBytes += len(key)
		p.valBytes += len(rows[i].Val)
	}
	p.rows += len(rows)
	b.rows += len(rows)
	b.last = append(b.last[:0], before...)
}

// endGroup ends the row group, and makes its filter.
func (b *directoryBuilder) endGroup() (err error) {
	if b.filters, err = appendFilter(b.filters, b.hashes); err != nil {
		return err
	}
	b.filterEnds = append(b.filterEnds, len(b.filters))
	b.hashes = b.hashes[:0]

	d := &b.directory
	first := 0
	if n := len(d.groups); n > 0 {
		first = d.groups[n-1].pages
	}
	g := dirGroup{pages: len(b.pages), clean: b.pages[first].clean}
	d.separators = append(d.separators, b.separators[b.ended:][:b.pages[first].separator]...)
	b.ended = len(b.separators)
	g.separator = len(d.separators)
	for _, p := range b.pages[first:] {
		g.rows += p.rows
		g.keyBytes += p.keyBytes
		g.valBytes += p.valBytes
	}
	d.groups = append(d.groups, g)
	return nil
}

// indexes returns the indexes of all row groups as they are stored, one after another. file is
// the file up to where they will be. It notes in the directory where they are, and in the footer
// where the filters are. A part of a single page has no filter: reading the filter would take as
// long as reading the page.
func (b *directoryBuilder) indexes(file []byte, footer *format.FileMetaData) ([]byte, error) {
	d := &b.directory
	if len(footer.RowGroups) != len(d.groups) {
		return nil, fmt.Errorf("%d row groups, expected %d", len(footer.RowGroups), len(d.groups))
	}
	var out []byte
	separators, filter := 0, 0 // where those of the group begin
	for i := range d.groups {
		first, end := d.pagesOf(i)
		x := groupIndex{pages: b.pages[first:end], separators: b.separators[separators:]}
		separators += b.pages[end-1].separator
		columns := footer.RowGroups[i].Columns
		for c := range columnCount {
			if err := placePages(file, &columns[c].MetaData, c, x.pages); err != nil {
				return nil, fmt.Errorf("row group %d: column %s: %w", i, columnName(c), err)
			}
		}
		for j := range x.pages {
			x.pages[j].sum = x.pages[j].sumOf(file)
		}
		at := len(out)
		out = x.appendTo(out)
		if len(b.pages) > 1 {
			key := &columns[columnKey].MetaData
			key.BloomFilterOffset, key.BloomFilterLength = int64(len(file)+len(out)), int32(b.filterEnds[i]-filter)
			out = append(out, b.filters[filter:b.filterEnds[i]]...)
			filter = b.filterEnds[i]
		}
		d.groups[i].index = Region{At: int64(len(file) + at), Len: len(out) - at, Sum: xxhash.Sum64(out[at:])}
	}
	return out, nil
}

func (p *dirPage) sumOf(file []byte) uint64 {
	sum := xxhash.New()
	for _, c := range p.columns {
		_, _ = sum.Write(file[c.at : c.at+int64(c.len)])
	}
	return sum.Sum64()
}

// placePages finds the pages of a column in a row group that was written.
func placePages(file []byte, m *format.ColumnMetaData, column int, pages []dirPage) error {
	at, end := m.DataPageOffset, m.DataPageOffset+m.TotalCompressedSize
	for i := range pages {
		if at >= end {
			return fmt.Errorf("%d pages, expected %d", i, len(pages))
		}
		var header format.PageHeader
		rest, err := decodeThrift(file[at:end], &header)
		if err != nil {
			return fmt.Errorf("page %d: %w", i, err)
		}
		p := piece{at: at, header: int(end-at) - len(rest)}
		p.len = p.header + int(header.CompressedPageSize)
		pages[i].columns[column] = p
		at += int64(p.len)
	}
	if at != end {
		return fmt.Errorf("%d bytes behind the last page", end-at)
	}
	return nil
}
