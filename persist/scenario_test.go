package persist_test

import (
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// The tests of this file follow updates through the log, the unsealed batches and
// the trace: see docs/history/inventory.md for where each scenario comes from.

// everywhere runs a check in all the states that updates may be stored in: in the
// log, in batches, and in batches of a runtime that was opened anew.
func everywhere(t *testing.T, p place, c *persist.Client, name string, check func(t *testing.T, r *reader)) {
	_, r := create(t, c, name)
	t.Run("log", func(t *testing.T) { check(t, r) })
	require.NoError(t, c.Maintain(t.Context()))
	t.Run("batches", func(t *testing.T) { check(t, r) })
	require.NoError(t, c.Stop())
	c = start(t, p, onDemand())
	_, r = create(t, c, name)
	t.Run("reopened", func(t *testing.T) { check(t, r) })
	require.NoError(t, c.Stop())
}

// TestSnapshotAdvancesTimes (8303): a snapshot says which since it is of, and its
// times are advanced to it before any compaction has run.
func TestSnapshotAdvancesTimes(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, _ := create(t, c, "s")
		must(t, w.Write(t.Context(), []update{up("a", "", 1, 1), up("b", "", 2, 1), up("a", "", 10, -1)}))
		must(t, w.Seal(t.Context(), 4))
		must(t, w.AllowCompaction(t.Context(), frontier.At(3)))
		everywhere(t, p, c, "s", func(t *testing.T, r *reader) {
			s := take(t, r)
			require.Equal(t, frontier.At(3), s.Since())
			require.ElementsMatch(t, []update{up("a", "", 3, 1), up("a", "", 10, -1), up("b", "", 3, 1)}, stored(t, s))
		})
	})
}

// TestSinceBeyondUpper compacts what is not sealed and what is not written yet.
func TestSinceBeyondUpper(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, _ := create(t, c, "s")
		must(t, w.Write(t.Context(), []update{up("a", "", 1, 1), up("b", "", 15, 1)}))
		must(t, w.Seal(t.Context(), 10))
		must(t, w.AllowCompaction(t.Context(), frontier.At(30)))
		require.NoError(t, c.Maintain(t.Context()))
		must(t, w.Write(t.Context(), []update{up("a", "", 12, 1), up("c", "", 40, 1)}))
		must(t, w.Seal(t.Context(), 14))
		everywhere(t, p, c, "s", func(t *testing.T, r *reader) {
			require.Equal(t, []update{up("a", "", 30, 2), up("b", "", 30, 1), up("c", "", 40, 1)}, contents(t, r))
		})
	})
}

// TestEmptyWrite is a command like any other, but stores nothing and is no event.
func TestEmptyWrite(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		_, l := listen(t, r)
		first := must(t, w.Write(t.Context(), nil))
		second := must(t, w.Write(t.Context(), []update{}))
		require.Equal(t, first, second, "the newest position: nothing was written")
		require.NoError(t, c.Maintain(t.Context()))
		require.Zero(t, info(t, c, "s").Batches)
		require.Equal(t, second, take(t, r).SeqNo())
		sealed := must(t, w.Seal(t.Context(), 1))
		require.Equal(t, event{Sealed: frontier.At(1), SeqNo: sealed}, next(t, l))
		must(t, w.Finish(t.Context()))
		must(t, w.Write(t.Context(), nil))
		_, err := c.Destroy(t.Context(), "s")
		require.NoError(t, err)
		require.ErrorIs(t, refused(t, w.Write(t.Context(), nil)), persist.ErrDestroyed)
	})
}

