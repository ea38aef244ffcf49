package part

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
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
	values    []parquet.Value
	out       bytes.Buffer
}

func newFileEncoder(cfg Config) *fileEncoder { return &fileEncoder{most: cfg.groupBytes()} }

// chunkRows and chunkBytes bound the rows that an encoder gets at once; it also gets no
// more than fill a row group. A page ends with the chunk that fills it, so chunks are small
// beside the library's pages of 256 KiB.
const (
	chunkRows  = 1024
	chunkBytes = 64 << 10
)

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
	options := []parquet.WriterOption{
		parquetSchemas[asIndex(sharePrefixes(rows, rowKey))][asIndex(sharePrefixes(rows, rowVal))],
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
	if e.groupEnds() {
		e.group, e.largest = 0, 0
		return e.writer.Flush()
	}
	return nil
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

// finish returns the file. The next begin overwrites it.
func (e *fileEncoder) finish() ([]byte, error) {
	w := e.writer
	e.writer, e.columns, e.rows, e.bytes, e.group, e.largest = nil, nil, 0, 0, 0, 0
	e.out.Grow(int(w.Size()) - e.out.Len() + 4096) // Size includes what out has already
	if err := w.Close(); err != nil {
		return nil, err
	}
	if slices.Contains(e.unbounded[:], true) {
		if err := withoutColumnIndex(&e.out); err != nil {
			return nil, err
		}
	}
	return e.out.Bytes(), nil
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
