package frontier_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
)

func TestZeroValueIsTheMinimum(t *testing.T) {
	var zero frontier.Antichain
	require.Equal(t, frontier.At(0), zero)
	require.True(t, zero.Admits(0))
	require.Equal(t, "[{0}, {0}) since {0}", frontier.Description{}.String())
}

func TestBefore(t *testing.T) {
	for _, tt := range []struct {
		of   frontier.Antichain
		last uint64
		ok   bool
	}{
		{frontier.At(0), 0, false},
		{frontier.At(1), 0, true},
		{frontier.At(math.MaxUint64), math.MaxUint64 - 1, true},
		{frontier.Empty(), math.MaxUint64, true},
	} {
		last, ok := tt.of.Before()
		require.Equal(t, tt.ok, ok, tt.of)
		require.Equal(t, tt.last, last, tt.of)
	}
}

// The table of spec 1.2, and the order of frontiers.
func TestOrderAgainstItsDefinition(t *testing.T) {
	antichain := rapid.Custom(func(t *rapid.T) frontier.Antichain {
		if rapid.Bool().Draw(t, "empty") {
			return frontier.Empty()
		}
		return frontier.At(rapid.Uint64Range(0, 5).Draw(t, "elem"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := antichain.Draw(t, "a"), antichain.Draw(t, "b")
		at, aok := a.Elem()
		bt, bok := b.Elem()

		// a <= b iff every element of b has an element of a at or below it.
		lessEqual := !bok || (aok && at <= bt)
		require.Equal(t, lessEqual, a.LessEqual(b))
		require.Equal(t, lessEqual && a != b, a.LessThan(b))
		require.Equal(t, a.Compare(b), -b.Compare(a))
		require.Equal(t, a.LessThan(b), a.Compare(b) < 0)

		require.True(t, a.LessEqual(a.Join(b)) && b.LessEqual(a.Join(b)))
		require.True(t, a.Meet(b).LessEqual(a) && a.Meet(b).LessEqual(b))
		require.True(t, slices.Contains([]frontier.Antichain{a, b}, a.Join(b)))
		require.True(t, slices.Contains([]frontier.Antichain{a, b}, a.Meet(b)))

		x := rapid.Uint64Range(0, 6).Draw(t, "x")
		require.Equal(t, aok && at <= x, a.Admits(x))
		require.Equal(t, !aok, a.IsEmpty())
		if aok {
			require.Equal(t, max(x, at), a.Advance(x))
		} else {
			require.Equal(t, x, a.Advance(x))
		}

		// The last time that is not admitted, if there is one.
		last, ok := a.Before()
		require.Equal(t, a != frontier.At(0), ok)
		if ok {
			require.False(t, a.Admits(last))
			require.Equal(t, aok, last < math.MaxUint64 && a.Admits(last+1))
		}
		require.Equal(t, aok && !a.Admits(x), ok && !a.IsEmpty() && x <= last)

		text, err := a.MarshalText()
		require.NoError(t, err)
		var back frontier.Antichain
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, a, back)
	})
}

func TestUnmarshalTextRefusesOtherText(t *testing.T) {
	for _, text := range []string{"", "{", "}", "{}}", "{x}", "1", "{-1}", "{18446744073709551616}"} {
		a := frontier.At(7)
		require.Error(t, a.UnmarshalText([]byte(text)), text)
		require.Equal(t, frontier.At(7), a, "a refused text must leave the value alone")
	}
}

func TestDescription(t *testing.T) {
	d := frontier.Description{Lower: frontier.At(2), Upper: frontier.At(5), Since: frontier.At(3)}
	require.True(t, d.Contains(2))
	require.False(t, d.Contains(5))
	require.False(t, d.Definite(2), "before since")
	require.True(t, d.Definite(4))
	require.False(t, d.Definite(5), "not before upper")
	require.False(t, d.IsEmpty())
	require.True(t, frontier.Description{}.IsEmpty())

	finished := frontier.Description{Upper: frontier.Empty()}
	require.True(t, finished.Contains(1<<63))
	require.False(t, finished.IsEmpty())
}

func ExampleAntichain() {
	upper := frontier.At(5)
	fmt.Println(upper, "admits a write at 5:", upper.Admits(5), "at 4:", upper.Admits(4))
	fmt.Println(frontier.Empty(), "is in advance of everything:", upper.LessThan(frontier.Empty()))
	// Output:
	// {5} admits a write at 5: true at 4: false
	// {} is in advance of everything: true
}