// TestLastCompareAndAppend writes the last updates of a stream, at any time up to the
// end of time, and finishes it: alone, and in an atomic write.
func TestLastCompareAndAppend(t *testing.T) {
	last := []update{up("a", "", 1, 1), up("b", "", math.MaxUint64, 1)}
	for name, submit := range map[string]func(t *testing.T, w *writer) *persist.Future[storage.SeqNo]{
		"alone": func(t *testing.T, w *writer) *persist.Future[storage.SeqNo] {
			return w.CompareAndAppend(t.Context(), last, frontier.At(1), frontier.Empty())
		},
		"atomic": func(t *testing.T, w *writer) *persist.Future[storage.SeqNo] {
			multi, err := persist.NewMultiWriteHandle(w)
			require.NoError(t, err)
			return multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
				return persist.AddCompareAndAppend(b, w, last, frontier.At(1), frontier.Empty())
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			onPlaces(t, func(t *testing.T, p place) {
				c := start(t, p, onDemand())
				w, r := create(t, c, "s")
				_, l := listen(t, r)
				require.ErrorIs(t, refused(t, submit(t, w)), persist.ErrUpperMismatch)
				sealed := must(t, w.Seal(t.Context(), 1))
				at := must(t, submit(t, w))
				require.ErrorIs(t, refused(t, submit(t, w)), persist.ErrUpperMismatch)
				require.Equal(t, event{Sealed: frontier.At(1), SeqNo: sealed}, next(t, l))
				require.Equal(t, event{Updates: last, SeqNo: at}, next(t, l))
				require.Equal(t, event{Sealed: frontier.Empty(), SeqNo: at}, next(t, l))
				_, err := l.Next(t.Context())
				require.ErrorIs(t, err, io.EOF)
				everywhere(t, p, c, "s", func(t *testing.T, r *reader) {
					require.Equal(t, last, contents(t, r))
					require.Equal(t, frontier.Empty(), take(t, r).Upper())
				})
			})
		})
	}
}

// TestIdleStream is registered late, or idle while others write: its next batch
// begins where its own last one ended, whatever has happened in between.
func TestIdleStream(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		busy, _ := create(t, c, "busy")
		idle, _ := create(t, c, "idle")
		var want []update
		for i := range uint64(20) { // so many that batches are merged
			must(t, busy.Write(t.Context(), []update{up("x", "", i, 1)}))
			must(t, busy.Seal(t.Context(), i))
			require.NoError(t, c.Maintain(t.Context()))
			if i%2 == 1 {
				must(t, idle.Write(t.Context(), []update{up(fmt.Sprintf("%02d", i), "", 1, 1)}))
				want = append(want, up(fmt.Sprintf("%02d", i), "", 1, 1))
			}
		}
		require.Less(t, info(t, c, "busy").Batches, 8)
		late, _ := create(t, c, "late")
		must(t, late.Write(t.Context(), want))
		must(t, idle.Seal(t.Context(), 2))
		require.NoError(t, c.Maintain(t.Context()))
		must(t, late.Write(t.Context(), want))
		require.NoError(t, c.Stop())

		c = start(t, p, onDemand())
		_, r := create(t, c, "idle")
		require.Equal(t, want, contents(t, r))
		_, r = create(t, c, "late")
		require.Equal(t, consolidated(append(want, want...), frontier.At(0)), contents(t, r))
	})
}

// TestSingleStream follows two updates from the log to the trace, with a seal that
// parts them in between. Snapshots of every stage stay what they are.
func TestSingleStream(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		empty, l := listen(t, r)
		updates := []update{up("1", "one", 1, 1), up("2", "two", 2, 1)}
		snapshots := map[storage.SeqNo]*snap{}
		at := must(t, w.Write(t.Context(), updates))
		check := func(seqno storage.SeqNo, upper uint64) {
			for range 2 { // the second time in batches
				s := take(t, r)
				require.Equal(t, seqno, s.SeqNo())
				require.Equal(t, frontier.At(upper), s.Upper())
				require.Equal(t, updates, read(t, s))
				require.Len(t, stored(t, s), 2)
				snapshots[seqno] = s
				require.NoError(t, c.Maintain(t.Context()))
			}
		}
		check(at, 0)
		require.Equal(t, event{Updates: updates, SeqNo: at}, next(t, l))
		for upper := range uint64(3) {
			sealed := must(t, w.Seal(t.Context(), upper+1))
			require.Less(t, at, sealed)
			at = sealed
			check(at, upper+1)
			require.Equal(t, event{Sealed: frontier.At(upper + 1), SeqNo: at}, next(t, l))
		}
		for _, s := range snapshots {
			require.Equal(t, updates, read(t, s))
		}
		require.Empty(t, read(t, empty))
		require.EqualValues(t, 2, info(t, c, "s").Rows)

		must(t, w.AllowCompaction(t.Context(), frontier.At(2)))
		require.NoError(t, c.Maintain(t.Context()))
		require.Equal(t, []update{up("1", "one", 2, 1), up("2", "two", 2, 1)}, contents(t, r))
	})
}

