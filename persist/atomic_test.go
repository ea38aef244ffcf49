package persist_test

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// An atomic write takes any streams of its client's runtime, of any types, without a list
// of them; all of it takes effect at one position, or nothing.
func TestAtomic(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		ctx := t.Context()
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		counts, readCounts, err := persist.CreateOrLoad(ctx, c, "counts", codec.Uint64, codec.Unit)
		require.NoError(t, err)
		_, l := listen(t, r)

		one := []update{up("a", "", 1, 1)}
		at := must(t, persist.Atomic(ctx, c, func(b *persist.AtomicWrite) error {
			return errors.Join(
				persist.AddSeal(b, w, 2),
				persist.AddWrite(b, w, one),
				persist.AddWrite(b, counts, []persist.Update[uint64, struct{}]{{Key: 1, Time: 1, Diff: 1}}),
			)
		}))
		require.Equal(t, event{Updates: one, SeqNo: at}, next(t, l))
		require.Equal(t, event{Sealed: frontier.At(2), SeqNo: at}, next(t, l))

		// A clone is of the same runtime.
		clone := c.Clone()
		last := []update{up("b", "", 7, 1)}
		at = must(t, persist.Atomic(ctx, clone, func(b *persist.AtomicWrite) error {
			return errors.Join(
				persist.AddFinish(b, w),
				persist.AddSeal(b, w, 5), // the last in time counts
				persist.AddWrite(b, w, last),
			)
		}))
		require.NoError(t, clone.Close())
		require.Equal(t, event{Updates: last, SeqNo: at}, next(t, l))
		require.Equal(t, event{Sealed: frontier.Empty(), SeqNo: at}, next(t, l))
		_, err = l.Next(ctx)
		require.ErrorIs(t, err, io.EOF)

		// Nothing of a refused one takes effect; nor of one that is not built to its end.
		add := func(b *persist.AtomicWrite) error {
			return persist.AddWrite(b, counts, []persist.Update[uint64, struct{}]{{Key: 2, Time: 1, Diff: 1}})
		}
		require.ErrorIs(t, refused(t, persist.Atomic(ctx, c, func(b *persist.AtomicWrite) error {
			return errors.Join(add(b), persist.AddWrite(b, w, one))
		})), persist.ErrSealed)
		errMind := errors.New("changed my mind")
		require.ErrorIs(t, refused(t, persist.Atomic(ctx, c, func(b *persist.AtomicWrite) error {
			return errors.Join(add(b), errMind)
		})), errMind)
		snapshot, err := readCounts.Snapshot(ctx)
		require.NoError(t, err)
		got, err := snapshot.ReadToEnd(ctx)
		require.NoError(t, err)
		require.NoError(t, snapshot.Close())
		require.Equal(t, []persist.Update[uint64, struct{}]{{Key: 1, Time: 1, Diff: 1}}, got)

		// Nothing is a command too, at the newest position.
		require.Equal(t, at, must(t, persist.Atomic(ctx, c, func(*persist.AtomicWrite) error { return nil })))
	})
}

// What an atomic write cannot be made of is an error of the function that adds it.
func TestAtomicRefuses(t *testing.T) {
	ctx := t.Context()
	c := start(t, memPlace{mem.NewRegistry()}, onDemand())
	foreign, _ := create(t, start(t, memPlace{mem.NewRegistry()}, onDemand()), "foreign")
	destroyed, _ := create(t, c, "destroyed")
	_, err := c.Destroy(ctx, "destroyed")
	require.NoError(t, err)
	broken, _, err := persist.CreateOrLoad(ctx, c, "destroyed", codec.String, codec.String)
	require.ErrorIs(t, err, persist.ErrDestroyed)

	var none *writer
	for name, tt := range map[string]struct {
		to   *writer
		want error
	}{
		"foreign": {foreign, persist.ErrDifferentRuntimes},
		"broken":  {broken, persist.ErrDestroyed},
		"gone":    {destroyed, persist.ErrDestroyed},
		"empty":   {new(writer), persist.ErrInvalid},
		"none":    {none, persist.ErrInvalid},
	} {
		for what, add := range map[string]func(b *persist.AtomicWrite) error{
			"write":  func(b *persist.AtomicWrite) error { return persist.AddWrite(b, tt.to, twoUpdates) },
			"seal":   func(b *persist.AtomicWrite) error { return persist.AddSeal(b, tt.to, 1) },
			"finish": func(b *persist.AtomicWrite) error { return persist.AddFinish(b, tt.to) },
			"allow":  func(b *persist.AtomicWrite) error { return persist.AddAllowCompaction(b, tt.to, frontier.At(1)) },
			"expect": func(b *persist.AtomicWrite) error { return persist.AddExpectUpper(b, tt.to, frontier.At(0)) },
			"rows":   func(b *persist.AtomicWrite) error { return persist.AddRows(b, tt.to, []persist.Row{{Diff: 1}}) },
			"append": func(b *persist.AtomicWrite) error {
				return persist.AddCompareAndAppend(b, tt.to, nil, frontier.At(0), frontier.At(1))
			},
			"asserted": func(b *persist.AtomicWrite) error {
				return persist.AddCompareAndAppend(b, tt.to, nil, frontier.At(0), frontier.At(0))
			},
		} {
			require.ErrorIs(t, refused(t, persist.Atomic(ctx, c, add)), tt.want, "%s: %s", name, what)
		}
	}

	for _, client := range []*persist.Client{nil, broken.Client(), new(persist.Client)} {
		require.ErrorIs(t, refused(t, persist.Atomic(ctx, client, func(*persist.AtomicWrite) error { return nil })), persist.ErrInvalid)
	}
	require.ErrorIs(t, persist.AddSeal(new(persist.AtomicWrite), foreign, 1), persist.ErrDifferentRuntimes, "one that nobody has made")
	require.NoError(t, c.Stop())
	require.ErrorIs(t, refused(t, persist.Atomic(ctx, c, func(*persist.AtomicWrite) error { return nil })), persist.ErrStopped)
}

