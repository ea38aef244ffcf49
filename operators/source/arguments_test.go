package source_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/source"
)

// Any number is one: what a source emits does not depend on its limits, and what it takes
// does not follow them.
func TestAnyLimit(t *testing.T) {
	limits := map[string]source.BatchOption{
		"no option":                source.MaxBatchUpdates(0),
		"updates, most":            source.MaxBatchUpdates(math.MaxInt),
		"updates, nearly":          source.MaxBatchUpdates(math.MaxInt/2 + 1),
		"updates, one":             source.MaxBatchUpdates(1),
		"bytes, most":              source.MaxBatchBytes(math.MaxInt64),
		"bytes, nearly":            source.MaxBatchBytes(math.MaxInt64/2 + 1),
		"bytes, one":               source.MaxBatchBytes(1),
		"pending, most":            source.MaxPendingBytes(math.MaxInt64),
		"pending, one":             source.MaxPendingBytes(1),
		"as of the last time":      source.AsOf(frontier.At(math.MaxUint64)),
		"as of the time before it": source.AsOf(frontier.At(math.MaxUint64 - 1)),
	}
	for name, limit := range limits {
		for other, and := range limits {
			s := newStream(t)
			s.append(at("a", "1", 0, 1), at("a", "2", 1, 1), at("b", "1", 5, 1), at("b", "1", math.MaxUint64, 1))
			s.seal(2)
			src := source.NewBatches(s.ctx, s.read, limit, and)
			s.append(at("c", "1", 2, 1), at("d", "1", math.MaxUint64-1, 1))
			s.seal(7)
			s.finish()
			n := int64(0)
			for b := range all(src) {
				for _, u := range b.Updates {
					n += u.Diff
				}
			}
			require.NoError(t, src.Err(), "%s, %s", name, other)
			require.Equal(t, int64(6), n, "%s, %s", name, other)
			require.NoError(t, src.Probe().Wait(context.Background(), math.MaxUint64))
		}
	}
}