// TestBatches counts the batches and rows that maintenance makes of the same updates.
func TestBatches(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		twice := []update{up("b", "", 1, 1), up("a", "", 1, 1), up("a", "", 1, 1), up("a", "", 0, 1)}
		for range 2 {
			must(t, w.Write(t.Context(), twice))
			require.NoError(t, c.Maintain(t.Context()))
		}
		i := info(t, c, "s")
		require.Equal(t, 1, i.Batches, "rows of unsealed batches that are equal are folded")
		require.EqualValues(t, 3, i.Rows)

		must(t, w.Seal(t.Context(), 1)) // the time 0 moves to the trace
		require.NoError(t, c.Maintain(t.Context()))
		require.Equal(t, []update{up("a", "", 0, 2), up("a", "", 1, 4), up("b", "", 1, 2)}, contents(t, r))

		must(t, w.Seal(t.Context(), 2))
		require.NoError(t, c.Maintain(t.Context()))
		i = info(t, c, "s")
		require.Equal(t, 2, i.Batches, "the unsealed batches are gone")
		require.EqualValues(t, 3, i.Rows)
		upper := untilMerged(t, c, w, "s")
		require.EqualValues(t, 3, info(t, c, "s").Rows)
		require.Equal(t, []update{up("a", "", 0, 2), up("a", "", 1, 4), up("b", "", 1, 2)}, stored(t, take(t, r)), "sorted")

		must(t, w.AllowCompaction(t.Context(), frontier.At(upper)))
		require.NoError(t, c.Maintain(t.Context()))
		require.EqualValues(t, 2, info(t, c, "s").Rows, "times before the since are told apart no more")
		require.Equal(t, []update{up("a", "", upper, 6), up("b", "", upper, 2)}, contents(t, r))

		// What cancels out leaves nothing, but the trace still says how far it goes.
		must(t, w.Write(t.Context(), []update{up("a", "", upper+1, 1), up("a", "", upper+1, -1)}))
		must(t, w.Seal(t.Context(), upper+2))
		require.NoError(t, c.Maintain(t.Context()))
		require.EqualValues(t, 2, info(t, c, "s").Rows)
	})
}

// TestBetween reads intervals of times at and around two updates.
func TestBetween(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, _ := create(t, c, "s")
		three, five := up("a", "", 3, 1), up("a", "", 5, 1)
		must(t, w.Write(t.Context(), []update{five, three}))
		must(t, w.Seal(t.Context(), 4))
		everywhere(t, p, c, "s", func(t *testing.T, r *reader) {
			s := take(t, r)
			end := frontier.Empty()
			for _, row := range []struct {
				lower, upper frontier.Antichain
				want         []update
			}{
				{frontier.At(0), frontier.At(0), nil},
				{frontier.At(0), frontier.At(3), nil},
				{frontier.At(0), frontier.At(4), []update{three}},
				{frontier.At(3), frontier.At(3), nil},
				{frontier.At(3), frontier.At(4), []update{three}},
				{frontier.At(3), frontier.At(5), []update{three}},
				{frontier.At(3), frontier.At(6), []update{three, five}},
				{frontier.At(4), frontier.At(5), nil},
				{frontier.At(4), frontier.At(6), []update{five}},
				{frontier.At(5), frontier.At(6), []update{five}},
				{frontier.At(6), frontier.At(7), nil},
				{frontier.At(6), frontier.At(3), nil},
				{frontier.At(0), end, []update{three, five}},
				{frontier.At(4), end, []update{five}},
				{end, end, nil},
			} {
				var got []update
				for u, err := range s.Between(t.Context(), row.lower, row.upper) {
					require.NoError(t, err)
					got = append(got, u)
				}
				require.Equal(t, row.want, got, "[%s, %s)", row.lower, row.upper)
			}
		})
	})
}

