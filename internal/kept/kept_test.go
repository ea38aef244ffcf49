package kept_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/kept"
)

// Copies are nobody else's: neither the source nor another copy reaches them, also by
// append.
func TestCopies(t *testing.T) {
	for name, expected := range map[string]int{"nothing expected": -1, "too little": 10, "too much": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			var c kept.Copies
			if expected >= 0 {
				c.Expect(expected)
			}
			var copies [][]byte
			var want []string
			for i := range 3000 {
				src := fmt.Appendf(nil, "%0*d", i*i%200, i)[:i*i%200]
				if i%1000 == 999 {
					src = make([]byte, 10_000)
				}
				got := c.Copy(src)
				require.NotNil(t, got)
				require.Equal(t, len(src), cap(got))
				copies, want = append(copies, got), append(want, string(src))
				clear(src)
			}
			for i, got := range copies {
				require.Equal(t, want[i], string(got))
				_ = append(got, "and more"...)
				for j := range got {
					got[j]++ // nobody else's
				}
			}
		})
	}
}

// Many small copies take few allocations, and one that is expected takes just its own.
func TestCopiesShareAllocations(t *testing.T) {
	src := make([]byte, 16)
	var c kept.Copies
	require.Less(t, testing.AllocsPerRun(1000, func() { c.Copy(src) }), 0.5)
	c.Expect(16)
	require.Len(t, c.Copy(src), 16)
}

func TestString(t *testing.T) {
	require.Equal(t, "bytes", kept.String([]byte("bytes")))
	require.Empty(t, kept.String(nil))
}
