package operators_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/persist"
)

// Memory follows the batches under way, whatever number is asked for.
func TestAnyParallelism(t *testing.T) {
	for _, parallelism := range []int{math.MinInt, -1, 0, 1, 3, 1e8, math.MaxInt} {
		t.Run(fmt.Sprint(parallelism), func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f := operators.MapBatches(t.Context(), parallelism, func(_ context.Context, b batch) ([]persist.Update[string, int], error) {
				return b.Updates, nil
			})
			from(consecutive(20)...).Via(f)
			require.Equal(t, consecutive(20), drain(f))
			runtime.ReadMemStats(&after)
			require.NoError(t, f.Err())
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
		})
	}
}
