package seed_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/seed"
)

func TestResolve(t *testing.T) {
	resolve := func(given uint64) uint64 {
		s, err := seed.Resolve(given)
		require.NoError(t, err)
		return s
	}
	require.EqualValues(t, 7, resolve(7))
	require.EqualValues(t, 1, resolve(0))
	t.Setenv(seed.Variable, "42")
	require.EqualValues(t, 42, resolve(7), "the environment comes first")
	for _, bad := range []string{"", "-1", "many"} {
		t.Setenv(seed.Variable, bad)
		_, err := seed.Resolve(7)
		require.ErrorContains(t, err, "TIDEMARK_SEED: ")
		require.ErrorContains(t, err, "set it to a number")
	}
}

func TestRepeat(t *testing.T) {
	require.Equal(t, "TIDEMARK_SEED=5 go test -count=1 ./internal/seed -run '^TestX$'", seed.Repeat("TestX/seed/5", 5))
}
