package part

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/encoding/delta"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// pieces are the bytes of a page in the file: the Parquet page of each column.
type pieces [columnCount][]byte

// check compares the pieces of a page with the checksum of the page.
func (p *dirPage) check(of *Part, bytes *pieces) error {
	var sum xxhash.Digest
	sum.Reset()
	for _, piece := range bytes {
		_, _ = sum.Write(piece)
	}
	//museum:unchecked-pages
	if got := sum.Sum64(); got != p.sum {
		return storage.Corruptf(of.Key, p.columns[columnKey].at, "xxhash64 of the page is %016x, expected %016x", got, p.sum)
	}
	return nil
}

// piecesIn returns the pieces of a page that lie in these spans.
func (p *dirPage) piecesIn(columns *[columnCount]span) (b pieces) {
	for c, at := range p.columns {
		from := at.at - columns[c].offset
		b[c] = columns[c].data[from : from+int64(at.len)]
	}
	return b
}

// nearby is how far apart two pieces may be that are read at once. To read so many bytes
// more takes less time than another read.
const nearby = 4 << 10

// page returns a page of a row group, from the cache if it is there. i counts from the first
// page of the group, which is the page first of the part.
func (b *Store) page(ctx context.Context, p *Part, d *directory, x *groupIndex, first, i int) (*Columns, error) {
	key := cacheKey{p.Key, first + i}
	if cols, ok := present[*Columns](b.cache, key); ok {
		return cols, nil
	}
	return fetched(ctx, b.cache, key, func(ctx context.Context) (*Columns, error) {
		cols, err := b.fetchPages(ctx, p, d, x.pages[i:i+1])
		return &cols, err
	})
}

// fetchPages reads pages that follow one another in a row group from the store. It reads no more
// than their pieces, and what is between pieces that are near one another. So a whole row group
// is one read.
func (b *Store) fetchPages(ctx context.Context, p *Part, d *directory, pages []dirPage) (Columns, error) {
	size := 0
	for i := range pages {
		size += pages[i].bytes()
	}
	if err := checkReadable(p.Key, size); err != nil {
		return Columns{}, err
	}
	b.metrics.Misses.Inc()
	first, last := &pages[0], &pages[len(pages)-1]
	e := newPageDecoder(d)
	room := e.raw
	var columns [columnCount]span // of all the pages
	for c := 0; c < columnCount; {
		next := c + 1
		for next < columnCount && first.columns[next].at-last.columns[next-1].end() <= nearby {
			next++
		}
		at := first.columns[c].at
		data, err := b.fetchRange(ctx, p, at, last.columns[next-1].end()-at, room)
		if err != nil {
			return Columns{}, err
		}
		room = room[min(len(data), len(room)):]
		for ; c < next; c++ {
			columns[c] = span{at, data}
		}
	}
	for i := range pages {
		bytes := pages[i].piecesIn(&columns)
		if err := pages[i].check(p, &bytes); err != nil {
			return Columns{}, err
		}
	}
	return e.decode(p, &columns, newMemory, pages)
}

// decodeWhole reads a part that has a directory. REQUIRES: data has the part's checksum, so
// the checksums within need not be looked at.
func decodeWhole(data []byte, p *Part, memory func(size int) []byte) (Columns, error) {
	r := p.Directory
	if r.At < 0 || r.At > p.Size || int64(r.Len) > p.Size-r.At {
		return Columns{}, storage.Corruptf(p.Key, -1, "directory of %d bytes at byte %d, of %d", r.Len, r.At, p.Size)
	}
	d, err := decodeDirectory(data[r.At:][:r.Len], p)
	if err != nil {
		return Columns{}, wire.Unreadable(p.Key, err)
	}
	pages := make([][]dirPage, len(d.groups))
	for i := range d.groups {
		at := d.groups[i].index
		x, err := decodeGroupIndex(data[at.At:][:at.Len], p, d, i)
		if err != nil {
			return Columns{}, wire.Unreadable(p.Key, fmt.Errorf("index of row group %d: %w", i, err))
		}
		pages[i] = x.pages
	}
	columns := [columnCount]span{{data: data}, {data: data}, {data: data}, {data: data}}
	return newPageDecoder(d).decode(p, &columns, memory, pages...)
}

