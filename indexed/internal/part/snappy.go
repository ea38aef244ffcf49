package part

import (
	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/compress/snappy"
)

// fastSnappy is Snappy with an encoder that takes a third of the time of the library's own.
// That one finds better matches in text, and saves a few percent with them. Compression
// takes the most time of all when a batch is written.
type fastSnappy struct{ snappy.Codec }

// Encode implements compress.Codec.
func (fastSnappy) Encode(dst, src []byte) ([]byte, error) {
	return s2.EncodeSnappy(dst, src), nil
}
