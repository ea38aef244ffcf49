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
	b := order.NewBuffer[string](order.Limits{Batches: 3, Updates: 10, Bytes: 100})
	next := frontier.At(0)
	require.NoError(t, b.Add(between(4, 6), order.Size{Updates: 1}, "second"))
	require.NoError(t, b.Add(between(8, 9), order.Size{Updates: 1}, "third"))
	require.NoError(t, b.Add(between(4, 6), order.Size{Updates: 9}, "repeated"))
	require.Equal(t, 2, b.Len())
	for _, d := range []frontier.Description{between(4, 7), between(5, 6), between(3, 5), between(7, 10), between(1, 20)} {
		require.ErrorIs(t, b.Add(d, order.Size{Updates: 0}, ""), order.ErrOverlap, d)
	}
	_, _, ok := b.Take(next)
	require.False(t, ok)
	require.ErrorContains(t, b.Missing(next), "[{0}, {4})")

	require.False(t, b.Over())
	require.NoError(t, b.Add(between(6, 7), order.Size{Updates: 9}, "large"))
	require.True(t, b.Over())
	require.NoError(t, b.Skip(frontier.At(6)))
	require.NoError(t, b.Skip(frontier.Empty()))
	require.Zero(t, b.Len())
	require.NoError(t, b.Missing(next))

	require.NoError(t, b.Add(between(0, 4), order.Size{Bytes: 101}, "first"))
	require.True(t, b.Over() && b.Has(next))
	require.ErrorIs(t, b.Skip(frontier.At(2)), order.ErrOverlap)
	first, _, ok := b.Take(next)
	require.True(t, ok)
	require.Equal(t, "first", first)
	require.NoError(t, b.Add(between(4, 6), order.Size{Updates: 10}, ""), "what was taken no longer counts")
	require.False(t, b.Over())
}
