package part

import (
	"bytes"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// maxBoundBytes is the greatest length of keys or values that have bounds. The library
// copies bounds whole, several times, and the footer has them whole: a value of 8 MiB was
// stored three times, and a value of 120 MiB made a footer that other readers refuse.
const maxBoundBytes = 4 << 10

// withoutColumnIndex returns the pages and the offset indexes of a file that was written, and
// removes the column indexes from its footer: the bounds of pages. Pages are small, so their
// bounds would take more than a hundredth of the file. No reader of ours uses them, and those of
// columns without bounds are wrong: the library writes empty ones.
func withoutColumnIndex(file []byte, footer *format.FileMetaData) []byte {
	end := int64(0)
	for i := range footer.RowGroups {
		for _, c := range footer.RowGroups[i].Columns {
			end = max(end, c.MetaData.DataPageOffset+c.MetaData.TotalCompressedSize)
		}
	}
	out := file[:end]
	for i := range footer.RowGroups {
		columns := footer.RowGroups[i].Columns
		for c := range columns {
			c := &columns[c]
			index := file[c.OffsetIndexOffset:][:c.OffsetIndexLength]
			c.OffsetIndexOffset, c.ColumnIndexOffset, c.ColumnIndexLength = int64(len(out)), 0, 0
			out = append(out, index...)
		}
	}
	return out
}

// decodeThrift reads a Thrift structure at the beginning of data, and returns what is behind
// it.
func decodeThrift(data []byte, structure any) (rest []byte, err error) {
	r := bytes.NewReader(data)
	if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(r)).Decode(structure); err != nil {
		return nil, err
	}
	return data[len(data)-r.Len():], nil
}
