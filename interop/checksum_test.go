package interop_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"

	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/thrift/lib/go/thrift"
	"github.com/stretchr/testify/require"
)

// encoded is a number as statistics hold it.
func encoded(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// requireChecksums recomputes the checksum of every page. Arrow does not look at
// them, so this walks the pages itself.
func requireChecksums(t require.TestingT, data []byte, group *metadata.RowGroupMetaData) {
	for column := range group.NumColumns() {
		chunk, err := group.ColumnChunk(column)
		require.NoError(t, err)
		pages := data[chunk.DataPageOffset():][:chunk.TotalCompressedSize()]
		require.NotEmpty(t, pages)
		for n := 0; len(pages) > 0; n++ {
			header := readPageHeader(t, pages)
			require.True(t, header.hasSum, "page %d of column %d has no checksum", n, column)
			body := pages[header.length:][:header.body]
			require.Equal(t, crc32.ChecksumIEEE(body), header.sum, "checksum of page %d of column %d", n, column)
			pages = pages[header.length+header.body:]
		}
	}
}

// pageHeader is what we want to know of a Parquet page's header.
type pageHeader struct {
	length int // of the header itself
	body   int
	sum    uint32
	hasSum bool
}

// The fields of a page header that count here, by their numbers in the format.
const (
	fieldCompressedSize = 3
	fieldChecksum       = 4
)

func readPageHeader(t require.TestingT, pages []byte) (h pageHeader) {
	ctx := context.Background()
	in := thrift.NewTMemoryBuffer()
	_, err := in.Write(pages)
	require.NoError(t, err)
	p := thrift.NewTCompactProtocolConf(in, nil)
	_, err = p.ReadStructBegin(ctx)
	require.NoError(t, err)
	for {
		_, kind, id, err := p.ReadFieldBegin(ctx)
		require.NoError(t, err)
		if kind == thrift.STOP {
			break
		}
		switch id {
		case fieldCompressedSize:
			size, err := p.ReadI32(ctx)
			require.NoError(t, err)
			h.body = int(size)
		case fieldChecksum:
			sum, err := p.ReadI32(ctx)
			require.NoError(t, err)
			h.sum, h.hasSum = uint32(sum), true
		default:
			require.NoError(t, p.Skip(ctx, kind))
		}
		require.NoError(t, p.ReadFieldEnd(ctx))
	}
	require.NoError(t, p.ReadStructEnd(ctx))
	h.length = len(pages) - int(in.RemainingBytes())
	return h
}
