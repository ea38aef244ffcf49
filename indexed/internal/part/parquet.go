package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
)

// parquetRow is the schema of a part; docs/format.md describes it for other programs. All
// columns are required, so they have no levels.
type parquetRow struct {
	Key  []byte `parquet:"key"`
	Val  []byte `parquet:"val"`
	Time uint64 `parquet:"time,delta"`
	Diff int64  `parquet:"diff,delta"`
}

var parquetSchema = parquet.SchemaOf(parquetRow{})

const (
	columnKey = iota
	columnVal
	columnTime
	columnDiff
	columnCount
)

// Metadata keys of a part, for people and other programs. The engine does not depend on
// them: the manifest says what a part is. Only the version is checked.
const (
	metaVersion = "tidemark.version"
	metaStream  = "tidemark.stream"
	metaBatch   = "tidemark.batch"
	metaPart    = "tidemark.part"
)

// formatVersion is bumped when a part can no longer be read by older programs.
const formatVersion = 1

func columnName(column int) string { return parquetSchema.Columns()[column][0] }

// decodePart reads a part. It accepts any Parquet file with our columns, with any row
// groups and encodings. The file must have exactly the promised rows, and no more than the
// promised bytes: so damage cannot make it allocate. The result lies in the memory that
// memory returns.
func decodePart(data []byte, p *Part, memory func(size int) []byte) (c Columns, err error) {
	defer recoverParquet(&err)
	if _, err := footerBytes(data, int64(len(data))); err != nil {
		return Columns{}, err
	}
	file := span{data: data}
	f, err := openParquet(file, int64(len(data)), p)
	if err != nil {
		return Columns{}, err
	}
	d := newFileDecoder(p.Rows, p.Bytes, memory(max(p.Bytes, RowOverhead*p.Rows)))
	if err := d.readGroups(f.RowGroups(), file); err != nil {
		return Columns{}, err
	}
	if len(d.buf) != p.Bytes {
		return Columns{}, fmt.Errorf("%d bytes of updates, expected %d", len(d.buf), p.Bytes)
	}
	return d.finish()
}

// decodeGroup reads one row group of a part. data has its pages, and room is the memory
// that it takes by its own account. What the part promises bounds the group too.
func decodeGroup(group parquet.RowGroup, data span, p *Part, room int) (c Columns, err error) {
	defer recoverParquet(&err)
	rows := int(group.NumRows())
	d := newFileDecoder(rows, p.Bytes, make([]byte, max(RowOverhead*rows, min(room, p.Bytes))))
	if err := d.readGroups([]parquet.RowGroup{group}, data); err != nil {
		return Columns{}, err
	}
	return d.finish()
}

// recoverParquet turns a panic of the Parquet library into an error. The library checks for
// most damage, but not for all. Bytes that have passed our checksum and make it panic are
// damage that we have written.
func recoverParquet(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("parquet: %v", r)
	}
}

