package resources

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestMetric(t *testing.T) {
	metrics := prometheus.NewPedanticRegistry()
	idle := prometheus.NewGauge(prometheus.GaugeOpts{Name: "idle"})
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "failures_total"}, []string{"where", "why"})
	metrics.MustRegister(idle, counter)
	f := &failures{TB: t}
	require.Zero(t, Metric(f, metrics, "failures_total"))
	require.Equal(t, 1, f.n, "without a series it is not known to be 0")
	counter.WithLabelValues("here", "full").Add(2)
	counter.WithLabelValues("there", "full").Inc()
	counter.WithLabelValues("there", "torn").Inc()
	require.InDelta(t, 4, Metric(t, metrics, "failures_total"), 0)
	require.InDelta(t, 3, Metric(t, metrics, "failures_total", "full"), 0)
	require.InDelta(t, 1, Metric(t, metrics, "failures_total", "full", "there"), 0)
	require.Zero(t, Metric(t, metrics, "idle"))
	require.Equal(t, 1, f.n)
	require.Zero(t, Metric(f, metrics, "renamed"))
	require.Zero(t, Metric(f, metrics, "failures_total", "torn", "here"))
	require.Equal(t, 3, f.n)
}
