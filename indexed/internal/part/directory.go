package part

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
)

// directory says where the row groups of a part are, and which keys they may have. The index
// of a group says the same of its pages: see groupIndex. So a reader finds a key, reads a few
// short pieces of the file and checks them, and needs neither the rest nor the footer.
//
// docs/format.md describes how a directory is stored. It is immutable once it is built.
type directory struct {
	keysAsDelta, valsAsDelta bool // how the columns are encoded: see parquetSchemas
	groups                   []dirGroup
	separators               []byte // of all groups, one after another
}

// dirGroup is a row group. Its separator is a prefix of its first key. Every key before the
// group is less than the separator if the group is clean. If it is not, rows with its first
// key, or with keys that begin as the separator does, may be in the group before.
type dirGroup struct {
	rows, keyBytes, valBytes int // its updates in memory
	pages                    int // up to the end of this group, from the first page of the part
	separator                int // end of it in directory.separators
	clean                    bool
	index                    Region // of its groupIndex
}

// MaxSeparator is the greatest length of a separator. It bounds what a directory takes. Keys
// that have more in common with the key before them make groups and pages that are not clean.
const MaxSeparator = 64

const directoryVersion = 1

// Size returns about how many bytes of memory the directory takes.
func (d *directory) Size() int {
	const group = 88
	return group*len(d.groups) + len(d.separators) + 128
}

func (g *dirGroup) bytes() int { return RowOverhead*g.rows + g.keyBytes + g.valBytes }

func (d *directory) separator(i int) []byte {
	from := 0
	if i > 0 {
		from = d.groups[i-1].separator
	}
	return d.separators[from:d.groups[i].separator]
}

// pages returns the number of pages of the part.
func (d *directory) pages() int { return d.groups[len(d.groups)-1].pages }

// from returns the first row group that may have rows with this key.
func (d *directory) from(key []byte) int {
	return firstWith(len(d.groups), func(i int) ([]byte, bool) { return d.separator(i), d.groups[i].clean }, key)
}

// firstWith returns the first of n runs of rows that may have rows with this key, or 0 if
// none may. The runs follow one another, and begin with a separator: see dirGroup.
func firstWith(n int, begins func(i int) (separator []byte, clean bool), key []byte) int {
	i := sort.Search(n, func(i int) bool {
		separator, _ := begins(i)
		return bytes.Compare(separator, key) > 0
	})
	for i--; i > 0; i-- {
		// If the key begins as the separator does, it may be less than the first key of the
		// run, or equal to it, and the run before may have it.
		//museum:unclean-separator
		if separator, clean := begins(i); clean || !bytes.HasPrefix(key, separator) {
			break
		}
	}
	return max(i, 0)
}

// groupOf returns the row group of a page, or the number of groups for the page behind the last
// one.
func (d *directory) groupOf(page int) int {
	return sort.Search(len(d.groups), func(g int) bool { return d.groups[g].pages > page })
}

// pagesOf returns the first page of a row group, and the first one behind it.
func (d *directory) pagesOf(group int) (first, end int) {
	if group > 0 {
		first = d.groups[group-1].pages
	}
	return first, d.groups[group].pages
}

