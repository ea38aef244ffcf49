package indexed

import (
	"iter"
	"slices"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// tailChunk is data for one stream: of the command at from, or of all commands from
// there through another one.
type tailChunk struct {
	from, through storage.SeqNo
	cols          Columns
}

// tail is the data of a stream that is in the log and not in a batch yet, ascending by
// position. A copy of the struct is a copy of the tail: it stays as it is while chunks
// are appended to the original or dropped from it, so that a snapshot costs nothing.
//
// It is a list of blocks, since one slice of all chunks would be copied as a whole, under
// state.mu, whenever it grows. Small chunks that follow one another are packed into one:
// a header and an allocation for each row would be as large as the row, and a flush would
// look for every row elsewhere.
type tail struct {
	full  [][]tailChunk // blocks, of which only the first may have fewer than tailBlock
	open  []tailChunk   // the newest that are not loose; not empty unless full is
	loose []tailChunk   // the newest chunks, which are to be packed
	// looseBytes is the size of loose.
	looseBytes int
	// packs: small chunks are packed. It is not for those who drop chunks at positions that
	// they do not know before, as followers do.
	packs bool
}

const (
	tailBlock = 512
	// Chunks of up to looseChunk bytes are packed when there are packChunks of them, or
	// packBytes in all.
	looseChunk = 4 << 10
	packChunks = 256
	packBytes  = 64 << 10
)

func (t *tail) empty() bool { return len(t.open) == 0 && len(t.loose) == 0 }

// first returns the oldest position. REQUIRES: the tail is not empty.
func (t *tail) first() storage.SeqNo {
	switch {
	case len(t.full) > 0:
		return t.full[0][0].from
	case len(t.open) > 0:
		return t.open[0].from
	}
	return t.loose[0].from
}

func (t *tail) append(c tailChunk) {
	if !t.packs || c.cols.Size() > looseChunk {
		t.pack()
		t.push(c)
		return
	}
	t.loose = append(t.loose, c)
	t.looseBytes += c.cols.Size()
	if len(t.loose) == packChunks || t.looseBytes >= packBytes {
		t.pack()
	}
}

func (t *tail) push(c tailChunk) {
	if len(t.open) == tailBlock {
		t.full = append(t.full, t.open)
		t.open = nil
	}
	t.open = append(t.open, c)
}

// pack packs what is loose. What is appended later is in other chunks.
func (t *tail) pack() {
	switch n := len(t.loose); n {
	case 0:
		return
	case 1:
		t.push(t.loose[0])
	default:
		t.push(tailChunk{t.loose[0].from, t.loose[n-1].through, part.Concat(columnsOf(t.loose))})
	}
	t.loose, t.looseBytes = nil, 0
}

func columnsOf(chunks []tailChunk) []Columns {
	cols := make([]Columns, len(chunks))
	for i := range chunks {
		cols[i] = chunks[i].cols
	}
	return cols
}

// drop forgets the chunks up to a position and returns the bytes of their updates. They
// are not reachable through the tail any more.
//
// REQUIRES: if the tail packs, it was packed when that position was the newest, so
// that no chunk reaches across it.
func (t *tail) drop(through storage.SeqNo) (bytes int64) {
	i := 0
	for ; i < len(t.full); i++ {
		block := t.full[i]
		if block[len(block)-1].through > through {
			break
		}
		bytes += sizeOfChunks(block)
	}
	after := func(block []tailChunk) []tailChunk {
		n := 0
		for n < len(block) && block[n].through <= through {
			n++
		}
		bytes += sizeOfChunks(block[:n])
		if n == 0 {
			return block
		}
		return slices.Clone(block[n:])
	}
	if i < len(t.full) {
		if first := after(t.full[i]); i > 0 || len(first) < len(t.full[i]) {
			t.full = slices.Concat([][]tailChunk{first}, t.full[i+1:])
		}
		return bytes
	}
	t.full, t.open = nil, after(t.open)
	if len(t.open) == 0 {
		dropped := bytes
		t.loose = after(t.loose)
		t.looseBytes -= int(bytes - dropped)
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
		for _, block := range [][]tailChunk{t.open, t.loose} {
			for i := range block {
				if !yield(&block[i]) {
					return
				}
			}
		}
	}
}

// columns returns the data of all chunks.
func (t *tail) columns() []Columns {
	cols := make([]Columns, 0, tailBlock*len(t.full)+len(t.open)+len(t.loose))
	for c := range t.chunks() {
		cols = append(cols, c.cols)
	}
	return cols
}
