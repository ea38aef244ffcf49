package indexed

import (
	"iter"
	"slices"

	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// tailChunk is updates of one stream: of the command at position from, or of all commands
// from there to the position through.
type tailChunk struct {
	from, through storage.SeqNo
	cols          Columns
}

// tail is the updates of a stream that are in the log and in no batch yet, by position. A
// copy of the struct is a copy of the tail: it does not change when chunks are appended to
// the original or dropped from it. So a snapshot of a tail costs nothing.
//
// A tail is a list of blocks of chunks. One slice of all chunks would be copied as a whole,
// under state.mu, whenever it grows.
//
// Small chunks that follow one another are packed into one. A header and an allocation for
// each row would take as much memory as the row, and a flush would visit each of them.
type tail struct {
	full  [][]tailChunk // blocks of tailBlock chunks; only the first may have fewer
	open  []tailChunk   // the newest chunks that are not loose; empty only if full is
	loose []tailChunk   // the newest chunks, not packed yet
	// looseBytes is the size of loose.
	looseBytes int
	// packs says that small chunks are packed. Followers must not pack: they learn later
	// where to drop, and a packed chunk could straddle that position.
	packs bool
}

const (
	tailBlock = 512
	// Chunks of up to looseChunk bytes are packed once there are packChunks of them, or
	// once they have packBytes together.
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

// pack packs the loose chunks. What is appended later goes to other chunks.
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

// drop drops the chunks up to a position, and returns the bytes of their updates. The tail
// does not refer to them any more.
//
// REQUIRES: if the tail packs, pack was called when that position was the newest. So no
// chunk straddles the position.
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

// chunks yields the chunks, oldest first. The caller must not change them.
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