// appendTo writes the directory as docs/format.md describes it.
func (d *directory) appendTo(dst []byte) []byte {
	dst = append(dst, directoryVersion, byte(asIndex(d.keysAsDelta)|asIndex(d.valsAsDelta)<<1))
	dst = binary.AppendUvarint(dst, uint64(len(d.groups)))
	for i := range d.groups {
		g, separator := &d.groups[i], d.separator(i)
		first, end := d.pagesOf(i)
		for _, n := range []int{g.rows, g.keyBytes, g.valBytes, end - first, len(separator)<<1 | asIndex(g.clean)} {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
		dst = append(dst, separator...)
		dst = binary.AppendUvarint(dst, uint64(g.index.At))
		dst = binary.AppendUvarint(dst, uint64(g.index.Len))
		dst = binary.LittleEndian.AppendUint64(dst, g.index.Sum)
	}
	return dst
}

// minGroupEntry is the least number of bytes that appendTo writes for a group.
const minGroupEntry = 5 + 2 + 8

// decodeDirectory reads what appendTo has written, of a part. Whatever the message says, what
// it refers to is within the part, and its groups have exactly the part's rows and bytes.
func decodeDirectory(message []byte, p *Part) (*directory, error) {
	r := wire.NewReader(message, 0)
	if v := r.Byte(); r.Err() == nil && v != directoryVersion {
		if v > directoryVersion {
			return nil, wire.NewerFormat("directory of a part", int(v), directoryVersion)
		}
		return nil, fmt.Errorf("directory of format version %d, which never was", v)
	}
	encodings := r.Byte()
	if encodings > 3 {
		r.Fail(fmt.Errorf("encodings %#x", encodings))
	}
	d := &directory{keysAsDelta: encodings&1 != 0, valsAsDelta: encodings&2 != 0}
	d.groups = make([]dirGroup, r.Count(minGroupEntry))
	if len(d.groups) == 0 {
		r.Fail(errors.New("no row groups"))
	}
	end, left := reach(p.Size), contents{p.Rows, p.Bytes}
	pages := 0
	for i := range d.groups {
		g := &d.groups[i]
		g.rows, g.keyBytes, g.valBytes = left.take(r)
		n := r.Uvarint()
		if n == 0 || n > uint64(g.rows) {
			r.Fail(fmt.Errorf("row group %d with %d pages and %d rows", i, n, g.rows))
		}
		d.separators, g.clean = appendSeparator(d.separators, r)
		g.separator = len(d.separators)
		if i > 0 && bytes.Compare(d.separator(i), d.separator(i-1)) < 0 {
			r.Fail(fmt.Errorf("row group %d begins before row group %d", i, i-1))
		}
		at, length := r.Uvarint(), r.Uvarint()
		g.index = Region{At: end.within(r, at, length), Len: AsInt(length), Sum: fixed64(r)}
		if r.Err() != nil {
			return nil, r.Err()
		}
		pages += int(n)
		g.pages = pages
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	if err := left.end(p.Rows); err != nil {
		return nil, err
	}
	return d, nil
}

// contents are the rows and the bytes in memory that are expected of what is still to be read.
type contents struct{ rows, bytes int }

// take reads how many rows, bytes of keys and bytes of values the next piece has.
func (c *contents) take(r *wire.Reader) (rows, keys, vals int) {
	n, k, v := r.Uvarint(), r.Uvarint(), r.Uvarint()
	size := RowOverhead*n + k + v
	if n == 0 || n > uint64(c.rows) || max(k, v, size) > uint64(c.bytes) {
		r.Fail(fmt.Errorf("%d rows, %d and %d bytes, where %d rows and %d bytes are left", n, k, v, c.rows, c.bytes))
		return 0, 0, 0
	}
	c.rows, c.bytes = c.rows-int(n), c.bytes-int(size)
	return int(n), int(k), int(v)
}

// end fails if something is left.
func (c *contents) end(rows int) error {
	if c.rows != 0 || c.bytes != 0 {
		return fmt.Errorf("%d of %d rows, and %d bytes, are missing", c.rows, rows, c.bytes)
	}
	return nil
}

// appendSeparator reads a separator, and whether what it begins is clean.
func appendSeparator(separators []byte, r *wire.Reader) ([]byte, bool) {
	n := r.Uvarint()
	clean := n&1 != 0
	if n >>= 1; n > MaxSeparator {
		r.Fail(fmt.Errorf("separator of %d bytes, the limit is %d", n, MaxSeparator))
		return separators, false
	}
	return append(separators, r.Bytes(int(n))...), clean
}

// reach is the number of bytes of a file.
type reach int64

// within returns an offset of so many bytes that are in the file.
func (n reach) within(r *wire.Reader, at, length uint64) int64 {
	if at > uint64(n) || length > uint64(n)-at {
		r.Fail(fmt.Errorf("it refers to %d bytes from byte %d on, of %d", length, at, n))
		return 0
	}
	return int64(at)
}

func fixed64(r *wire.Reader) uint64 {
	b := r.Bytes(8)
	if r.Err() != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}
