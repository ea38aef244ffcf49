package tidemark_test

import (
	"context"
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Every metric is in docs/metrics.md, with the help text that it has, and its name
// passes Prometheus' own linter.
func TestMetricsAreDocumented(t *testing.T) {
	ctx := context.Background()
	registry := prometheus.NewPedanticRegistry()
	p, err := mem.NewRegistry().Runtime(ctx, persist.Config{Registerer: registry})
	require.NoError(t, err)
	_, read, err := persist.CreateOrLoad(ctx, p, "s", codec.String, codec.Unit)
	require.NoError(t, err)
	snapshot, listener, err := read.Listen(ctx)
	require.NoError(t, err)

	doc, err := os.ReadFile("docs/metrics.md")
	require.NoError(t, err)
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		p.Collector().Describe(descs)
	}()
	// A Desc tells its name and help by its text alone.
	parts := regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)"`)
	documented := 0
	for d := range descs {
		m := parts.FindStringSubmatch(d.String())
		require.Len(t, m, 3, d.String())
		require.Contains(t, string(doc), "| `"+m[1]+"` | "+m[2]+" |")
		documented++
	}
	rows := regexp.MustCompile("(?m)^\\| `tidemark_").FindAllString(string(doc), -1)
	require.Len(t, rows, documented, "docs/metrics.md has metrics that are gone")

	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)

	require.NoError(t, listener.Close())
	require.NoError(t, snapshot.Close())
	require.NoError(t, p.Stop())
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Empty(t, families, "a stopped runtime takes its metrics with it")
}
