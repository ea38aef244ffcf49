package concurrent_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/tidemarktest/concurrent"
)

type txn = concurrent.Txn

// lists is "x=1,2 y=" as a map.
func lists(text string) map[string][]string {
	if text == "" {
		return nil
	}
	m := make(map[string][]string)
	for _, part := range strings.Fields(text) {
		name, values, _ := strings.Cut(part, "=")
		m[name] = nil
		if values != "" {
			m[name] = strings.Split(values, ",")
		}
	}
	return m
}

// t1 is a transaction between two ticks.
func t1(name string, call, ret int64, appends, reads string) txn {
	return txn{Name: name, Call: call, Return: ret, Appends: lists(appends), Reads: lists(reads)}
}

// TestStrictSerializable has the anomalies by name.
func TestStrictSerializable(t *testing.T) {
	with := func(tx txn, o concurrent.Outcome) txn {
		tx.Outcome = o
		return tx
	}
	for _, row := range []struct {
		name string
		want string // part of the error; "" is none
		txns []txn
	}{
		{"nothing", "", nil},
		{"one after the other", "", []txn{t1("a", 1, 2, "x=1", ""), t1("b", 3, 4, "x=2 y=1", ""), t1("c", 5, 6, "", "x=1,2"), t1("d", 5, 6, "", "y=1")}},
		{"overlapping, in either order", "", []txn{t1("a", 1, 9, "x=1", ""), t1("b", 2, 8, "x=2", ""), t1("c", 3, 7, "", "x=2"), t1("d", 10, 11, "", "x=2,1")}},
		{"unknown and never seen", "", []txn{with(t1("a", 1, math.MaxInt64, "x=1", ""), concurrent.Unknown), t1("b", 5, 6, "", "x=")}},
		{"unknown and seen late", "", []txn{with(t1("a", 1, math.MaxInt64, "x=1", ""), concurrent.Unknown), t1("b", 5, 6, "", "x="), t1("c", 7, 8, "", "x=1")}},

		{"a write is lost", "rw", []txn{t1("a", 1, 2, "x=1", ""), t1("b", 3, 4, "", "x=")}},
		{"the first of two writes is lost", "nobody has read", []txn{t1("a", 1, 2, "x=1", ""), t1("b", 3, 4, "x=2", ""), t1("c", 5, 6, "", "x=2")}},
		{"a stale read", "rt", []txn{t1("a", 1, 2, "x=1", ""), t1("b", 3, 4, "x=2", ""), t1("c", 5, 6, "", "x=1"), t1("d", 7, 8, "", "x=1,2")}},
		{"a read that goes back", "rt", []txn{with(t1("a", 1, 20, "x=1", ""), concurrent.Unknown), t1("b", 5, 6, "", "x=1"), t1("c", 7, 8, "", "x=")}},
		{"unknown, seen after it was decided", "before", []txn{with(t1("a", 1, 4, "x=1", ""), concurrent.Unknown), t1("b", 5, 6, "", "x="), t1("c", 7, 8, "", "x=1")}},
		{"one stream before the other", "wr", []txn{t1("a", 1, 9, "x=1 y=1", ""), t1("b", 2, 3, "", "x=1"), t1("c", 4, 5, "", "y="), t1("d", 10, 11, "", "y=1")}},
		{"half of a transaction", "wr", []txn{t1("a", 1, 9, "x=1 y=1", ""), {Name: "cut", Call: math.MinInt64, Return: 20, Reads: lists("x=1 y=")}, t1("d", 10, 11, "", "y=1")}},
		{"write cycle", "ww", []txn{t1("a", 1, 9, "x=1 y=1", ""), t1("b", 1, 9, "x=2 y=2", ""), t1("c", 10, 11, "", "x=1,2"), t1("d", 10, 11, "", "y=2,1")}},
		{"long fork", "rw", []txn{
			t1("a", 1, 99, "x=1", ""), t1("b", 1, 99, "y=1", ""),
			{Name: "c", Call: math.MinInt64, Return: 50, Reads: lists("x=1 y=")}, {Name: "d", Call: math.MinInt64, Return: 50, Reads: lists("x= y=1")},
			t1("e", 100, 101, "", "x=1 y=1"),
		}},
		{"a cut of the past", "", []txn{t1("a", 1, 2, "x=1", ""), t1("b", 3, 4, "x=2", ""), {Name: "cut", Call: math.MinInt64, Return: 9, Reads: lists("x=1")}, t1("c", 7, 8, "", "x=1,2")}},
		{"a cut of the future", "rt", []txn{{Name: "cut", Call: math.MinInt64, Return: 2, Reads: lists("x=1")}, t1("a", 3, 4, "x=1", "")}},

		{"refused but there", "refused", []txn{with(t1("a", 1, 2, "x=1", ""), concurrent.Refused), t1("b", 3, 4, "", "x=1")}},
		{"written by nobody", "nobody appended", []txn{t1("b", 3, 4, "", "x=1")}},
		{"there twice", "again", []txn{t1("a", 1, 2, "x=1", ""), t1("b", 3, 4, "", "x=1,1")}},
		{"two orders", "read", []txn{t1("a", 1, 9, "x=1", ""), t1("b", 1, 9, "x=2", ""), t1("c", 10, 11, "", "x=1,2"), t1("d", 10, 11, "", "x=2,1")}},
		{"the middle of a transaction", "middle", []txn{t1("a", 1, 9, "x=1,2", ""), t1("b", 2, 3, "", "x=1"), t1("c", 10, 11, "", "x=1,2")}},
		{"not together", "right after", []txn{t1("a", 1, 9, "x=1,2", ""), t1("b", 1, 9, "x=3", ""), t1("c", 10, 11, "", "x=1,3,2")}},
		{"the same element twice", "must differ", []txn{t1("a", 1, 9, "x=1", ""), t1("b", 1, 9, "x=1", "")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := concurrent.StrictSerializable(row.txns)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, concurrent.ErrViolated)
			require.ErrorContains(t, err, row.want)
		})
	}
}