// TestFrontiers moves the upper and the since in every direction.
func TestFrontiers(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, r := create(t, c, "s")
		must(t, w.Seal(t.Context(), 6))
		must(t, w.Seal(t.Context(), 6))
		require.ErrorIs(t, refused(t, w.Seal(t.Context(), 5)), persist.ErrSealRegression)
		must(t, w.AllowCompaction(t.Context(), frontier.At(4)))
		must(t, w.AllowCompaction(t.Context(), frontier.At(4)))
		require.ErrorIs(t, refused(t, w.AllowCompaction(t.Context(), frontier.At(3))), persist.ErrSinceRegression)
		must(t, w.AllowCompaction(t.Context(), frontier.At(6))) // at the upper
		must(t, w.AllowCompaction(t.Context(), frontier.At(9))) // in advance of it
		require.Equal(t, frontier.Description{Upper: frontier.At(6), Since: frontier.At(9)}, describe(t, c, "s"))

		// A write before the since, at the upper or later, is read at the since.
		must(t, w.Write(t.Context(), []update{up("a", "", 6, 1)}))
		require.Equal(t, []update{up("a", "", 9, 1)}, contents(t, r))

		// The empty antichain is the last of both.
		must(t, w.Finish(t.Context()))
		must(t, w.Finish(t.Context()))
		require.ErrorIs(t, refused(t, w.Seal(t.Context(), 100)), persist.ErrSealRegression)
		require.ErrorIs(t, refused(t, w.Write(t.Context(), []update{up("a", "", 100, 1)})), persist.ErrSealed)
		must(t, w.AllowCompaction(t.Context(), frontier.Empty()))
		require.ErrorIs(t, refused(t, w.AllowCompaction(t.Context(), frontier.At(100))), persist.ErrSinceRegression)
		require.Equal(t, frontier.Description{Upper: frontier.Empty(), Since: frontier.Empty()}, describe(t, c, "s"))
		require.Len(t, contents(t, r), 1)
	})
}

// TestDestroy leaves a name that cannot be used again, in this runtime and the next,
// snapshots that stay readable until they are closed, and in the end no data.
func TestDestroy(t *testing.T) {
	registry := mem.NewRegistry()
	p := memPlace{registry}
	c := start(t, p, onDemand())
	w, r := create(t, c, "s")
	id, err := w.StreamID()
	require.NoError(t, err)
	must(t, w.Write(t.Context(), twoUpdates))
	must(t, w.Seal(t.Context(), 1))
	require.NoError(t, c.Maintain(t.Context()))
	must(t, w.Write(t.Context(), []update{up("tail", "", 2, 1)}))
	s, l := listen(t, r)

	_, err = c.Destroy(t.Context(), "unknown")
	require.ErrorIs(t, err, persist.ErrUnknownStream)
	for _, want := range []bool{true, false} {
		destroyed, err := c.Destroy(t.Context(), "s")
		require.NoError(t, err)
		require.Equal(t, want, destroyed)
	}
	require.NoError(t, c.Maintain(t.Context()))
	_, err = l.Next(t.Context())
	require.ErrorIs(t, err, persist.ErrDestroyed)
	require.Len(t, read(t, s), 3)
	require.NotEmpty(t, blobs(t, registry, "batch"))
	require.NoError(t, s.Close())
	require.NoError(t, c.Maintain(t.Context()))
	require.Empty(t, blobs(t, registry, "batch"))

	gone := func(c *persist.Client) {
		_, r, err := persist.CreateOrLoad(t.Context(), c, "s", codec.String, codec.String)
		require.ErrorIs(t, err, persist.ErrDestroyed)
		_, err = r.Snapshot(t.Context())
		require.ErrorIs(t, err, persist.ErrDestroyed)
		_, err = c.Description(t.Context(), "s")
		require.ErrorIs(t, err, persist.ErrDestroyed)
	}
	gone(c)
	for _, f := range []*persist.Future[storage.SeqNo]{
		w.Write(t.Context(), twoUpdates), w.Seal(t.Context(), 7), w.AllowCompaction(t.Context(), frontier.At(1)), w.Finish(t.Context()),
	} {
		require.ErrorIs(t, refused(t, f), persist.ErrDestroyed)
	}
	_, err = r.Snapshot(t.Context())
	require.ErrorIs(t, err, persist.ErrDestroyed)
	_, _, err = r.Listen(t.Context())
	require.ErrorIs(t, err, persist.ErrDestroyed)
	require.NoError(t, c.Stop())

	c = start(t, p, onDemand())
	gone(c)
	other, _ := create(t, c, "other")
	otherID, err := other.StreamID()
	require.NoError(t, err)
	require.Greater(t, otherID, id, "ids are not used again either")
}

// blobs lists the keys of a place that begin with a prefix.
func blobs(t *testing.T, registry *mem.Registry, prefix string) []string {
	r := registry.Place().OpenBlobReader()
	defer func() { require.NoError(t, r.Close()) }()
	var keys []string
	for info, err := range r.List(t.Context(), prefix) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}
