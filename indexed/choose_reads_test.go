package indexed

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Reads never end, so merges for reads come after all that has to be done beside them.
func TestMergesForReadsComeLast(t *testing.T) {
	trace := []*batch{{id: 1, trace: true, rows: 100}, {id: 2, trace: true, rows: 10}}
	c := candidate{set: &batchSet{trace: trace}, visits: 1 << 40, limit: math.MaxUint64}
	require.True(t, c.merge().forReads)
	for id := range uint64(mergeWidth) {
		c.set.unsealed = append(c.set.unsealed, &batch{id: 3 + id, rows: 1})
	}
	require.Equal(t, c.set.unsealed, c.merge().inputs)
}

// Merges for reads cost at most what reads have paid, and keep the order of levels. Beside other
// merges they end with a single batch, if reads go on.
func TestMergesForReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var trace []*batch
		var visits, paid, merged int64
		merge := func(limit uint64) bool {
			c := candidate{set: &batchSet{trace: trace}, visits: visits, limit: limit}
			m := c.merge()
			if m == nil {
				return false
			}
			out := &batch{trace: true, level: m.inputs[0].level}
			largest := int64(0)
			for _, b := range m.inputs {
				out.rows += b.rows
				out.newest = max(out.newest, b.newest)
				largest = max(largest, b.rows)
			}
			if largest < out.rows {
				out.level = min(out.level+1, m.maxLevel)
			}
			if m.forReads {
				require.LessOrEqual(t, len(m.inputs), mergeWidth)
				require.Less(t, out.newest, limit)
				merged += out.rows
				visits = 0
			}
			var ok bool
			trace, ok = replaceRun(trace, m.inputs, out)
			require.True(t, ok, "neighbours")
			for i := 1; i < len(trace); i++ {
				require.GreaterOrEqual(t, trace[i-1].level, trace[i].level)
			}
			return true
		}
		for id := range uint64(rapid.IntRange(1, 100).Draw(t, "flushes")) {
			trace = append(trace, &batch{trace: true, newest: id, rows: rapid.Int64Range(0, 20_000).Draw(t, "rows")})
			n := rapid.Int64Range(0, 50_000).Draw(t, "visits")
			visits, paid = visits+n, paid+n
			for merge(rapid.SampledFrom([]uint64{math.MaxUint64, id}).Draw(t, "limit")) {
				require.LessOrEqual(t, merged, rowsPerVisit*paid)
			}
		}
		for more := true; more; more = merge(math.MaxUint64) {
			visits = math.MaxInt32 // reads go on
		}
		require.Len(t, trace, 1)
	})
}
