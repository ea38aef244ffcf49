package persist_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// What follows in a chain does not take effect if what is before it has not, although
// the upper that it expects is in force: another writer has brought it about.
func TestChain(t *testing.T) {
	refused := codec.JSON[any]()
	for name, tt := range map[string]struct {
		first any
		fault bool
		want  error
	}{
		"another upper":     {first: "a", want: persist.ErrUpperMismatch},
		"storage":           {first: "a", fault: true, want: storage.ErrNoEffect},
		"cannot be encoded": {first: func() {}},
	} {
		t.Run(name, func(t *testing.T) {
			u := mem.NewUnreliable()
			c, err := mem.NewRegistry().RuntimeUnreliable(t.Context(), u, persist.Config{})
			require.NoError(t, err)
			defer c.Stop()
			w, _, err := persist.CreateOrLoad(t.Context(), c, "s", refused, codec.Unit)
			require.NoError(t, err)
			begin := frontier.At(4)
			if tt.fault {
				begin = frontier.At(5)
				_, err = w.Seal(t.Context(), 5).Wait(t.Context())
				require.NoError(t, err)
				u.Inject(mem.Fault{Op: mem.OpAppend})
			} else {
				_, err = w.Seal(t.Context(), 6).Wait(t.Context())
				require.NoError(t, err)
			}
			gate := u.GateBefore(mem.OpAppend)
			var chain persist.Chain
			row := func(key any, time uint64) []persist.Update[any, struct{}] {
				return []persist.Update[any, struct{}]{{Key: key, Time: time, Diff: 1}}
			}
			failed := w.CompareAndAppendIn(t.Context(), &chain, row(tt.first, 5), begin, frontier.At(6))
			if tt.fault {
				require.NoError(t, gate.Wait(t.Context(), 1))
			}
			other := w.Seal(t.Context(), 6)
			follows := w.CompareAndAppendIn(t.Context(), &chain, row("b", 6), frontier.At(6), frontier.At(7))
			last := w.CompareAndAppendIn(t.Context(), &chain, row("b", 6), frontier.At(6), frontier.At(7))
			gate.Open()
			_, err = other.Wait(t.Context())
			require.NoError(t, err)
			_, err = failed.Wait(t.Context())
			require.Error(t, err)
			require.NotErrorIs(t, err, persist.ErrPrevious)
			for _, f := range []*persist.Future[storage.SeqNo]{follows, last} {
				_, err = f.Wait(t.Context())
				require.ErrorIs(t, err, persist.ErrPrevious)
				if tt.want != nil {
					require.ErrorIs(t, err, tt.want)
				}
			}
			_, err = w.CompareAndAppend(t.Context(), row("c", 6), frontier.At(6), frontier.At(7)).Wait(t.Context())
			require.NoError(t, err)
		})
	}
}
