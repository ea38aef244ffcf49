package part

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// fileEncoder writes rows as the Parquet file of a part: begin, add, finish, and again for
// another part with the same memory. It holds what is written so far in its compressed
// form, and a row group.
type fileEncoder struct {
	writer    *parquet.GenericWriter[parquetRow]
	unbounded [columnCount]bool // columns without bounds: see hasBounds
	columns   []*parquet.ColumnWriter
	rows      int // that it holds
	bytes     int // what they take in memory
	group     int // what those of the row group take that was begun
	largest   int // key or val in that row group
	most      int // of group, at which it ends: see groupEnds
	values    []parquet.Value
	out       bytes.Buffer
}

func newFileEncoder(cfg Config) *fileEncoder { return &fileEncoder{most: cfg.groupBytes()} }

// chunkRows and chunkBytes are how many rows an encoder is to be given at a time, and no
// more of them than fill a row group. A page ends with the chunk that fills it, so chunks
// are small beside the library's pages of 256 KiB.
const (
	chunkRows  = 1024
	chunkBytes = 64 << 10
)

// Info says what a part is to people and other programs.
type Info struct {
	Stream, Batch string
	Index         int // in the batch
}

// begin opens the file. Its first rows decide how it stores columns: rows are sorted, so
// keys, and perhaps vals, often begin as those before them do, and then only what differs
// is stored.
func (e *fileEncoder) begin(rows []Row, info Info) {
	e.unbounded = [columnCount]bool{columnKey: !hasBounds(rows, rowKey), columnVal: !hasBounds(rows, rowVal)}
	e.out.Reset()
	options := []parquet.WriterOption{
		parquetSchemas[asIndex(sharePrefixes(rows, rowKey))][asIndex(sharePrefixes(rows, rowVal))],
		parquet.DefaultEncodingFor(parquet.ByteArray, &parquet.DeltaLengthByteArray),
		parquet.Compression(&fastSnappy{}),
		parquet.WriteBufferSize(0), // out is one
		// Each page header would hold the least and the greatest value, whole and twice,
		// and readers refuse headers of megabytes. The page index has them, cut short.
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

// admits reports whether the rows can be in the part that was begun. If they cannot,
// another part is to begin with them.
func (e *fileEncoder) admits(rows []Row) bool {
	return (e.unbounded[columnKey] || hasBounds(rows, rowKey)) && (e.unbounded[columnVal] || hasBounds(rows, rowVal))
}

// add appends rows, which are not looked at any more when it returns.
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

// groupEnds reports whether the row group is large enough. The footer has the least and
// the greatest key and val of each, whole if it has them: that is to be little beside the
// group.
func (e *fileEncoder) groupEnds() bool {
	return e.group >= e.most && e.group >= 32*min(e.largest, maxBoundBytes)
}

// appendValues has a loop for each column because it is the innermost one of flushes and
// merges.
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

// finish returns the file, which is overwritten when the next part is begun.
func (e *fileEncoder) finish() ([]byte, error) {
	w := e.writer
	e.writer, e.columns, e.rows, e.bytes, e.group, e.largest = nil, nil, 0, 0, 0, 0
	e.out.Grow(int(w.Size()) - e.out.Len() + 4096) // Size counts what is there as well
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

// parquetSchemas are those for writing, by whether keys and vals are stored as what
// differs from the row before (in Parquet's words DELTA_BYTE_ARRAY) or as they are, one
// behind the other (DELTA_LENGTH_BYTE_ARRAY).
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

// sharePrefixes reports whether half of the bytes of a column are those that the row
// before has as well. Where they are not, storing only what differs costs as much as
// compression does, which finds most of what it would save.
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

// onesPrefix is as long as the bounds of a page are in its page index.
var onesPrefix = bytes.Repeat([]byte{0xff}, parquet.DefaultColumnIndexSizeLimit)

// hasBounds reports whether a column with such values may have bounds: the least and the
// greatest value of a row group in the footer, of a page in its page index. The first are
// whole, so the values must be short. The second are cut to the length of onesPrefix; a
// greatest value that is cut is rounded up to the next one of that length, and if there is
// none the index would exclude values that are in the page.
func hasBounds(rows []Row, value func(*Row) []byte) bool {
	for i := range rows {
		//museum:values-in-the-footer
		if v := value(&rows[i]); len(v) > maxBoundBytes || len(v) > 0 && v[0] == 0xff && bytes.HasPrefix(v, onesPrefix) {
			return false
		}
	}
	return true
}
