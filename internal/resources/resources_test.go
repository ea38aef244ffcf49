package resources

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// failures counts what a check reports instead of failing the test.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.n++ }

func TestCyclesSeesEveryLeak(t *testing.T) {
	var kept [][]byte
	var files []*os.File
	stop := make(chan struct{})
	defer close(stop)
	for name, tt := range map[string]struct {
		leak  func()
		fails int
	}{
		"nothing": {func() { _ = make([]byte, 1<<10) }, 0},
		"heap":    {func() { kept = append(kept, make([]byte, 64<<10)) }, 1},
		"descriptors": {func() {
			f, err := os.Open(".")
			require.NoError(t, err)
			files = append(files, f)
		}, 1},
		"goroutines": {func() { go func() { <-stop }() }, 1},
	} {
		f := &failures{TB: t}
		Cycles(f, 50, tt.leak)
		require.Equal(t, tt.fails, f.n, name)
	}
	require.NotEmpty(t, kept)
	for _, f := range files {
		require.NoError(t, f.Close())
	}
}

func TestPeak(t *testing.T) {
	p := Watch(t)
	kept := make([]byte, 8<<20)
	require.InDelta(t, 8<<20, p.Sample(t), 1<<20)
	kept[0] = 1
	kept = nil
	require.InDelta(t, 0, p.Sample(t), 1<<20)
	most, samples := p.Heap()
	require.InDelta(t, 8<<20, most, 1<<20)
	require.Equal(t, 2, samples)
	require.Nil(t, kept)
}
