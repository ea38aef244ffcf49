package indexed

import (
	"math"

	"github.com/tidemark-go/tidemark/storage"
)

// logSize knows what a log takes: what the engine counts is what is stored.
type logSize struct{ sizer storage.LogSizer } // nil: the log does not tell

func sizeOf(log storage.LogReader) logSize {
	sizer, _ := log.(storage.LogSizer)
	return logSize{sizer}
}

// max is the most that one append may store.
func (s logSize) max() int64 {
	if s.sizer == nil {
		return math.MaxInt64
	}
	return s.sizer.MaxAppend()
}

// stored returns what one append of so many entries and bytes takes.
func (s logSize) stored(entries int, bytes int64) int64 {
	if s.sizer == nil {
		return bytes + unknownOverhead*int64(entries)
	}
	return s.sizer.StoredBytes(entries, bytes)
}

// unknownOverhead is what an entry is taken to cost beside its bytes in a log that does
// not tell: a length and a position.
const unknownOverhead = 16
