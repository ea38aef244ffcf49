package indexed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/encoding"
)

// parquetRow is the schema of a part. docs/format.md describes it for other
// programs; columns are required, so they carry no levels.
type parquetRow struct {
	Key  []byte `parquet:"key,plain"`
	Val  []byte `parquet:"val,plain"`
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

// Metadata keys of a part. They are for people and other programs: the manifest
// says what a part is.
const (
	metaVersion = "tidemark.version"
	metaStream  = "tidemark.stream"
	metaBatch   = "tidemark.batch"
	metaPart    = "tidemark.part"
)

// partFormatVersion is bumped when a part can no longer be read by older programs.
const partFormatVersion = 1

// encodePart returns the Parquet file of a part. It writes whole columns through
// the page interface: rows would cost an allocation each.
func encodePart(c *Columns, stream string, b *batch, index int) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(c.Size()/2 + 4096)
	w := parquet.NewGenericWriter[parquetRow](&out, parquetSchema,
		parquet.Compression(&snappy.Codec{}),
		parquet.KeyValueMetadata(metaVersion, strconv.Itoa(partFormatVersion)),
		parquet.KeyValueMetadata(metaStream, stream),
		parquet.KeyValueMetadata(metaBatch, b.String()),
		parquet.KeyValueMetadata(metaPart, strconv.Itoa(index)),
		parquet.CreatedBy("tidemark", strconv.Itoa(partFormatVersion), ""),
	)
	rows := parquet.NewBuffer(parquetSchema)
	if err := fillBuffer(rows, c); err != nil {
		return nil, err
	}
	if _, err := w.WriteRowGroup(rows); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func fillBuffer(rows *parquet.Buffer, c *Columns) error {
	cols := rows.ColumnBuffers()
	n := c.Len()

	plain := make([]byte, 0, c.Size())
	for i := range n {
		plain = appendPlain(plain, c.Key(i))
	}
	if _, err := cols[columnKey].(parquet.ByteArrayWriter).WriteByteArrays(plain); err != nil {
		return err
	}
	plain = plain[:0]
	for i := range n {
		plain = appendPlain(plain, c.Val(i))
	}
	if _, err := cols[columnVal].(parquet.ByteArrayWriter).WriteByteArrays(plain); err != nil {
		return err
	}
	times, diffs := make([]uint64, n), make([]int64, n)
	for i := range n {
		times[i], diffs[i] = c.Time(i), c.Diff(i)
	}
	if _, err := cols[columnTime].(uint64Writer).WriteUint64s(times); err != nil {
		return err
	}
	_, err := cols[columnDiff].(parquet.Int64Writer).WriteInt64s(diffs)
	return err
}

// uint64Writer is what the library's buffers of unsigned columns implement; it
// exports such an interface for signed ones only.
type uint64Writer interface {
	WriteUint64s(values []uint64) (int, error)
}

func appendPlain(dst, b []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}

// decodePart reads a part. It accepts any Parquet file with our columns, whatever
// its row groups and encodings, but wants exactly as many rows as were promised
// and no more bytes than were promised, so that damage cannot make it allocate.
func decodePart(data []byte, p *part) (c Columns, err error) {
	// The Parquet library guards itself against most damage, but not all: bytes that
	// passed our checksum and still make it panic are damage that we wrote.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parquet: %v", r)
		}
	}()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)),
		parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return Columns{}, err
	}
	if err := checkSchema(f); err != nil {
		return Columns{}, err
	}
	if f.NumRows() != int64(p.rows) {
		return Columns{}, fmt.Errorf("%d rows, expected %d", f.NumRows(), p.rows)
	}
	d := newPartDecoder(p)
	for _, group := range f.RowGroups() {
		for i, chunk := range group.ColumnChunks() {
			if err := d.readChunk(i, chunk); err != nil {
				return Columns{}, fmt.Errorf("column %s: %w", parquetSchema.Columns()[i][0], err)
			}
		}
	}
	return d.finish()
}

func checkSchema(f *parquet.File) error {
	if v, ok := f.Lookup(metaVersion); ok && v != strconv.Itoa(partFormatVersion) {
		return fmt.Errorf("part of format version %s: this program reads version %d", v, partFormatVersion)
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

// partDecoder lays the columns of a part out as Columns does.
type partDecoder struct {
	rows, bytes int // as promised by the manifest
	fixed       []byte
	keys, vals  []byte
	filled      [columnCount]int // rows read so far
}

func newPartDecoder(p *part) *partDecoder {
	return &partDecoder{rows: p.rows, bytes: p.bytes, fixed: make([]byte, rowOverhead*p.rows, max(p.bytes, rowOverhead*p.rows))}
}

func (d *partDecoder) readChunk(column int, chunk parquet.ColumnChunk) error {
	pages := chunk.Pages()
	defer pages.Close()
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

func (d *partDecoder) readPage(column int, page parquet.Page) error {
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
		d.keys, err = d.appendByteArrays(d.keys, d.fixed[16*d.rows+4*at:], &data, n)
	case columnVal:
		d.vals, err = d.appendByteArrays(d.vals, d.fixed[20*d.rows+4*at:], &data, n)
	case columnTime:
		for i, t := range data.Uint64()[:n] {
			binary.LittleEndian.PutUint64(d.fixed[8*(at+i):], t)
		}
	case columnDiff:
		for i, v := range data.Int64()[:n] {
			binary.LittleEndian.PutUint64(d.fixed[8*(d.rows+at+i):], uint64(v))
		}
	}
	return err
}

func (d *partDecoder) appendByteArrays(dst, ends []byte, data *encoding.Values, n int) ([]byte, error) {
	values, offsets := data.ByteArray()
	if len(offsets) < n+1 {
		return nil, fmt.Errorf("%d offsets for %d values", len(offsets), n)
	}
	if len(dst)+len(values) > d.bytes {
		return nil, fmt.Errorf("more than %d bytes", d.bytes)
	}
	first, base := int(offsets[0]), len(dst)
	for i := range n {
		binary.LittleEndian.PutUint32(ends[4*i:], uint32(base+int(offsets[i+1])-first))
	}
	return append(dst, values[first:offsets[n]]...), nil
}

func (d *partDecoder) finish() (Columns, error) {
	for i, n := range d.filled {
		if n != d.rows {
			return Columns{}, fmt.Errorf("column %s has %d rows, expected %d", parquetSchema.Columns()[i][0], n, d.rows)
		}
	}
	if size := len(d.fixed) + len(d.keys) + len(d.vals); size != d.bytes {
		return Columns{}, fmt.Errorf("%d bytes of updates, expected %d", size, d.bytes)
	}
	return columnsOver(append(append(d.fixed, d.keys...), d.vals...), d.rows, len(d.keys))
}
