package order_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators/internal/order"
)

func between(lower, upper uint64) frontier.Description {
	return frontier.Description{Lower: frontier.At(lower), Upper: frontier.At(upper)}
}

func TestBuffer(t *testing.T) {
	b := order.NewBuffer[string](order.Limits{Batches: 3, Updates: 10})
	next := frontier.At(0)
	require.NoError(t, b.Add(between(4, 6), 1, "second", next))
	require.NoError(t, b.Add(between(8, 9), 1, "third", next))
	require.NoError(t, b.Add(between(4, 6), 9, "repeated", next))
	require.Equal(t, 2, b.Len())
	for _, d := range []frontier.Description{between(4, 7), between(5, 6), between(3, 5), between(7, 10), between(1, 20)} {
		require.ErrorIs(t, b.Add(d, 0, "", next), order.ErrOverlap, d)
	}
	_, ok := b.Take(next)
	require.False(t, ok)
	require.ErrorContains(t, b.Missing(next), "[{0}, {4})")

	require.ErrorIs(t, b.Add(between(6, 7), 9, "large", next), order.ErrMissing)
	require.NoError(t, b.Skip(frontier.At(6)))
	require.NoError(t, b.Skip(frontier.Empty()))
	require.Zero(t, b.Len())
	require.NoError(t, b.Missing(next))

	require.NoError(t, b.Restore(between(0, 4), 1000, "first"), "without limits")
	require.ErrorIs(t, b.Skip(frontier.At(2)), order.ErrOverlap)
	first, ok := b.Take(next)
	require.True(t, ok)
	require.Equal(t, "first", first)
	require.NoError(t, b.Add(between(4, 6), 10, "", next), "what was taken no longer counts")
}
