package part

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// checkedPart reads ranges of a part whose checksum was right as a whole. It compares each
// block with the block of the first read, for two reasons: a disk may read well once and
// badly later, and the Parquet library would allocate whatever a damaged page header says.
type checkedPart struct {
	blobs  *Store
	part   *Part
	blocks []uint64 // xxhash64 of each block
}

// checkBlock is the unit of the comparison. The sums of a part of 4 MiB take 2 KiB.
const checkBlock = 16 << 10

// checkPart reads a part in pieces and compares it with its checksum.
func (b *Store) checkPart(ctx context.Context, p *Part) (*checkedPart, error) {
	c := &checkedPart{blobs: b, part: p}
	whole := xxhash.New()
	piece := int64(max(1, b.groupBytes/checkBlock) * checkBlock)
	for at := int64(0); at < p.Size; at += piece {
		data, err := b.fetchRange(ctx, p, at, min(piece, p.Size-at), nil)
		if err != nil {
			return nil, err
		}
		_, _ = whole.Write(data)
		for block := range blocksOf(data) {
			c.blocks = append(c.blocks, xxhash.Sum64(block))
		}
	}
	//museum:unchecked-groups
	return c, checkSum(p, whole.Sum64())
}

// read returns the bytes [from, to), and some bytes around them.
func (c *checkedPart) read(ctx context.Context, from, to int64) (span, error) {
	if from < 0 || to > c.part.Size || from >= to {
		return span{}, wire.Unreadable(c.part.Key, fmt.Errorf("it refers to its bytes %d to %d, of %d", from, to, c.part.Size))
	}
	first := from / checkBlock
	from = first * checkBlock
	to = min(c.part.Size, (to+checkBlock-1)/checkBlock*checkBlock)
	data, err := c.blobs.fetchRange(ctx, c.part, from, to-from, nil)
	if err != nil {
		return span{}, err
	}
	for block := range blocksOf(data) {
		if xxhash.Sum64(block) != c.blocks[first] {
			return span{}, storage.Corruptf(c.part.Key, first*checkBlock, "%d bytes are not what they were a moment ago", len(block))
		}
		first++
	}
	return span{from, data}, nil
}

func blocksOf(data []byte) iter.Seq[[]byte] { return slices.Chunk(data, checkBlock) }
