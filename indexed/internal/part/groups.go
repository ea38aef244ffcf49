package part

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
)

// groupReader reads a part by its row groups, or in one piece.
type groupReader interface {
	count() int
	// size returns about how many bytes of memory a group takes.
	size(i int) int
	// group returns the rows of a group. Groups must be read once each, in order; then a
	// group may be read again.
	group(ctx context.Context, i int) (Columns, error)
}

// Reader returns a reader of parts. It reads whole parts through the cache, or row groups
// past the cache.
func (b *Store) Reader(throughCache bool) Reader {
	if throughCache {
		return cached{b}
	}
	return uncached{b}
}

// cached reads whole parts through the cache.
type cached struct{ *Store }

func (c cached) open(_ context.Context, p *Part) (groupReader, error) {
	return wholePart{p, c.readCached}, nil
}

func (c cached) readCached(ctx context.Context, p *Part) (Columns, error) {
	cols, err := c.readPart(ctx, p)
	if err != nil {
		return Columns{}, err
	}
	return *cols, nil
}

// uncached reads row groups past the cache. A part that is in the cache is taken from
// there, and a part that is no larger than a row group is read whole.
type uncached struct{ *Store }

func (u uncached) open(ctx context.Context, p *Part) (groupReader, error) {
	if p.Bytes <= u.groupBytes || u.has(p) {
		return wholePart{p, u.readPart}, nil
	}
	if p.Directory.Len > 0 {
		d, err := u.directoryOf(ctx, p)
		return listedPart{u.Store, p, d}, err
	}
	return u.openGroups(ctx, p)
}

func (u uncached) readPart(ctx context.Context, p *Part) (Columns, error) {
	cols, _, err := u.readPast(ctx, p, newMemory)
	return cols, err
}

// wholePart is a part that is read in one piece.
type wholePart struct {
	part *Part
	read func(ctx context.Context, p *Part) (Columns, error)
}

func (w wholePart) count() int { return 1 }

func (w wholePart) size(int) int { return w.part.Bytes }

func (w wholePart) group(ctx context.Context, _ int) (Columns, error) { return w.read(ctx, w.part) }

// listedPart reads a part that has a directory by its row groups.
type listedPart struct {
	store     *Store
	part      *Part
	directory *directory
}

func (l listedPart) count() int { return len(l.directory.groups) }

func (l listedPart) size(i int) int { return l.directory.groups[i].bytes() }

func (l listedPart) group(ctx context.Context, i int) (Columns, error) {
	// The index is not added to the cache: it is used once.
	x, err := l.store.fetchIndex(ctx, l.part, l.directory, i)
	if err != nil {
		return Columns{}, err
	}
	return l.store.fetchPages(ctx, l.part, l.directory, x.pages)
}

// groupedPart reads a part of an older version, without a directory, by its row groups, one
// at a time. Between reads it holds the decoded footer, about 5 KiB for each group.
//
// To open it, the whole file is read and checked. So its bytes are read twice, but the
// second read mostly finds them where the first has left them, for example in the page
// cache.
type groupedPart struct {
	part   *checkedPart
	file   *parquet.File
	groups []parquet.RowGroup

	read  int // groups that were read
	bytes int // of the updates of these groups
}

// likelyFooter is the length of most footers, with everything behind them.
const likelyFooter = 12 << 10

