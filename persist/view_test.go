package persist_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// rowsOf returns the rows of a read, up to its error.
func rowsOf[K, V any](seq iter.Seq2[persist.Update[K, V], error]) (rows []persist.Update[K, V], err error) {
	for u, err := range seq {
		if err != nil {
			return rows, err
		}
		rows = append(rows, u)
	}
	return rows, nil
}

// TestView: what is read by keys is what a read of everything has of these keys, wherever the
// updates are.
func TestView(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, _ := create(t, c, "s")
		var updates []update
		for i := range 100 {
			updates = append(updates, up(fmt.Sprintf("key-%02d", i), "", uint64(i%3), 1))
		}
		updates = append(updates,
			up("key-50", "second", 1, 5),                    // a key with two values
			up("key-51", "", 2, -1), up("key-51", "", 0, 0), // one that is retracted
			up("", "of no key", 1, 1), up("\U0010ffff", "last", 1, 1), // the first key and the last
			up("key-7", "not key-07", 1, 1), up("kez", "behind", 2, 1)) // and one within the prefix of others
		must(t, w.Write(t.Context(), updates))
		must(t, w.Seal(t.Context(), 3))
		everywhere(t, p, c, "s", func(t *testing.T, r *reader) {
			s := take(t, r)
			for at := range uint64(4) {
				all, err := rowsOf(s.AsOf(t.Context(), at))
				require.NoError(t, err)
				of := func(keep func(key string) bool) (rows []update) {
					for _, u := range all {
						if keep(u.Key) {
							rows = append(rows, u)
						}
					}
					return rows
				}
				v := s.At(at)
				require.Equal(t, at, v.Time())
				keys := []string{"", "absent", "key-00", "key-01", "key-50", "key-51", "key-7", "key-99", "\U0010fffe", "\U0010ffff"}
				for _, key := range keys {
					got, err := rowsOf(v.Get(t.Context(), key))
					require.NoError(t, err)
					require.Equal(t, of(func(k string) bool { return k == key }), got)
				}
				got, err := rowsOf(v.Lookup(t.Context(), slices.Values(keys)))
				require.NoError(t, err)
				require.Equal(t, of(func(k string) bool { return slices.Contains(keys, k) }), got)
				for _, r := range [][2]string{{"", "\U0010ffff"}, {"key-10", "key-20"}, {"key-100", "key-11"}, {"a", "a"}, {"key-20", "key-10"}} {
					got, err := rowsOf(v.Range(t.Context(), r[0], r[1]))
					require.NoError(t, err)
					require.Equal(t, of(func(k string) bool { return r[0] <= k && k < r[1] }), got, "%q", r)
				}
				for _, prefix := range []string{"", "key-", "key-5", "key-7", "key-50", "absent", "\xff", "\xff\xff", "key-\xff"} {
					got, err := rowsOf(v.Prefix(t.Context(), []byte(prefix)))
					require.NoError(t, err)
					require.Equal(t, of(func(k string) bool { return strings.HasPrefix(k, prefix) }), got, "%q", prefix)
				}
			}
		})
	})
}

// TestViewOfPrefixesOfOnes: a prefix that ends with ones has no end of the same length.
func TestViewOfPrefixesOfOnes(t *testing.T) {
	c := start(t, kinds[0].make(t), onDemand())
	anyBytes := codec.Func("acme/bytes",
		func(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil },
		func(src []byte) (string, error) { return string(src), nil })
	w, r, err := persist.CreateOrLoad(t.Context(), c, "s", anyBytes, codec.String)
	require.NoError(t, err)
	keys := []string{"a", "a\xfe", "a\xff", "a\xff\x00", "a\xff\xff", "a\xff\xff\xff", "b", "b\x00", "\xff", "\xff\xff", "\xff\xffz"}
	var updates []update
	for _, k := range keys {
		updates = append(updates, up(k, "", 1, 1))
	}
	must(t, w.Write(t.Context(), updates))
	s := take(t, r)
	for _, prefix := range []string{"a", "a\xff", "a\xff\xff", "\xff", "\xff\xff", "\xff\xff\xff", "b\x00", ""} {
		var want []string
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
			}
		}
		rows, err := rowsOf(s.At(1).Prefix(t.Context(), []byte(prefix)))
		require.NoError(t, err)
		var got []string
		for _, u := range rows {
			got = append(got, u.Key)
		}
		require.Equal(t, want, got, "%q", prefix)
	}
}

