package indexed

import (
	"iter"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// tailChunk is the data of one command for one stream.
type tailChunk struct {
	seqno storage.SeqNo
	cols  Columns
}

// tail is the data of a stream that is in the log and not in a batch yet, ascending by
// position. A copy of the struct is a copy of the tail: it stays as it is while chunks
// are appended to the original or dropped from it, so that a snapshot costs nothing.
//
// It is a list of blocks, since one slice of all chunks would be copied as a whole, under
// state.mu, whenever it grows.
type tail struct {
	full [][]tailChunk // blocks, of which only the first may have fewer than tailBlock
	open []tailChunk   // the newest chunks; not empty unless the tail is
}

const tailBlock = 512

func (t *tail) empty() bool { return len(t.open) == 0 }

// first returns the oldest chunk. REQUIRES: the tail is not empty.
func (t *tail) first() *tailChunk {
	if len(t.full) > 0 {
		return &t.full[0][0]
	}
	return &t.open[0]
}

func (t *tail) append(c tailChunk) {
	if len(t.open) == tailBlock {
		t.full = append(t.full, t.open)
		t.open = nil
	}
	t.open = append(t.open, c)
}

// drop forgets the chunks up to a position and returns the bytes of their updates. They
// are not reachable through the tail any more.
func (t *tail) drop(through storage.SeqNo) (bytes int64) {
	i := 0
	for ; i < len(t.full); i++ {
		block := t.full[i]
		if block[len(block)-1].seqno > through {
			break
		}
		bytes += sizeOfChunks(block)
	}
	after := func(block []tailChunk) []tailChunk {
		n := 0
		for n < len(block) && block[n].seqno <= through {
			n++
		}
		bytes += sizeOfChunks(block[:n])
		if n == 0 {
			return block
		}
		return slices.Clone(block[n:])
	}
	if i == len(t.full) {
		t.full, t.open = nil, after(t.open)
		return bytes
	}
	if first := after(t.full[i]); i > 0 || len(first) < len(t.full[i]) {
		t.full = slices.Concat([][]tailChunk{first}, t.full[i+1:])
	}
	return bytes
}

func sizeOfChunks(chunks []tailChunk) (bytes int64) {
	for i := range chunks {
		bytes += int64(chunks[i].cols.Size())
	}
	return bytes
}

// chunks yields the chunks, oldest first. They must not be changed.
func (t *tail) chunks() iter.Seq[*tailChunk] {
	return func(yield func(*tailChunk) bool) {
		for _, block := range t.full {
			for i := range block {
				if !yield(&block[i]) {
					return
				}
			}
		}
		for i := range t.open {
			if !yield(&t.open[i]) {
				return
			}
		}
	}
}

// columns returns the data of all chunks.
func (t *tail) columns() []Columns {
	cols := make([]Columns, 0, tailBlock*len(t.full)+len(t.open))
	for c := range t.chunks() {
		cols = append(cols, c.cols)
	}
	return cols
}
