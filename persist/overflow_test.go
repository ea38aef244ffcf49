package persist_test

import (
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// TestSumsNeverWrap: diffs that add up to more than an int64 holds are an error that names
// the row, wherever they are, and never another number, or no row. Nothing is lost
// meanwhile: what retracts them later gives the exact sum.
func TestSumsNeverWrap(t *testing.T) {
	const most = math.MaxInt64
	key := strings.Repeat("key", 100)
	for name, test := range map[string]struct {
		diffs, retract []int64
		sum            string
		left           int64 // after the retraction
	}{
		"one too many":     {[]int64{most, 1}, []int64{-2}, "9223372036854775808", most - 1},
		"all the way":      {[]int64{most, most, 2}, []int64{-most, -most}, "18446744073709551616", 2},
		"negative":         {[]int64{-most, -2}, []int64{5}, "-9223372036854775809", -most + 3},
		"several times":    {[]int64{most, most, most, most, most}, []int64{-most, -most, -most, -most, -most}, "46116860184273879035", 0},
		"a sum that comes": {[]int64{most, -5, most, 7}, []int64{-9, -most + 1}, "18446744073709551616", most - 6},
	} {
		for place, settle := range map[string]func(t *testing.T, c *persist.Client, w *writer){
			"tail":    func(*testing.T, *persist.Client, *writer) {},
			"batches": func(t *testing.T, c *persist.Client, _ *writer) { require.NoError(t, c.Maintain(t.Context())) },
			"compacted": func(t *testing.T, c *persist.Client, w *writer) {
				must(t, w.Seal(t.Context(), 9))
				must(t, w.AllowCompaction(t.Context(), frontier.At(8)))
				require.NoError(t, c.Maintain(t.Context()))
			},
		} {
			t.Run(name+"/"+place, func(t *testing.T) {
				p := kinds[0].make(t)
				c := start(t, p, onDemand())
				w, r := create(t, c, "s")
				for i, diff := range test.diffs {
					must(t, w.Write(t.Context(), []update{up(key, "v", uint64(i), diff)}))
					settle := settle
					if i+1 < len(test.diffs) && place == "compacted" {
						continue
					}
					settle(t, c, w)
				}
				must(t, w.Write(t.Context(), []update{up("a", "", 9, 3), up("z", "", 9, 4)}))
				s := take(t, r)
				reads := map[string]iter.Seq2[update, error]{"AsOf": s.AsOf(t.Context(), 9)}
				if place == "compacted" {
					reads["Consolidated"], reads["Between"] = s.Consolidated(t.Context()), s.Between(t.Context(), frontier.At(8), frontier.Empty())
				}
				for read, rows := range reads {
					var before []update
					var err error
					for u, failed := range rows {
						if err = failed; err == nil {
							before = append(before, u)
						}
					}
					require.ErrorIs(t, err, persist.ErrOverflow, read)
					require.Equal(t, []update{up("a", "", 9, 3)}, before, read)
					for _, text := range []string{`"s"`, `"keykey`, "(300 bytes)", `"v"`, test.sum + ",", "retract"} {
						require.ErrorContains(t, err, text, read)
					}
					require.Less(t, len(err.Error()), 500)
				}
				for _, diff := range test.retract {
					must(t, w.Write(t.Context(), []update{up(key, "v", 9, diff)}))
				}
				settle(t, c, w)
				want := []update{up("a", "", 9, 3), up(key, "v", 9, test.left), up("z", "", 9, 4)}
				if test.left == 0 {
					want = slices.Delete(want, 1, 2)
				}
				var got []update
				for u, err := range take(t, r).AsOf(t.Context(), 9) {
					require.NoError(t, err)
					got = append(got, u)
				}
				require.Equal(t, want, got)
			})
		}
	}
}

// What an int64 cannot negate is refused where it is written: nobody could retract it.
func TestLeastDiffIsRefused(t *testing.T) {
	c := start(t, kinds[0].make(t), onDemand())
	w, r := create(t, c, "s")
	bad := []update{up("a", "", 1, 1), up("b", "", 2, math.MinInt64)}
	multi, err := persist.NewMultiWriteHandle(w)
	require.NoError(t, err)
	for name, err := range map[string]error{
		"write":  refused(t, w.Write(t.Context(), bad)),
		"append": refused(t, w.CompareAndAppend(t.Context(), bad, frontier.At(0), frontier.At(3))),
		"atomic": refused(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error { return persist.AddWrite(b, w, bad) })),
		"rows": refused(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
			return persist.AddRows(b, w, []persist.Row{{Key: []byte("a"), Time: 1, Diff: 1}, {Key: []byte("b"), Time: 2, Diff: math.MinInt64}})
		})),
	} {
		require.ErrorIs(t, err, persist.ErrInvalid, name)
		require.ErrorContains(t, err, `"s"`, name)
		require.ErrorContains(t, err, ` 1 of 2, of key "b" at time 2,`, name)
	}
	require.Empty(t, contents(t, r))
	// The sum may be that number.
	must(t, w.Write(t.Context(), []update{up("a", "", 1, math.MinInt64+1), up("a", "", 1, -1)}))
	require.Equal(t, []update{up("a", "", 1, math.MinInt64)}, contents(t, r))
}