// TestViewOfNumbers: a range is in the order of encoded keys, which is that of numbers if
// their codec says so.
func TestViewOfNumbers(t *testing.T) {
	c := start(t, kinds[0].make(t), onDemand())
	w, r, err := persist.CreateOrLoad(t.Context(), c, "s", codec.Int64, codec.Unit)
	require.NoError(t, err)
	numbers := []int64{math.MinInt64, -300, -1, 0, 1, 255, 256, math.MaxInt64}
	var updates []persist.Update[int64, struct{}]
	for _, n := range numbers {
		updates = append(updates, persist.Update[int64, struct{}]{Key: n, Time: 1, Diff: 1})
	}
	must(t, w.Write(t.Context(), updates))
	s, err := r.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	got, err := rowsOf(s.At(1).Range(t.Context(), -300, 256))
	require.NoError(t, err)
	require.Equal(t, updates[1:6], got)
	got, err = rowsOf(s.At(1).Lookup(t.Context(), slices.Values(numbers)))
	require.NoError(t, err)
	require.Equal(t, updates, got)
}

// TestViewErrors: what a read by key refuses, and what comes before the error.
func TestViewErrors(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, onDemand())
		w, _ := create(t, c, "s")
		must(t, w.Write(t.Context(), []update{up("a", "", 1, 1), up("b", "", 2, 1), up("c", "", 5, 1)}))
		must(t, w.Seal(t.Context(), 4))
		must(t, w.AllowCompaction(t.Context(), frontier.At(3)))
		everywhere(t, p, c, "s", func(t *testing.T, r *reader) {
			s := take(t, r)
			reads := func(v *persist.View[string, string], ctx context.Context) map[string]iter.Seq2[update, error] {
				return map[string]iter.Seq2[update, error]{
					"get": v.Get(ctx, "a"), "range": v.Range(ctx, "a", "z"), "prefix": v.Prefix(ctx, nil),
					"lookup": v.Lookup(ctx, slices.Values([]string{"a", "b"})),
				}
			}
			for name, read := range reads(s.At(2), t.Context()) {
				rows, err := rowsOf(read)
				require.ErrorIs(t, err, persist.ErrAsOfBeforeSince, name)
				require.ErrorContains(t, err, `"s"`, name)
				require.Empty(t, rows, name)
			}
			// As of the since, and of times that are not complete yet.
			for name, read := range reads(s.At(3), t.Context()) {
				rows, err := rowsOf(read)
				require.NoError(t, err, name)
				require.Contains(t, rows, up("a", "", 3, 1), name)
			}
			rows, err := rowsOf(s.At(math.MaxUint64).Prefix(t.Context(), nil))
			require.NoError(t, err)
			require.Equal(t, []update{up("a", "", math.MaxUint64, 1), up("b", "", math.MaxUint64, 1), up("c", "", math.MaxUint64, 1)}, rows)

			// A key that is less than the one before it. The rows of keys before it come first.
			rows, err = rowsOf(s.At(3).Lookup(t.Context(), slices.Values([]string{"a", "b", "b", "a"})))
			require.ErrorIs(t, err, persist.ErrInvalid)
			require.ErrorContains(t, err, `"s"`)
			require.ErrorContains(t, err, `key "a"`)
			require.Equal(t, []update{up("a", "", 3, 1), up("b", "", 3, 1)}, rows)
			rows, err = rowsOf(s.At(3).Lookup(t.Context(), slices.Values([]string{"a", "a", "b", "b"})))
			require.NoError(t, err)
			require.Equal(t, []update{up("a", "", 3, 1), up("b", "", 3, 1)}, rows, "a key that comes twice counts once")
			rows, err = rowsOf(s.At(3).Lookup(t.Context(), slices.Values([]string{})))
			require.NoError(t, err)
			require.Empty(t, rows)

			over, cancel := context.WithCancel(t.Context())
			cancel()
			for name, read := range reads(s.At(3), over) {
				_, err := rowsOf(read)
				require.ErrorIs(t, err, context.Canceled, name)
			}

			// A caller that wants no more.
			for name, read := range reads(s.At(3), t.Context()) {
				for _, err := range read {
					require.NoError(t, err, name)
					break
				}
			}
			closed := s.At(3)
			require.NoError(t, s.Close())
			for name, read := range reads(closed, t.Context()) {
				rows, err := rowsOf(read)
				require.ErrorIs(t, err, persist.ErrClosed, name)
				require.Empty(t, rows, name)
			}
		})
	})
}

