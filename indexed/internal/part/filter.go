package part

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// filter tells for most keys that are not in a row group that they are not there. It is a
// Parquet split-block Bloom filter of the xxhash64 of keys, as it is stored: blocks of eight
// little-endian words.
type filter []byte

// saltOfWord chooses a bit of each word of a block: the constants of the Parquet format.
var saltOfWord = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

// mayHave reports whether the group may have a key.
func (f filter) mayHave(key []byte) bool {
	hash := xxhash.Sum64(key)
	at := hash >> 32 * uint64(len(f)/bloom.BlockSize) >> 32 * bloom.BlockSize
	block := f[at:][:bloom.BlockSize]
	for i, salt := range saltOfWord {
		if bit := uint32(hash) * salt >> 27; binary.LittleEndian.Uint32(block[4*i:])>>bit&1 == 0 {
			return false
		}
	}
	return true
}

// filterBits is how many bits a filter has for each key. A filter of blocks of 256 bits says
// of one in a hundred absent keys that they may be there.
const filterBits = 10

// appendFilter writes a filter of keys with these hashes as Parquet does: a header, and the
// blocks.
func appendFilter(dst []byte, hashes []uint64) ([]byte, error) {
	f := make(bloom.SplitBlockFilter, bloom.NumSplitBlocksOf(int64(len(hashes)), filterBits))
	f.InsertBulk(hashes)
	header, err := thrift.Marshal(new(thrift.CompactProtocol), &format.BloomFilterHeader{
		NumBytes:    int32(len(f) * bloom.BlockSize),
		Algorithm:   format.BloomFilterAlgorithm{Value: &format.SplitBlockAlgorithm{}},
		Hash:        format.BloomFilterHash{Value: &format.XxHash{}},
		Compression: format.BloomFilterCompression{Value: &format.BloomFilterUncompressed{}},
	})
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	dst = append(dst, header...)
	for i := range f {
		for _, word := range f[i] {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(word))
		}
	}
	return dst, nil
}

// decodeFilter reads what appendFilter has written. The filter keeps the memory of data.
func decodeFilter(data []byte) (f filter, err error) {
	defer recoverParquet(&err)
	var header format.BloomFilterHeader
	rest, err := decodeThrift(data, &header)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	if int(header.NumBytes) != len(rest) || len(rest) == 0 || len(rest)%bloom.BlockSize != 0 {
		return nil, fmt.Errorf("filter of %d bytes in %d", header.NumBytes, len(rest))
	}
	return rest, nil
}
