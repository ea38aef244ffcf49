package resources

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric returns the value of a counter or a gauge, summed over the series that have all
// the given values among their labels. It fails if there is no such series: a metric that
// was renamed must not count as 0.
func Metric(t testing.TB, metrics prometheus.Gatherer, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Errorf("%v", err)
	}
	found := false
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			has := make(map[string]bool)
			for _, label := range m.GetLabel() {
				has[label.GetValue()] = true
			}
			matches := true
			for _, label := range labels {
				matches = matches && has[label]
			}
			if matches {
				found = true
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	if !found {
		t.Errorf("there is no metric %s of %q", name, labels)
	}
	return sum
}
