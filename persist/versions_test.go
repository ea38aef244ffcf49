package persist_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Two versions of one type, and one in which the fields have another order.
type (
	orderV1 struct{ Item string }
	orderV2 struct {
		Item  string
		Count int
	}
	orderV3 struct {
		Count int
		Item  string
	}
)

// What one version of a program wrote is retracted by what another has read, or the other
// is refused the reading: no row is left that nothing can retract.
func TestRowsOfAnotherVersion(t *testing.T) {
	t.Run("a field added", func(t *testing.T) {
		between(t, codec.JSON[orderV1](codec.TypeName("order")), codec.JSON[orderV2](codec.TypeName("order")), orderV1{"pump"}, orderV2{Item: "pump"})
	})
	t.Run("a field removed", func(t *testing.T) {
		between(t, codec.JSON[orderV2](codec.TypeName("order")), codec.JSON[orderV1](codec.TypeName("order")), orderV2{"pump", 3}, orderV1{"pump"})
	})
	t.Run("another order", func(t *testing.T) {
		between(t, codec.JSON[orderV2](codec.TypeName("order")), codec.JSON[orderV3](codec.TypeName("order")), orderV2{"pump", 3}, orderV3{3, "pump"})
	})
	t.Run("structs read as maps", func(t *testing.T) {
		between(t, codec.JSON[any](), codec.JSON[any](), any(orderV2{"pump", 3}), any(map[string]any{"Item": "pump", "Count": json.Number("3")}))
	})
}

func between[A, B any](t *testing.T, older codec.Codec[A], newer codec.Codec[B], wrote A, want B) {
	ctx := t.Context()
	c, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()
	w, _, err := persist.CreateOrLoad(ctx, c, "orders", codec.String, older)
	require.NoError(t, err)
	_, err = w.Write(ctx, []persist.Update[string, A]{{Key: "1", Val: wrote, Time: 1, Diff: 1}}).Wait(ctx)
	require.NoError(t, err)

	// Strictly: refused.
	_, strict, err := persist.CreateOrLoad(ctx, c, "orders", codec.String, newer)
	require.NoError(t, err)
	_, err = contentsOf(ctx, strict)
	require.ErrorIs(t, err, persist.ErrDecode)
	require.ErrorIs(t, err, codec.ErrDecode)
	for _, part := range []string{"codec.Keep", "could not retract", `key "1"`, "the value"} {
		require.ErrorContains(t, err, part)
	}

	// Kept: read, and retracted by what was read.
	wk, kept, err := persist.CreateOrLoad(ctx, c, "orders", codec.String, codec.Keep(newer))
	require.NoError(t, err)
	rows, err := contentsOf(ctx, kept)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, want, rows[0].Val.Value)
	made := codec.Kept[B]{Value: want}
	_, err = wk.Write(ctx, []persist.Update[string, codec.Kept[B]]{
		{Key: "1", Val: rows[0].Val, Time: 2, Diff: -1},
		{Key: "1", Val: made, Time: 2, Diff: 1},
	}).Wait(ctx)
	require.NoError(t, err)

	// What was written again is read by either.
	again, err := contentsOf(ctx, kept)
	require.NoError(t, err)
	require.Len(t, again, 1)
	require.Equal(t, want, again[0].Val.Value)
	_, err = wk.Write(ctx, []persist.Update[string, codec.Kept[B]]{{Key: "1", Val: again[0].Val, Time: 3, Diff: -1}}).Wait(ctx)
	require.NoError(t, err)
	rows, err = contentsOf(ctx, kept)
	require.NoError(t, err)
	require.Empty(t, rows)
}

// contentsOf returns the contents as of time 9.
func contentsOf[V any](ctx context.Context, r *persist.ReadHandle[string, V]) (rows []persist.Update[string, V], err error) {
	s, err := r.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for u, err := range s.AsOf(ctx, 9) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, u)
	}
	return rows, nil
}

// Numbers of JSON keep their digits, so that what was read retracts what was written.
func TestNumbersKeepTheirDigits(t *testing.T) {
	ctx := t.Context()
	c, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()
	w, r, err := persist.CreateOrLoad(ctx, c, "numbers", codec.String, codec.JSON[any]())
	require.NoError(t, err)
	numbers := []any{
		int64(1546130668394913822), uint64(1<<64 - 1), int64(-1 << 63), 0.1, 1e21, 5e-324, json.Number("1.10"), json.Number("1e400"),
		map[string]any{"id": int64(1546130668394913822), "list": []any{int64(1<<53 + 1)}},
	}
	var updates []persist.Update[string, any]
	for i, n := range numbers {
		updates = append(updates, persist.Update[string, any]{Key: fmt.Sprint(i), Val: n, Time: 1, Diff: 1})
	}
	_, err = w.Write(ctx, updates).Wait(ctx)
	require.NoError(t, err)
	rows, err := contentsOf(ctx, r)
	require.NoError(t, err)
	require.Len(t, rows, len(numbers))
	require.Equal(t, json.Number("1546130668394913822"), rows[0].Val)
	for i, row := range rows {
		wrote, err := json.Marshal(numbers[i])
		require.NoError(t, err)
		read, err := json.Marshal(row.Val)
		require.NoError(t, err)
		require.Equal(t, string(wrote), string(read))
		rows[i].Time, rows[i].Diff = 2, -1
	}
	_, err = w.Write(ctx, rows).Wait(ctx)
	require.NoError(t, err)
	rows, err = contentsOf(ctx, r)
	require.NoError(t, err)
	require.Empty(t, rows)
}
