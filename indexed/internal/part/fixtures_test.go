package part

import (
	"bytes"
	"math"
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// testMetrics are counters that nobody looks at.
func testMetrics() Metrics {
	counter := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{}) }
	return Metrics{counter(), counter(), counter(), counter(), counter()}
}

// readColumns touches every update, as readers will.
func readColumns(c *Columns) (n int) {
	for j := range c.Len() {
		n += len(c.Key(j)) + len(c.Val(j)) + int(c.Time(j)&1) + int(c.Diff(j)&1)
	}
	return n
}

func someColumns() Columns {
	var b ColumnsBuilder
	for _, r := range []Row{
		{[]byte("apple"), []byte("1"), 3, 1},
		{[]byte("apple"), []byte("2"), 5, -1},
		{nil, nil, math.MaxUint64, math.MinInt64},
		{[]byte("pear"), nil, 0, 0},
	} {
		if err := b.Add(r.Key, r.Val, r.Time, r.Diff); err != nil {
			panic(err)
		}
	}
	return b.Finish()
}

func everyBitFlipped(data []byte, do func(flipped []byte, bit int)) {
	for bit := range 8 * len(data) {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		do(flipped, bit)
	}
}

// mostFuzzAlloc is what decoding a few bytes may allocate, whatever they are.
const mostFuzzAlloc = 64 << 20

// limited runs a decoder, and checks what it has allocated.
func limited(t testing.TB, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(mostFuzzAlloc), "bytes allocated")
}