// openParquet reads the footer of a part. REQUIRES: footerBytes has accepted the file.
func openParquet(r io.ReaderAt, size int64, p *Part) (f *parquet.File, err error) {
	defer recoverParquet(&err)
	f, err = parquet.OpenFile(r, size, parquet.SkipMagicBytes(true),
		parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	if err := checkSchema(f); err != nil {
		return nil, err
	}
	if f.NumRows() != int64(p.Rows) {
		return nil, fmt.Errorf("%d rows, expected %d", f.NumRows(), p.Rows)
	}
	return f, nil
}

func checkSchema(f *parquet.File) error {
	if text, ok := f.Lookup(metaVersion); ok && text != strconv.Itoa(formatVersion) {
		if v, err := strconv.Atoi(text); err == nil && v > formatVersion {
			return wire.NewerFormat("part", v, formatVersion)
		}
		return fmt.Errorf("part of format version %q, which never was", text)
	}
	columns := f.Schema().Columns()
	want := parquetSchema.Columns()
	if len(columns) != columnCount {
		return fmt.Errorf("%d columns, expected %d", len(columns), columnCount)
	}
	for i := range want {
		if len(columns[i]) != 1 || columns[i][0] != want[i][0] {
			return fmt.Errorf("column %d is %v, expected %v", i, columns[i], want[i])
		}
		leaf, _ := f.Schema().Lookup(columns[i]...)
		expected, _ := parquetSchema.Lookup(want[i]...)
		if leaf.Node.Type().Kind() != expected.Node.Type().Kind() || !leaf.Node.Required() {
			return fmt.Errorf("column %s has another type", want[i][0])
		}
	}
	return nil
}

// fileDecoder decodes the columns of row groups into the layout of Columns. buf has room
// for all of them from the start.
type fileDecoder struct {
	rows, bytes int // as promised: exactly, and at most
	buf         []byte
	keyBytes    int
	filled      [columnCount]int // rows read so far
}

func newFileDecoder(rows, bytes int, buf []byte) *fileDecoder {
	return &fileDecoder{rows: rows, bytes: bytes, buf: buf[:RowOverhead*rows]}
}

// readGroups reads column by column, so that keys and values are written once, to their
// place.
func (d *fileDecoder) readGroups(groups []parquet.RowGroup, data span) error {
	for i := range columnCount {
		for _, group := range groups {
			chunk, ok := group.ColumnChunks()[i].(*parquet.FileColumnChunk)
			if !ok {
				return fmt.Errorf("column %s is not one of a file", columnName(i))
			}
			if err := d.readChunk(i, chunk.PagesFrom(data)); err != nil {
				return fmt.Errorf("column %s: %w", columnName(i), err)
			}
		}
	}
	return nil
}

func (d *fileDecoder) readChunk(column int, pages parquet.Pages) (err error) {
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = d.readPage(column, page)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

func (d *fileDecoder) readPage(column int, page parquet.Page) error {
	if page.Dictionary() != nil {
		return errors.New("dictionary-encoded page, which Tidemark does not write")
	}
	n, at := int(page.NumValues()), d.filled[column]
	if n > d.rows-at {
		return fmt.Errorf("more than %d rows", d.rows)
	}
	d.filled[column] += n
	data := page.Data()
	var err error
	switch column {
	case columnKey:
		err = d.appendByteArrays(16*d.rows+4*at, RowOverhead*d.rows, &data, n)
		d.keyBytes = len(d.buf) - RowOverhead*d.rows
	case columnVal:
		err = d.appendByteArrays(20*d.rows+4*at, RowOverhead*d.rows+d.keyBytes, &data, n)
	case columnTime:
		for i, t := range data.Uint64()[:n] {
			binary.LittleEndian.PutUint64(d.buf[8*(at+i):], t)
		}
	case columnDiff:
		for i, v := range data.Int64()[:n] {
			binary.LittleEndian.PutUint64(d.buf[8*(d.rows+at+i):], uint64(v))
		}
	}
	return err
}

// appendByteArrays appends values to the column that begins at start, and writes their ends
// at ends.
func (d *fileDecoder) appendByteArrays(ends, start int, data *encoding.Values, n int) error {
	values, offsets := data.ByteArray()
	if len(offsets) < n+1 {
		return fmt.Errorf("%d offsets for %d values", len(offsets), n)
	}
	values = values[offsets[0]:offsets[n]]
	if len(d.buf)+len(values) > d.bytes {
		return fmt.Errorf("more than %d bytes", d.bytes)
	}
	base := len(d.buf) - start - int(offsets[0])
	for i, end := range offsets[1 : n+1] {
		binary.LittleEndian.PutUint32(d.buf[ends+4*i:], uint32(base+int(end)))
	}
	d.buf = append(d.buf, values...)
	return nil
}

func (d *fileDecoder) finish() (Columns, error) {
	for i, n := range d.filled {
		if n != d.rows {
			return Columns{}, fmt.Errorf("column %s has %d rows, expected %d", columnName(i), n, d.rows)
		}
	}
	return columnsOver(d.buf, d.rows, d.keyBytes)
}
