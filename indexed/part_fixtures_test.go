package indexed

import (
	"github.com/prometheus/client_golang/prometheus"
)

// testMetrics are counters that nobody looks at.
func testMetrics() readMetrics {
	counter := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{}) }
	return readMetrics{counter(), counter(), counter(), counter(), counter()}
}

// readColumns touches every update, as readers will.
func readColumns(c *Columns) (n int) {
	for j := range c.Len() {
		n += len(c.Key(j)) + len(c.Val(j)) + int(c.Time(j)&1) + int(c.Diff(j)&1)
	}
	return n
}
