package indexed

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// groupBytes is the size of encoded updates at which a row group of a part ends, unless
// it has keys or values of more than a 32nd of that. Who reads many parts side by side
// holds one of each. Smaller ones would not be worth a page for each column, a read, and
// their 5 KiB of the footer.
func (c *Config) groupBytes() int { return max(minGroupBytes, min(maxGroupBytes, c.PartBytes/8)) }

const maxGroupBytes = 512 << 10

// minGroupBytes is a variable for the sake of tests, whose parts are small.
var minGroupBytes = 64 << 10

// groupReader reads a part by its row groups, or in one piece.
type groupReader interface {
	count() int
	// size returns what a group takes in memory, about.
	size(i int) int
	// group returns the rows of a group. Each is to be read once before the next one is,
	// and may be read again.
	group(ctx context.Context, i int) (Columns, error)
}

// cached reads whole parts, through the cache.
type cached struct{ *blobs }

func (c cached) openPart(_ context.Context, p *part) (groupReader, error) {
	return wholePart{p, c.readPart}, nil
}

// uncached reads parts past the cache, by their row groups, unless they are in it.
type uncached struct{ *blobs }

func (u uncached) openPart(ctx context.Context, p *part) (groupReader, error) {
	if p.bytes <= u.groupBytes || u.has(p) {
		return wholePart{p, u.readPart}, nil
	}
	return u.openGroups(ctx, p)
}

func (u uncached) readPart(ctx context.Context, p *part) (Columns, error) {
	cols, _, err := u.readPast(ctx, p, newMemory)
	return cols, err
}

// wholePart is a part that is read in one piece.
type wholePart struct {
	part *part
	read func(ctx context.Context, p *part) (Columns, error)
}

func (w wholePart) count() int { return 1 }

func (w wholePart) size(int) int { return w.part.bytes }

func (w wholePart) group(ctx context.Context, _ int) (Columns, error) { return w.read(ctx, w.part) }

// partGroups reads a part by its row groups, which it fetches one at a time. Between
// reads it holds the footer, decoded, which takes about 5 KiB for each group.
//
// Opening it reads the file once to check it. The second read mostly comes from where the
// first has left it, the page cache for example.
type partGroups struct {
	part   *checkedPart
	file   *parquet.File
	groups []parquet.RowGroup

	read  int // groups that were read
	bytes int // what their updates take
}

// likelyFooter is as long as most footers are, with all that is behind them.
const likelyFooter = 12 << 10

// openGroups checks a part and reads its footer.
func (b *blobs) openGroups(ctx context.Context, p *part) (*partGroups, error) {
	b.metrics.cacheMisses.Inc()
	part, err := b.checkPart(ctx, p)
	if err != nil {
		return nil, err
	}
	end, err := part.read(ctx, max(0, p.size-likelyFooter), p.size)
	if err != nil {
		return nil, err
	}
	footer, err := footerBytes(end.data, p.size)
	if err != nil {
		return nil, unreadable(p.key, err)
	}
	if footer > int64(len(end.data)) {
		if end, err = part.read(ctx, p.size-footer, p.size); err != nil {
			return nil, err
		}
	}
	g := &partGroups{part: part}
	if g.file, err = openParquet(&end, p.size, p); err != nil {
		return nil, unreadable(p.key, err)
	}
	end.data = nil // file keeps end, but pages are read elsewhere
	g.groups = g.file.RowGroups()
	rows := int64(0)
	for _, group := range g.groups {
		n := group.NumRows()
		if n < 1 || n > int64(p.rows)-rows {
			return nil, unreadable(p.key, fmt.Errorf("a row group of %d rows after %d of %d", n, rows, p.rows))
		}
		rows += n
	}
	if rows != int64(p.rows) {
		return nil, unreadable(p.key, fmt.Errorf("%d rows in row groups, expected %d", rows, p.rows))
	}
	return g, nil
}

func (g *partGroups) count() int { return len(g.groups) }

func (g *partGroups) size(i int) int {
	_, _, room := g.extent(i)
	return room
}

func (g *partGroups) group(ctx context.Context, i int) (Columns, error) {
	p := g.part.part
	from, to, room := g.extent(i)
	if err := checkReadable(p.key, min(room, p.bytes)); err != nil {
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
		if g.read == len(g.groups) && g.bytes != p.bytes {
			err = fmt.Errorf("%d bytes of updates, expected %d", g.bytes, p.bytes)
		}
	}
	if err != nil {
		return Columns{}, unreadable(p.key, fmt.Errorf("row group %d: %w", i, err))
	}
	return cols, nil
}

// extent returns where the pages of a group lie in the file, and what its updates will
// take in memory, by its own account.
func (g *partGroups) extent(i int) (from, to int64, room int) {
	from, room = g.part.part.size, rowOverhead*int(g.groups[i].NumRows())
	columns := g.file.Metadata().RowGroups[i].Columns
	for c := range columns {
		m := &columns[c].MetaData
		from = min(from, m.DataPageOffset)
		to = max(to, m.DataPageOffset+m.TotalCompressedSize)
		room = asInt(uint64(room) + uint64(max(0, m.SizeStatistics.UnencodedByteArrayDataBytes)))
	}
	return from, to, room
}

// span is a piece of a file, as its reader sees it.
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

// footerBytes returns how long the footer is with all that follows it, from the end of a
// file of so many bytes. It makes sure that it fits: the Parquet library would allocate
// whatever length is written there. A file is magic, pages, footer, its length in four
// bytes, and magic.
func footerBytes(end []byte, size int64) (int64, error) {
	const magic, length = 4, 4
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