// A compare-and-append without updates whose next upper is the expected one asserts the
// upper, and changes nothing: it has no position of its own, and no listener hears of it.
func TestAssertedUpper(t *testing.T) {
	for name, assert := range map[string]func(c *persist.Client, w *writer, updates []update, upper frontier.Antichain) *persist.Future[storage.SeqNo]{
		"alone": func(_ *persist.Client, w *writer, updates []update, upper frontier.Antichain) *persist.Future[storage.SeqNo] {
			return w.CompareAndAppend(t.Context(), updates, upper, upper)
		},
		"atomic": func(c *persist.Client, w *writer, updates []update, upper frontier.Antichain) *persist.Future[storage.SeqNo] {
			return persist.Atomic(t.Context(), c, func(b *persist.AtomicWrite) error {
				return persist.AddCompareAndAppend(b, w, updates, upper, upper)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			onPlaces(t, func(t *testing.T, p place) {
				c := start(t, p, onDemand())
				w, r := create(t, c, "s")
				_, l := listen(t, r)
				newest := must(t, w.Write(t.Context(), nil))
				require.Equal(t, newest, must(t, assert(c, w, nil, frontier.At(0))))
				sealed := must(t, w.Seal(t.Context(), 5))
				require.Equal(t, sealed, must(t, assert(c, w, []update{}, frontier.At(5))))

				var mismatch *persist.UpperMismatchError
				require.ErrorAs(t, refused(t, assert(c, w, nil, frontier.At(4))), &mismatch)
				require.Equal(t, frontier.At(5), mismatch.Upper)
				require.ErrorIs(t, refused(t, assert(c, w, nil, frontier.Empty())), persist.ErrUpperMismatch)
				require.ErrorIs(t, refused(t, assert(c, w, []update{up("a", "", 5, 1)}, frontier.At(5))), persist.ErrInvalid, "with updates")

				finished := must(t, w.Finish(t.Context()))
				require.Equal(t, finished, must(t, assert(c, w, nil, frontier.Empty())))
				require.ErrorIs(t, refused(t, assert(c, w, nil, frontier.At(5))), persist.ErrUpperMismatch)
				require.Equal(t, event{Sealed: frontier.At(5), SeqNo: sealed}, next(t, l))
				require.Equal(t, event{Sealed: frontier.Empty(), SeqNo: finished}, next(t, l))

				_, err := c.Destroy(t.Context(), "s")
				require.NoError(t, err)
				require.ErrorIs(t, refused(t, assert(c, w, nil, frontier.Empty())), persist.ErrDestroyed)
			})
		})
	}
}

// The upper of one stream holds for what an atomic write does to others, and listeners of
// that stream hear nothing.
func TestAssertedBesideAWrite(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		ctx := t.Context()
		c := start(t, p, onDemand())
		input, readInput := create(t, c, "input")
		state, readState := create(t, c, "state")
		must(t, input.Seal(ctx, 3))
		_, l := listen(t, readInput)
		save := func(upper uint64, u update) *persist.Future[storage.SeqNo] {
			return persist.Atomic(ctx, c, func(b *persist.AtomicWrite) error {
				return errors.Join(
					persist.AddCompareAndAppend(b, input, nil, frontier.At(upper), frontier.At(upper)),
					persist.AddWrite(b, state, []update{u}),
				)
			})
		}
		must(t, save(3, up("right", "", 0, 1)))
		require.ErrorIs(t, refused(t, save(2, up("wrong", "", 0, 1))), persist.ErrUpperMismatch)
		require.Equal(t, []update{up("right", "", 0, 1)}, contents(t, readState))
		// A seal of the asserted stream in the same command counts, and no other is heard of.
		at := must(t, persist.Atomic(ctx, c, func(b *persist.AtomicWrite) error {
			return errors.Join(
				persist.AddCompareAndAppend(b, input, nil, frontier.At(3), frontier.At(3)),
				persist.AddSeal(b, input, 9),
			)
		}))
		require.Equal(t, event{Sealed: frontier.At(9), SeqNo: at}, next(t, l))
	})
}
