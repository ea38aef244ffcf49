package part

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Sorting distributes over buckets first if there is enough to sort, whatever keys are
// like.
func TestSortRunsOfManyRows(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for name, key := range map[string]func(i int) []byte{
		"random":        func(int) []byte { return bytesOf(16) },
		"begin alike":   func(int) []byte { return fmt.Appendf(nil, "tenant/42/user-%06d", random.IntN(10_000)) },
		"two clusters":  func(i int) []byte { return append([]byte{byte(i % 2 * 255), 0, 0, 0, 0, 0}, bytesOf(3)...) },
		"one far away":  func(i int) []byte { return append([]byte{byte(min(i, 1)), 7, 7, 7, 7, 7}, bytesOf(3)...) },
		"all the same":  func(int) []byte { return []byte("key") },
		"of any length": func(int) []byte { return bytesOf(random.IntN(12)) },
		"descending":    func(i int) []byte { return fmt.Appendf(nil, "%09d", 1_000_000-i) },
		"bits alone":    func(int) []byte { return []byte{byte(random.IntN(2))} },
	} {
		for _, n := range []int{1, leastToDistribute - 1, leastToDistribute, 5 * leastToDistribute} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				var builder ColumnsBuilder
				var runs []Columns
				for i := range n {
					require.NoError(t, builder.Add(key(i), bytesOf(random.IntN(3)), random.Uint64N(3), 1))
					if i%100 == 99 || i == n-1 {
						runs = append(runs, builder.Finish())
					}
				}
				var want []Row
				for i := range runs {
					for j := range runs[i].Len() {
						want = append(want, Row{runs[i].Key(j), runs[i].Val(j), runs[i].Time(j), 1})
					}
				}
				slices.SortFunc(want, func(a, b Row) int { return compareRows(&a, &b) })
				s := Sort(runs, AllTimes)
				for i := range want {
					r, ok, err := s.next(t.Context())
					require.NoError(t, err)
					require.True(t, ok)
					if compareRows(&want[i], &r) != 0 {
						require.Equal(t, want[i], r, "row %d", i)
					}
				}
				_, ok, _ := s.next(t.Context())
				require.False(t, ok)
			})
		}
	}
}
