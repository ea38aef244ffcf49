package part

import (
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/delta"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
)

// packed splits a run of n integers, in the encoding DELTA_BINARY_PACKED, from what is behind
// it. It checks that the run is whole.
//
// It comes before the decoder of the Parquet library, which trusts what it reads: that one
// allocates as many integers as the run begins by saying, up to 8 GiB, and of a run that was
// cut short it takes what an earlier page has left in memory.
func packed(body []byte, n int) (run, rest []byte, err error) {
	const maxBlock, maxWidth = 1 << 16, 64
	r := wire.NewReader(body, 0)
	block, runs, count := r.Uvarint(), r.Uvarint(), r.Uvarint()
	r.Uvarint() // the first integer
	switch {
	case r.Err() != nil:
	case count != uint64(n):
		r.Fail(fmt.Errorf("%d integers, expected %d", count, n))
	case runs == 0 || block == 0 || block > maxBlock || block%runs != 0 || block%128 != 0 || block/runs%32 != 0:
		r.Fail(fmt.Errorf("blocks of %d integers in %d pieces", block, runs))
	}
	for left := n - 1; left > 0 && r.Err() == nil; {
		r.Uvarint() // the least difference in the block
		for _, width := range r.Bytes(int(runs)) {
			if left <= 0 {
				break
			}
			if width > maxWidth {
				r.Fail(fmt.Errorf("integers of %d bits", width))
			}
			of := int(block / runs)
			r.Bytes(of * int(width) / 8)
			left -= of
		}
	}
	if r.Err() != nil {
		return nil, nil, r.Err()
	}
	end := len(body) - r.Remaining()
	return body[:end:end], body[end:], nil
}

// decodeLengths decodes n lengths, and returns what is behind them. It uses the memory of dst.
func decodeLengths(dst []int32, body []byte, n int) (lengths []int32, rest []byte, err error) {
	run, rest, err := packed(body, n)
	if err != nil {
		return dst, nil, err
	}
	lengths, err = new(delta.BinaryPackedEncoding).DecodeInt32(dst[:0], run)
	if err == nil && len(lengths) != n {
		err = fmt.Errorf("%d lengths, expected %d", len(lengths), n)
	}
	return lengths, rest, err
}
