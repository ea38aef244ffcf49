package part

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// fileEncoder writes rows as the Parquet file of a part. Its calls are begin, add, finish,
// and then begin again for another part in the same memory. It holds the compressed file so
// far, and a row group.
type fileEncoder struct {
	writer    *parquet.GenericWriter[parquetRow]
	unbounded [columnCount]bool // columns without bounds: see hasBounds
	columns   []*parquet.ColumnWriter
	rows      int // rows of the part so far
	bytes     int // of these rows, in memory
	group     int // of the rows of the present row group, in memory
	largest   int // the longest key or val of that row group
	most      int // value of group at which the row group ends: see groupEnds
	page      int // of the rows of the present page, in memory
	pageMost  int // value of page at which the page ends
	directory directoryBuilder
	values    []parquet.Value
	out       bytes.Buffer
}

func newFileEncoder(cfg Config) *fileEncoder {
	return &fileEncoder{most: cfg.groupBytes(), pageMost: cfg.pageBytes()}
}

// chunkRows bounds the rows that an encoder gets at once. It also gets no more than fill the
// page: see room.
const chunkRows = 1024

// room returns how many bytes of rows fill the present page.
func (e *fileEncoder) room() int { return e.pageMost - e.page }

// Info describes a part for people and other programs.
type Info struct {
	Stream, Batch string
	Index         int // in the batch
}

// begin begins a file. The first rows decide how it stores columns. Rows are sorted, so a
// key often begins like the key before it, and perhaps a val like the val before. Then only
// the difference is stored.
func (e *fileEncoder) begin(rows []Row, info Info) {
	e.unbounded = [columnCount]bool{columnKey: !hasBounds(rows, rowKey), columnVal: !hasBounds(rows, rowVal)}
	e.out.Reset()
	keysAsDelta, valsAsDelta := sharePrefixes(rows, rowKey), sharePrefixes(rows, rowVal)
	e.directory.begin(keysAsDelta, valsAsDelta)
	options := []parquet.WriterOption{
		parquetSchemas[asIndex(keysAsDelta)][asIndex(valsAsDelta)],
		parquet.DefaultEncodingFor(parquet.ByteArray, &parquet.DeltaLengthByteArray),
		parquet.Compression(&fastSnappy{}),
		parquet.WriteBufferSize(0), // out is a buffer already
		// With statistics each page header would hold the least and the greatest value,
		// whole and twice, and readers refuse headers of megabytes. The page index has
		// them, cut short.
		//museum:copies-in-page-headers
		parquet.DataPageStatistics(false),
		parquet.KeyValueMetadata(metaVersion, strconv.Itoa(formatVersion)),
		parquet.KeyValueMetadata(metaStream, info.Stream),
		parquet.KeyValueMetadata(metaBatch, info.Batch),
		parquet.KeyValueMetadata(metaPart, strconv.Itoa(info.Index)),
		parquet.CreatedBy("tidemark", strconv.Itoa(formatVersion), ""),
	}
	for column, without := range e.unbounded {
		if without {
			options = append(options, parquet.SkipPageBounds(columnName(column)))
		}
	}
	e.writer = parquet.NewGenericWriter[parquetRow](&e.out, options...)
	e.columns = e.writer.ColumnWriters()
}

// admits reports whether the rows fit the present part. If not, another part must begin
// with them.
func (e *fileEncoder) admits(rows []Row) bool {
	return (e.unbounded[columnKey] || hasBounds(rows, rowKey)) && (e.unbounded[columnVal] || hasBounds(rows, rowVal))
}

// add appends rows. It does not keep them.
func (e *fileEncoder) add(rows []Row) error {
	if e.page == 0 {
		e.directory.beginPage(rows[0].Key)
	}
	e.directory.add(rows)
	for column := range columnCount {
		e.values = appendValues(e.values[:0], rows, column)
		if _, err := e.columns[column].WriteRowValues(e.values); err != nil {
			return fmt.Errorf("column %s: %w", columnName(column), err)
		}
	}
	bytes := 0
	for i := range rows {
		bytes += RowBytes(&rows[i])
		e.largest = max(e.largest, len(rows[i].Key), len(rows[i].Val))
	}
	e.rows += len(rows)
	e.bytes += bytes
	e.group += bytes
	e.page += bytes
	if e.page < e.pageMost {
		return nil
	}
	if e.groupEnds() {
		return e.endGroup()
	}
	return e.endPage()
}

// endPage ends the page in all columns at once, so that pages of all columns have the same
// rows.
func (e *fileEncoder) endPage() error {
	e.page = 0
	for column, c := range e.columns {
		if err := c.Flush(); err != nil {
			return fmt.Errorf("column %s: %w", columnName(column), err)
		}
	}
	return nil
}

func (e *fileEncoder) endGroup() error {
	if err := e.endPage(); err != nil {
		return err
	}
	e.group, e.largest = 0, 0
	if err := e.directory.endGroup(); err != nil {
		return err
	}
	return e.writer.Flush()
}

// groupEnds reports whether the row group is large enough. The footer has the least and the
// greatest key and val of each group, whole if the column has bounds. They must be small
// beside the group.
func (e *fileEncoder) groupEnds() bool {
	return e.group >= e.most && e.group >= 32*min(e.largest, maxBoundBytes)
}

