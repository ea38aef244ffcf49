package indexed

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// maxBoundBytes is how long a key or value may be of which the footer of a part has the
// least and the greatest of a row group. The library writes them whole, so that a value of
// 8 MiB was stored three times, and one of 120 MiB made a footer that other readers refuse.
const maxBoundBytes = 4 << 10

// withoutLongBounds leaves bounds out of the footer of a part that are too long for it,
// which the format allows, and no reader of ours looks at. The page index still has their
// first bytes.
func withoutLongBounds(file *bytes.Buffer) error {
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
			if s := &columns[c].MetaData.Statistics; max(len(s.MinValue), len(s.MaxValue)) > maxBoundBytes {
				s.MinValue, s.MaxValue = nil, nil
			}
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
