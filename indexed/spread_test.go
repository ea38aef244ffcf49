package indexed

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
)

// What is said of a batch's times is exact for few rows and few times, and close for many,
// whatever patterns they come in.
func TestSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 100, 128, 1023, 1024, 5000, 20_000}).Draw(t, "rows")
		width := rapid.SampledFrom([]uint64{1, 2, 128, 1 << 20, 1 << 62}).Draw(t, "width")
		far := rapid.IntRange(2, 10).Draw(t, "far") // every so many rows is far away, and negative
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "random"), 0))
		var sample part.Sampler
		b := &batch{rows: int64(n), minTime: math.MaxUint64}
		times, folds := make([]uint64, n), make([]bool, n)
		for i := range n {
			times[i] = random.Uint64() % width
			if i%far == far-1 {
				times[i] = math.MaxUint64
			}
			folds[i] = i%far > 0
			if folds[i] {
				b.foldable++
			}
			b.minTime, b.maxTime = min(b.minTime, times[i]), max(b.maxTime, times[i])
			sample.Add(&Row{Time: times[i], Diff: 1 - 2*int64(times[i]>>63)}, folds[i])
		}
		b.times.Store(sample.Spread())
		points := b.times.Load().Points
		require.LessOrEqual(t, len(points), 2*128)
		last := points[len(points)-1]
		require.InDelta(t, float64(n/far)/float64(n), float64(last.Negative)/float64(last.Rows), 0.12)
		off := 0.0
		if n > 128 {
			off = 0.12 * float64(n) // five times the standard deviation
		}
		for range 20 {
			at := times[random.Uint64()%uint64(n)] + random.Uint64()%3
			var want count
			for i := range n {
				if times[i] <= at {
					want.rows++
					if folds[i] {
						want.folds++
					}
				}
			}
			got := b.atMost(at)
			require.InDelta(t, want.rows, got.rows, off, "rows up to %d", at)
			require.InDelta(t, want.folds, got.folds, off, "foldable ones up to %d", at)
			if at < math.MaxUint64 {
				require.Equal(t, got, b.before(frontier.At(at+1)))
			}
		}
		require.Equal(t, count{int64(n), b.foldable}, b.before(frontier.Empty()))
		require.Equal(t, count{}, b.before(frontier.At(b.minTime)))
	})
}

// What only a guess can tell is never all or nothing.
func TestSpreadThatIsNotKnown(t *testing.T) {
	b := &batch{rows: 100, minTime: 10, maxTime: math.MaxUint64, foldable: 50}
	require.Equal(t, count{1, 0}, b.atMost(10))
	require.Equal(t, count{50, 0}, b.atMost(math.MaxUint64/2))
	require.Equal(t, count{99, 0}, b.atMost(math.MaxUint64-1))
	require.True(t, b.splitBy(frontier.At(11)))
	require.False(t, b.splitBy(frontier.At(10)), "none is before it")
	require.False(t, b.splitBy(frontier.Empty()), "all are before it")
	require.Nil(t, (&part.Sampler{}).Spread())
}