// TestViewOfCodecsThatFail: a key that cannot be encoded is an error that names it. Rows of
// keys before it come first.
func TestViewOfCodecsThatFail(t *testing.T) {
	tooLong := errors.New("too long")
	picky := codec.Func("acme/picky",
		func(dst []byte, v string) ([]byte, error) {
			switch {
			case len(v) > 3:
				return nil, tooLong
			case v == "bad":
				return []byte(v), nil
			}
			return append(dst, v...), nil
		},
		func(src []byte) (string, error) { return string(src), nil })
	c := start(t, kinds[0].make(t), onDemand())
	w, r, err := persist.CreateOrLoad(t.Context(), c, "s", picky, codec.String)
	require.NoError(t, err)
	must(t, w.Write(t.Context(), []update{up("a", "", 1, 1), up("b", "", 1, 1)}))
	s := take(t, r)
	v := s.At(1)
	for key, want := range map[string]error{"long": tooLong, "bad": persist.ErrInvalid} {
		for name, read := range map[string]iter.Seq2[update, error]{
			"get": v.Get(t.Context(), key), "from": v.Range(t.Context(), key, "b"), "to": v.Range(t.Context(), "a", key),
			"lookup": v.Lookup(t.Context(), slices.Values([]string{"a", key})),
		} {
			rows, err := rowsOf(read)
			require.ErrorIs(t, err, want, name)
			require.ErrorContains(t, err, `"s"`, name)
			require.ErrorContains(t, err, fmt.Sprintf("%q", key), name)
			require.Len(t, rows, map[string]int{"lookup": 1}[name], name)
		}
	}
}

// TestLookupOfManyKeys: more keys than are asked for at once.
func TestLookupOfManyKeys(t *testing.T) {
	c := start(t, kinds[0].make(t), persist.Config{FlushInterval: -1})
	w, r := create(t, c, "s")
	const keys = 10_000
	key := func(i int) string { return fmt.Sprintf("key-%05d", i) }
	var updates []update
	for i := range keys {
		updates = append(updates, up(key(2*i), "", 1, 1))
	}
	must(t, w.Write(t.Context(), updates))
	must(t, w.Seal(t.Context(), 2))
	require.NoError(t, c.Maintain(t.Context()))
	s := take(t, r)
	asked := 0
	rows, err := rowsOf(s.At(1).Lookup(t.Context(), func(yield func(string) bool) {
		for i := range 2 * keys {
			if asked++; !yield(key(i)) {
				return
			}
		}
	}))
	require.NoError(t, err)
	require.Equal(t, updates, rows)
	require.Equal(t, 2*keys, asked)
	asked = 0
	for _, err := range s.At(1).Lookup(t.Context(), func(yield func(string) bool) {
		for i := range 2 * keys {
			if asked++; !yield(key(i)) {
				return
			}
		}
	}) {
		require.NoError(t, err)
		break
	}
	require.Less(t, asked, keys, "a caller that wants no more ends the keys, too")
}