// appendValues has a loop for each column: it is the innermost loop of flushes and merges.
func appendValues(dst []parquet.Value, rows []Row, column int) []parquet.Value {
	switch column {
	case columnKey:
		for i := range rows {
			dst = append(dst, parquet.ByteArrayValue(rows[i].Key))
		}
	case columnVal:
		for i := range rows {
			dst = append(dst, parquet.ByteArrayValue(rows[i].Val))
		}
	case columnTime:
		for i := range rows {
			dst = append(dst, parquet.Int64Value(int64(rows[i].Time)))
		}
	case columnDiff:
		for i := range rows {
			dst = append(dst, parquet.Int64Value(rows[i].Diff))
		}
	}
	return dst
}

// begins returns the separator of the part. last is the last key of the part before, if there
// was one.
func (e *fileEncoder) begins(last []byte, first bool) ([]byte, bool) {
	separator, clean := separatorOf(last, e.directory.first, first)
	return bytes.Clone(separator), clean
}

// finish returns the file, and where its directory is. The next begin overwrites the file.
func (e *fileEncoder) finish() ([]byte, Region, error) {
	w := e.writer
	if e.group > 0 {
		if err := e.endGroup(); err != nil {
			return nil, Region{}, err
		}
	}
	e.writer, e.columns, e.rows, e.bytes = nil, nil, 0, 0
	e.out.Grow(int(w.Size()) - e.out.Len() + 4096) // Size includes what out has already
	if err := w.Close(); err != nil {
		return nil, Region{}, err
	}
	return e.complete(w.File().Metadata())
}

// complete puts the indexes and the directory before the footer, and writes the footer anew.
func (e *fileEncoder) complete(footer *format.FileMetaData) ([]byte, Region, error) {
	data := e.out.Bytes()
	size, err := footerBytes(data, int64(len(data)))
	if err != nil {
		return nil, Region{}, err
	}
	magic := bytes.Clone(data[len(data)-magicBytes:])
	data = withoutColumnIndex(data[:int64(len(data))-size], footer)
	indexes, err := e.directory.indexes(data, footer)
	if err != nil {
		return nil, Region{}, err
	}
	e.out.Truncate(len(data))
	e.out.Write(indexes)
	region := Region{At: int64(e.out.Len())}
	directory := e.directory.directory.appendTo(e.out.AvailableBuffer())
	e.out.Write(directory)
	region.Len, region.Sum = len(directory), xxhash.Sum64(directory)
	end, err := thrift.Marshal(new(thrift.CompactProtocol), footer)
	if err != nil {
		return nil, Region{}, fmt.Errorf("footer: %w", err)
	}
	e.out.Write(end)
	e.out.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(end))))
	e.out.Write(magic)
	return e.out.Bytes(), region, nil
}

func rowKey(r *Row) []byte { return r.Key }
func rowVal(r *Row) []byte { return r.Val }

// parquetSchemas are the schemas for writing. The first index says whether keys are stored
// as differences from the row before (DELTA_BYTE_ARRAY in Parquet) or as they are
// (DELTA_LENGTH_BYTE_ARRAY), the second says the same of vals.
var parquetSchemas = [2][2]*parquet.Schema{
	{parquetSchema, parquet.SchemaOf(parquetRow{}, valAsDelta)},
	{parquet.SchemaOf(parquetRow{}, keyAsDelta), parquet.SchemaOf(parquetRow{}, keyAsDelta, valAsDelta)},
}

var (
	keyAsDelta = parquet.StructTag(`parquet:"key,delta"`, "Key")
	valAsDelta = parquet.StructTag(`parquet:"val,delta"`, "Val")
)

func asIndex(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sharePrefixes reports whether half of the bytes of a column are equal to the beginning of
// the row before. If they are not, storing differences costs as much time as compression,
// and saves little more.
func sharePrefixes(rows []Row, value func(*Row) []byte) bool {
	total, shared := 0, 0
	for i := range rows {
		v := value(&rows[i])
		total += len(v)
		if i > 0 {
			shared += sharedPrefix(value(&rows[i-1]), v)
		}
	}
	return 2*shared > total
}

func sharedPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// onesPrefix is as long as a bound in a page index.
var onesPrefix = bytes.Repeat([]byte{0xff}, parquet.DefaultColumnIndexSizeLimit)

// hasBounds reports whether a column with such values may have bounds. Bounds are the least
// and the greatest value of a row group, in the footer, and of a page, in its page index.
//
// The footer has whole values, so values must be short. The page index has the first bytes
// of them, as many as onesPrefix has, and a greatest value that is cut is rounded up. A
// value that begins with onesPrefix cannot be rounded up: the index would exclude values of
// the page.
func hasBounds(rows []Row, value func(*Row) []byte) bool {
	for i := range rows {
		//museum:values-in-the-footer
		if v := value(&rows[i]); len(v) > maxBoundBytes || len(v) > 0 && v[0] == 0xff && bytes.HasPrefix(v, onesPrefix) {
			return false
		}
	}
	return true
}
