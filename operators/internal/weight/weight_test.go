package weight_test

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/operators/internal/weight"
	"github.com/tidemark-go/tidemark/persist"
)

type node struct {
	Name string
	Next *node
}

// What is behind a value counts, whatever refers to it, within a factor of two.
func TestWeight(t *testing.T) {
	const kib = 1024
	long := strings.Repeat("x", 64*kib)
	cycle := &node{Name: long}
	cycle.Next = cycle
	ints := make([]int64, 8*kib)
	maps := make(map[string]string)
	for i := range 64 {
		maps[string(rune('a'+i))] = long[:kib]
	}
	for name, got := range map[string]int64{
		"string":              of(long),
		"bytes":               of([]byte(long)),
		"ints":                of(ints),
		"array":               of([1]string{long}),
		"pointer":             of(&long),
		"any":                 of[any](long),
		"struct":              of(node{Name: long}),
		"nested":              of(struct{ A any }{[]any{&node{Next: &node{Name: long}}}}),
		"map":                 of(maps),
		"more than is walked": of(strings.Split(strings.Repeat(long[:31]+",", 2*kib)[:64*kib-1], ",")) / 3 * 2,
	} {
		require.Greater(t, got, int64(48*kib), name)
		require.Less(t, got, int64(96*kib), name)
	}
	require.Less(t, of(cycle), int64(20*64*kib), "ends")
	require.Equal(t, word, of(7))
	require.Equal(t, 2*word, of[any](nil))
	require.Equal(t, word, of((*node)(nil)))
	require.True(t, weight.New[struct{ A, B int }]().Flat())
}

// word is the size of an int, and of a pointer.
const word = int64(unsafe.Sizeof(uintptr(0)))

func of[T any](v T) int64 { return weight.New[T]().Of(&v) }

func TestWeightOfUpdates(t *testing.T) {
	u := make([]persist.Update[string, []byte], 1000)
	u[999].Key, u[500].Val = strings.Repeat("x", 1<<20), make([]byte, 1<<20)
	got := weight.NewUpdates[string, []byte]().Of(u)
	require.Greater(t, got, int64(2<<20), "strings and bytes are counted, not sampled")
	require.Equal(t, int64(1000*32), weight.NewUpdates[uint64, int64]().Of(make([]persist.Update[uint64, int64], 1000)))
	v := make([]persist.Update[any, struct{}], 1000)
	for i := range v {
		v[i].Key = strings.Repeat("x", 1000)
	}
	require.InEpsilon(t, 1000*1048, weight.NewUpdates[any, struct{}]().Of(v), 0.1)
}