// TestStrictSerializableAgainstItsDefinition draws small histories and compares the
// verdict with trying every order.
func TestStrictSerializableAgainstItsDefinition(t *testing.T) {
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		// Appends in one order, and reads that may have seen any beginning.
		var txns []txn
		order := map[string][]string{}
		names := []string{"x", "y"}
		for i := range rapid.IntRange(1, 3).Draw(t, "appends") {
			tx := txn{Name: string(rune('a' + i)), Appends: map[string][]string{}}
			for _, list := range names {
				if rapid.Bool().Draw(t, "to "+list) || list == "x" && i == 0 {
					tx.Appends[list] = []string{tx.Name}
					order[list] = append(order[list], tx.Name)
				}
			}
			txns = append(txns, tx)
		}
		if rapid.Bool().Draw(t, "turned") {
			slices.Reverse(order["y"])
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "reads") {
			tx := txn{Name: string(rune('r' + i)), Reads: map[string][]string{}}
			for _, list := range names[:rapid.IntRange(1, 2).Draw(t, "of")] {
				tx.Reads[list] = order[list][:rapid.IntRange(0, len(order[list])).Draw(t, "length")]
			}
			txns = append(txns, tx)
		}
		for i := range txns {
			txns[i].Call = rapid.Int64Range(0, 8).Draw(t, "call") * 2
			txns[i].Return = txns[i].Call + 1 + rapid.Int64Range(0, 4).Draw(t, "takes")*2
		}
		txns = append(txns, t1("last", 100, 101, "", ""))
		txns[len(txns)-1].Reads = map[string][]string{"x": order["x"], "y": order["y"]}

		want := anyOrder(txns, nil, make([]bool, len(txns)), map[string]int{}, order)
		err := concurrent.StrictSerializable(txns)
		require.Equal(t, want, err == nil, "%v\n%+v", err, txns)
		verdicts[want]++
	})
	require.NotZero(t, verdicts[true])
	require.NotZero(t, verdicts[false])
}

// anyOrder tries all orders of what is left.
func anyOrder(txns []txn, chosen []int, used []bool, lengths map[string]int, order map[string][]string) bool {
	if len(chosen) == len(txns) {
		return true
	}
	for i := range txns {
		if used[i] || !mayCome(txns, used, i) {
			continue
		}
		fits := true
		after := map[string]int{"x": lengths["x"], "y": lengths["y"]}
		for list, values := range txns[i].Reads {
			fits = fits && len(values) == lengths[list]
		}
		for list, values := range txns[i].Appends {
			fits = fits && order[list][lengths[list]] == values[0]
			after[list]++
		}
		if fits {
			used[i] = true
			if anyOrder(txns, append(chosen, i), used, after, order) {
				return true
			}
			used[i] = false
		}
	}
	return false
}

// mayCome reports whether nothing that is left returned before the transaction was
// called.
func mayCome(txns []txn, used []bool, i int) bool {
	for k := range txns {
		if k != i && !used[k] && txns[k].Return < txns[i].Call {
			return false
		}
	}
	return true
}