// pageDecoder decodes pages that follow one another to Columns. The directory says how many
// rows and bytes they have, so everything is written to its place.
type pageDecoder struct {
	directory          *directory
	buf                []byte
	n, keyBytes        int // of the columns
	row, keyEnd, valAt int // where the next page is written: row, and bytes in keys and vals

	// Memory that is used again, for each page and by other decoders.
	raw              []byte // room for what is read
	plain            []byte
	prefixes, others []int32 // of keys or values: bytes of the one before, and other bytes
	ints             []int64
}

// rawRoom is more than the pieces of a page take, unless keys or values are large.
const rawRoom = 16 << 10

var pageDecoders = sync.Pool{New: func() any { return &pageDecoder{raw: make([]byte, rawRoom)} }}

// newPageDecoder returns a decoder. Its end gives the decoder back; after an error it is given
// up, because a read may still be under way.
func newPageDecoder(d *directory) *pageDecoder {
	e := pageDecoders.Get().(*pageDecoder) //nolint:errcheck // it has nothing else
	e.directory = d
	return e
}

// plausible refuses a page that promises more bytes than its pieces can have, before memory is
// taken for them.
func (d *directory) plausible(p *dirPage, bytes *pieces) error {
	for _, c := range []struct {
		column, promised int
		asDelta          bool
	}{{columnKey, p.keyBytes, d.keysAsDelta}, {columnVal, p.valBytes, d.valsAsDelta}} {
		stored, err := s2.DecodedLen(bytes[c.column][p.columns[c.column].header:])
		if err != nil {
			return fmt.Errorf("column %s: %w", columnName(c.column), err)
		}
		most := uint64(stored)
		if c.asDelta { // each value may repeat all that was stored before it
			most *= uint64(p.rows) // no overflow: both are below 1<<32
		}
		if uint64(c.promised) > most {
			return fmt.Errorf("column %s: %d bytes of values, of %d that are stored", columnName(c.column), c.promised, stored)
		}
	}
	return nil
}

// decode decodes pages of which columns has all pieces. REQUIRES: the pages, or the whole part,
// have the right checksums.
func (e *pageDecoder) decode(p *Part, columns *[columnCount]span, memory func(size int) []byte, groups ...[]dirPage) (Columns, error) {
	each := func(do func(*dirPage, *pieces) error) error {
		for _, pages := range groups {
			for i := range pages {
				bytes := pages[i].piecesIn(columns)
				if err := do(&pages[i], &bytes); err != nil {
					return wire.Unreadable(p.Key, fmt.Errorf("page at byte %d: %w", pages[i].columns[0].at, err))
				}
			}
		}
		return nil
	}
	if err := each(e.directory.plausible); err != nil {
		return Columns{}, err
	}
	e.begin(memory, groups...)
	if err := each(e.add); err != nil {
		return Columns{}, err
	}
	return e.end(p)
}

// begin begins with some pages, which must be decoded in order. The result lies in the memory
// that memory returns.
func (e *pageDecoder) begin(memory func(size int) []byte, pages ...[]dirPage) {
	size := 0
	for _, some := range pages {
		for i := range some {
			e.n += some[i].rows
			e.keyBytes += some[i].keyBytes
			size += some[i].bytes()
		}
	}
	e.buf = memory(size)[:size]
}

// end returns the rows of all pages, and gives the decoder back.
func (e *pageDecoder) end(p *Part) (Columns, error) {
	c, err := columnsOver(e.buf, e.n, e.keyBytes)
	if err != nil {
		return Columns{}, wire.Unreadable(p.Key, err)
	}
	again := pageDecoder{raw: e.raw, plain: e.plain, prefixes: e.prefixes, others: e.others, ints: e.ints}
	if again.size() > mostKept {
		again = pageDecoder{raw: e.raw}
	}
	*e = again
	pageDecoders.Put(e)
	return c, nil
}

// mostKept is how many bytes of memory a decoder keeps for others.
const mostKept = 256 << 10

func (e *pageDecoder) size() int {
	return cap(e.plain) + 4*(cap(e.prefixes)+cap(e.others)) + 8*cap(e.ints)
}

