package part

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// maxBoundBytes is the greatest length of keys or values that have bounds. The library
// copies bounds whole, several times, and the footer has them whole: a value of 8 MiB was
// stored three times, and a value of 120 MiB made a footer that other readers refuse.
const maxBoundBytes = 4 << 10

// withoutColumnIndex removes all references to bounds of pages from the footer of a part.
// For a column without bounds the library writes empty bounds, and other readers would skip
// pages by them. The format allows to remove those of one column, but the library panics
// when it reads such a file. No reader of ours uses bounds of pages.
func withoutColumnIndex(file *bytes.Buffer) error {
	data := file.Bytes()
	size, err := footerBytes(data, int64(len(data)))
	if err != nil {
		return err
	}
	const behind = 8 // the footer's length and the magic
	at := len(data) - int(size)
	var footer format.FileMetaData
	protocol := new(thrift.CompactProtocol)
	if err := thrift.Unmarshal(protocol, data[at:len(data)-behind], &footer); err != nil {
		return fmt.Errorf("read the footer that was written: %w", err)
	}
	for i := range footer.RowGroups {
		columns := footer.RowGroups[i].Columns
		for c := range columns {
			columns[c].ColumnIndexOffset, columns[c].ColumnIndexLength = 0, 0
		}
	}
	short, err := thrift.Marshal(protocol, &footer)
	if err != nil {
		return fmt.Errorf("write a shorter footer: %w", err)
	}
	magic := bytes.Clone(data[len(data)-behind/2:])
	file.Truncate(at)
	file.Write(short)
	file.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(short))))
	file.Write(magic)
	return nil
}
