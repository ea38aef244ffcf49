package indexed

import (
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/internal/brief"
)

// tooLargeSum returns a function that makes the error for a sum that no int64 holds. The
// error ends the read of the stream.
func tooLargeSum(stream string) func(r *Row, carry int64) error {
	return func(r *Row, carry int64) error {
		return streamErrorf(stream, ErrOverflow,
			"the diffs of key %s, value %s at time %d add up to %d, which no int64 holds: write updates that retract some of it, or read the updates as they are stored",
			brief.Bytes(r.Key), brief.Bytes(r.Val), r.Time, part.WideSum(r, carry))
	}
}