// add decodes the next page. REQUIRES: plausible has accepted it.
func (e *pageDecoder) add(p *dirPage, bytes *pieces) (err error) {
	defer recoverParquet(&err)
	keys := e.buf[RowOverhead*e.n+e.keyEnd:][:p.keyBytes]
	vals := e.buf[RowOverhead*e.n+e.keyBytes+e.valAt:][:p.valBytes]
	for column, step := range [columnCount]func(body []byte) error{
		columnKey: func(body []byte) error {
			return e.byteArrays(e.directory.keysAsDelta, body, p.rows, keys, 16*e.n, e.keyEnd)
		},
		columnVal: func(body []byte) error {
			return e.byteArrays(e.directory.valsAsDelta, body, p.rows, vals, 20*e.n, e.valAt)
		},
		columnTime: func(body []byte) error { return e.integers(body, p.rows, 0) },
		columnDiff: func(body []byte) error { return e.integers(body, p.rows, 8*e.n) },
	} {
		body, err := e.body(p, bytes[column][p.columns[column].header:])
		if err == nil {
			err = step(body)
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", columnName(column), err)
		}
	}
	e.row, e.keyEnd, e.valAt = e.row+p.rows, e.keyEnd+p.keyBytes, e.valAt+p.valBytes
	return nil
}

// body returns the values of a piece, without compression. They are valid until the next
// call.
func (e *pageDecoder) body(p *dirPage, compressed []byte) ([]byte, error) {
	// Values take less than 9 bytes each beside their own, and the last block of integers
	// may be longer than that.
	const block = 4 << 10
	size, err := s2.DecodedLen(compressed)
	if err == nil && size > p.bytes()+block {
		err = fmt.Errorf("%d bytes of values in a page of %d", size, p.bytes())
	}
	if err != nil {
		return nil, err
	}
	if cap(e.plain) < size {
		e.plain = make([]byte, size)
	}
	return s2.Decode(e.plain[:size], compressed)
}

// byteArrays decodes rows keys or values to dst, which they fill. It writes their ends, from
// base on, at ends.
func (e *pageDecoder) byteArrays(asDelta bool, body []byte, rows int, dst []byte, ends, base int) (err error) {
	if asDelta {
		if e.prefixes, body, err = decodeLengths(e.prefixes, body, rows); err != nil {
			return err
		}
	}
	if e.others, body, err = decodeLengths(e.others, body, rows); err != nil {
		return err
	}
	if !asDelta {
		if len(body) != len(dst) {
			return fmt.Errorf("%d bytes of values, expected %d", len(body), len(dst))
		}
		copy(dst, body)
	}
	before, at := 0, 0 // where the value before begins, and the present one
	for i := range rows {
		prefix, other := 0, int(e.others[i])
		if asDelta {
			prefix = int(e.prefixes[i])
		}
		if prefix < 0 || prefix > at-before || other < 0 || other > len(body) || other > len(dst)-at-prefix {
			return fmt.Errorf("value %d of %d has %d bytes of the one before, and %d others", i, rows, prefix, other)
		}
		if asDelta {
			copy(dst[at:], dst[before:before+prefix])
			copy(dst[at+prefix:], body[:other])
		}
		body = body[other:]
		before, at = at, at+prefix+other
		binary.LittleEndian.PutUint32(e.buf[ends+4*(e.row+i):], uint32(base+at))
	}
	if at != len(dst) || len(body) > 0 {
		return fmt.Errorf("values of %d bytes and %d bytes behind them, expected %d", at, len(body), len(dst))
	}
	return nil
}

// integers decodes rows times or diffs to a column that begins at start.
func (e *pageDecoder) integers(body []byte, rows, start int) error {
	run, rest, err := packed(body, rows)
	if err == nil {
		e.ints, err = new(delta.BinaryPackedEncoding).DecodeInt64(e.ints[:0], run)
	}
	if err != nil {
		return err
	}
	if len(e.ints) != rows || len(rest) > 0 {
		return fmt.Errorf("%d values and %d bytes behind them, expected %d", len(e.ints), len(rest), rows)
	}
	for i, v := range e.ints {
		binary.LittleEndian.PutUint64(e.buf[start+8*(e.row+i):], uint64(v))
	}
	return nil
}
