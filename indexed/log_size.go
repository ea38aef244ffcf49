package indexed

import (
	"math"

	"github.com/tidemark-go/tidemark/storage"
)

// logSize tells how many bytes a log stores for an append, so that the engine counts what
// is stored.
type logSize struct{ sizer storage.LogSizer } // nil: the log does not tell

func sizeOf(log storage.LogReader) logSize {
	sizer, _ := log.(storage.LogSizer)
	return logSize{sizer}
}

// max returns the most bytes that one append may store.
func (s logSize) max() int64 {
	if s.sizer == nil {
		return math.MaxInt64
	}
	return s.sizer.MaxAppend()
}

// stored returns how many bytes one append stores for so many entries and bytes.
func (s logSize) stored(entries int, bytes int64) int64 {
	if s.sizer == nil {
		return bytes + unknownOverhead*int64(entries)
	}
	return s.sizer.StoredBytes(entries, bytes)
}

// unknownOverhead is an estimate of what a log stores for an entry beside its bytes, a
// length and a position, if the log does not tell.
const unknownOverhead = 16