// openGroups checks a part and reads its footer.
func (b *Store) openGroups(ctx context.Context, p *Part) (*groupedPart, error) {
	b.metrics.Misses.Inc()
	part, err := b.checkPart(ctx, p)
	if err != nil {
		return nil, err
	}
	end, err := part.read(ctx, max(0, p.Size-likelyFooter), p.Size)
	if err != nil {
		return nil, err
	}
	footer, err := footerBytes(end.data, p.Size)
	if err != nil {
		return nil, wire.Unreadable(p.Key, err)
	}
	if footer > int64(len(end.data)) {
		if end, err = part.read(ctx, p.Size-footer, p.Size); err != nil {
			return nil, err
		}
	}
	g := &groupedPart{part: part}
	if g.file, err = openParquet(&end, p.Size, p); err != nil {
		return nil, wire.Unreadable(p.Key, err)
	}
	end.data = nil // file keeps end, but does not read pages from it
	g.groups = g.file.RowGroups()
	rows := int64(0)
	for _, group := range g.groups {
		n := group.NumRows()
		if n < 1 || n > int64(p.Rows)-rows {
			return nil, wire.Unreadable(p.Key, fmt.Errorf("a row group of %d rows after %d of %d", n, rows, p.Rows))
		}
		rows += n
	}
	if rows != int64(p.Rows) {
		return nil, wire.Unreadable(p.Key, fmt.Errorf("%d rows in row groups, expected %d", rows, p.Rows))
	}
	return g, nil
}

func (g *groupedPart) count() int { return len(g.groups) }

func (g *groupedPart) size(i int) int {
	_, _, room := g.extent(i)
	return room
}

func (g *groupedPart) group(ctx context.Context, i int) (Columns, error) {
	p := g.part.part
	from, to, room := g.extent(i)
	if err := checkReadable(p.Key, min(room, p.Bytes)); err != nil {
		return Columns{}, err
	}
	data, err := g.part.read(ctx, from, to)
	if err != nil {
		return Columns{}, err
	}
	cols, err := decodeGroup(g.groups[i], data, p, room)
	if err == nil && i == g.read {
		g.read++
		g.bytes += cols.Size()
		if g.read == len(g.groups) && g.bytes != p.Bytes {
			err = fmt.Errorf("%d bytes of updates, expected %d", g.bytes, p.Bytes)
		}
	}
	if err != nil {
		return Columns{}, wire.Unreadable(p.Key, fmt.Errorf("row group %d: %w", i, err))
	}
	return cols, nil
}

// extent returns where the pages of a group are in the file, and how many bytes of memory
// its updates take according to the footer.
func (g *groupedPart) extent(i int) (from, to int64, room int) {
	from, room = g.part.part.Size, RowOverhead*int(g.groups[i].NumRows())
	columns := g.file.Metadata().RowGroups[i].Columns
	for c := range columns {
		m := &columns[c].MetaData
		from = min(from, m.DataPageOffset)
		to = max(to, m.DataPageOffset+m.TotalCompressedSize)
		room = AsInt(uint64(room) + uint64(max(0, m.SizeStatistics.UnencodedByteArrayDataBytes)))
	}
	return from, to, room
}

// span is a piece of a file that is in memory. It reads as the whole file does, within the
// piece.
type span struct {
	offset int64
	data   []byte
}

func (s span) ReadAt(p []byte, offset int64) (int, error) {
	at := offset - s.offset
	if at < 0 || at > int64(len(s.data)) {
		return 0, fmt.Errorf("byte %d, where only %d to %d were to be read: %w", offset, s.offset, s.offset+int64(len(s.data)), io.ErrUnexpectedEOF)
	}
	n := copy(p, s.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// magicBytes is the length of the magic at both ends of a Parquet file.
const magicBytes = 4

// footerBytes returns the length of the footer with everything behind it, from the end of a
// file of so many bytes. It makes sure that the footer fits into the file: the Parquet
// library would allocate any length that is written there. A file is magic, pages, footer,
// four bytes for the length of the footer, and magic.
func footerBytes(end []byte, size int64) (int64, error) {
	const magic, length = magicBytes, 4
	if size < 2*magic+length || len(end) < magic+length {
		return 0, fmt.Errorf("%d bytes are too few for a Parquet file", size)
	}
	footer := int64(binary.LittleEndian.Uint32(end[len(end)-magic-length:]))
	//museum:footer-length
	if room := size - 2*magic - length; footer > room {
		return 0, fmt.Errorf("footer of %d bytes, where %d are left", footer, room)
	}
	return footer + length + magic, nil
}
