package source

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/persist"
)

// What is counted for pending updates is the memory that they take, whatever their number
// and size. When all of them have gone, nothing stays.
func TestPendingBytesAreMemory(t *testing.T) {
	for name, tt := range map[string]struct {
		times, each int
		sizes       []int // of the updates of a time, in turn
	}{
		"one of nothing at each time":  {50_000, 1, []int{0}},
		"small ones":                   {20_000, 3, []int{16}},
		"a few":                        {10_000, 9, []int{0}},
		"many at one time":             {1, 300_000, []int{16}},
		"sizes just above powers of 2": {5_000, 2, []int{1040, 1}},
		"large and small":              {500, 4, []int{9000, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			row := persist.Row{Val: make([]byte, 10_000), Diff: 1}
			val := row.Val
			before := resources.LiveHeap(t)
			p := newPending("s")
			for i := range tt.times {
				for k := range tt.each {
					row.Time, row.Val = uint64(i), val[:tt.sizes[k%len(tt.sizes)]]
					p.add(row)
				}
			}
			used := resources.LiveHeap(t) - before
			require.Less(t, float64(used), 1.05*float64(p.bytes)+64<<10, "of %d counted", p.bytes)
			require.Less(t, float64(p.bytes), 3*float64(used), "of %d used", used) // more where pointers are small
			for p.has(frontier.Empty()) {
				p.dropLatest()
			}
			require.Zero(t, p.bytes)
			require.Less(t, resources.LiveHeap(t)-before, int64(256<<10))
			runtime.KeepAlive(p)
		})
	}
}
