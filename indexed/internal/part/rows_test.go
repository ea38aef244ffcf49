package part

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
)

func drawFrontier(t *rapid.T, label string) frontier.Antichain {
	if rapid.IntRange(0, 5).Draw(t, label+" is empty") == 0 {
		return frontier.Empty()
	}
	return frontier.At(rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Just(uint64(math.MaxUint64))).Draw(t, label))
}

func drawRow(t *rapid.T) Row {
	return Row{
		Key:  rapid.OneOf(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 255}), 0, 10), rapid.Just([]byte("k"))).Draw(t, "key"),
		Val:  rapid.OneOf(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1}), 0, 2), rapid.Just([]byte{})).Draw(t, "val"),
		Time: rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Just(uint64(math.MaxUint64))).Draw(t, "time"),
		Diff: drawDiff(t),
	}
}

// drawDiff draws a diff: small mostly, or near a limit, where sums pass it.
func drawDiff(t *rapid.T) int64 {
	return rapid.OneOf(rapid.Int64Range(-1, 2), rapid.Int64Range(-1, 2), rapid.SampledFrom([]int64{
		math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1, 1 << 62, -1 << 62,
	})).Draw(t, "diff")
}

func drawRun(t *rapid.T) ([]Row, Columns) {
	var b ColumnsBuilder
	rows := rapid.SliceOfN(rapid.Custom(drawRow), 0, 12).Draw(t, "run")
	for _, r := range rows {
		require.NoError(t, b.Add(r.Key, r.Val, r.Time, r.Diff))
	}
	return rows, b.Finish()
}

// naive is what consolidating rows amounts to.
func naive(rows []Row, filter TimeFilter, since frontier.Antichain) []exactSum {
	sums := map[string]exactSum{}
	for _, r := range rows {
		if !filter.Admits(r.Time) {
			continue
		}
		r.Time = since.Advance(r.Time)
		id := fmt.Sprintf("%x %x %d", r.Key, r.Val, r.Time)
		s, ok := sums[id]
		if !ok {
			s = exactSum{row: r, sum: new(big.Int)}
			sums[id] = s
		}
		s.sum.Add(s.sum, big.NewInt(r.Diff))
	}
	left := []exactSum{}
	for _, s := range sums {
		if s.sum.Sign() != 0 {
			left = append(left, s)
		}
	}
	slices.SortFunc(left, func(a, b exactSum) int {
		return cmp.Or(bytes.Compare(a.row.Key, b.row.Key), bytes.Compare(a.row.Val, b.row.Val), cmp.Compare(a.row.Time, b.row.Time))
	})
	return left
}

// exactSum is what the diffs of equal rows add up to.
type exactSum struct {
	row Row // without the diff
	sum *big.Int
}

func (s exactSum) String() string {
	return fmt.Sprintf("%x=%x @%d %+d", s.row.Key, s.row.Val, s.row.Time, s.sum)
}

// Merging sorted runs is consolidating all of their rows. A sum that no int64 holds ends a
// read, and in a batch takes several rows, which are as few as can be.
func TestConsolidateIsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filter := TimeFilter{drawFrontier(t, "lower"), drawFrontier(t, "upper")}
		since := drawFrontier(t, "since")
		var all []Row
		var sources []Source
		for range rapid.IntRange(0, 5).Draw(t, "sources") {
			var runs []Columns
			for range rapid.IntRange(1, 3).Draw(t, "runs") {
				rows, cols := drawRun(t)
				all = append(all, rows...)
				runs = append(runs, cols)
			}
			source := Sort(runs, filter)
			requireSorted(t, source)
			sources = append(sources, source)
		}
		want := naive(all, filter, since)
		if rapid.Bool().Draw(t, "read") {
			tooLarge := func(r *Row, carry int64) error { return errors.New(WideSum(r, carry).String()) }
			for r, err := range Consolidate(t.Context(), sources, since, math.MaxInt, tooLarge) {
				require.NotEmpty(t, want)
				if !want[0].sum.IsInt64() {
					require.EqualError(t, err, want[0].sum.String())
					return
				}
				require.NoError(t, err)
				require.Equal(t, want[0].String(), exactSum{r, big.NewInt(r.Diff)}.String())
				want = want[1:]
			}
			require.Empty(t, want)
			return
		}
		var stored []Row
		for r, err := range Consolidate(t.Context(), sources, since, math.MaxInt, nil) {
			require.NoError(t, err)
			stored = append(stored, r)
		}
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(naive(stored, AllTimes, frontier.Antichain{})))
		least := len(want)
		for _, s := range want {
			if !s.sum.IsInt64() {
				pieces := new(big.Int).Sub(new(big.Int).Abs(s.sum), big.NewInt(1))
				least += int(pieces.Div(pieces, big.NewInt(math.MaxInt64)).Int64())
			}
		}
		require.Len(t, stored, least)
		require.True(t, slices.IsSortedFunc(stored, func(a, b Row) int { return compareRows(&a, &b) }))
	})
}

// requireSorted checks the order without using the source up.
func requireSorted(t *rapid.T, s *sortedRefs) {
	again := &sortedRefs{runs: s.runs, refs: s.refs}
	var prev *Row
	for {
		r, ok, err := again.next(t.Context())
		require.NoError(t, err)
		if !ok {
			return
		}
		if prev != nil {
			require.LessOrEqual(t, compareRows(prev, &r), 0)
		}
		prev = &r
	}
}

// failingSource fails after some rows.
type failingSource struct{ left int }

var errSource = errors.New("source failed")

func (s *failingSource) next(context.Context) (Row, bool, error) {
	if s.left == 0 {
		return Row{}, false, errSource
	}
	s.left--
	return Row{Key: []byte{byte(10 - s.left)}, Diff: 1}, true, nil
}

// A failing source ends the merge with its error, and a reader that stops is left alone.
func TestConsolidateEndsWithTheFirstError(t *testing.T) {
	for _, left := range []int{0, 1, 3} {
		var err error
		for _, err = range Consolidate(t.Context(), []Source{&failingSource{left}}, frontier.Antichain{}, math.MaxInt, nil) {
		}
		require.ErrorIs(t, err, errSource)
	}
	n := 0
	for range Consolidate(t.Context(), []Source{&failingSource{5}}, frontier.Antichain{}, math.MaxInt, nil) {
		if n++; n == 2 {
			break
		}
	}
	require.Equal(t, 2, n)
}

// stored are decoded parts by key, each of several row groups; it counts how often each
// was read.
type stored struct {
	parts map[string][]Columns
	reads map[string]int
}

func (s *stored) open(_ context.Context, p *Part) (groupReader, error) {
	return storedPart{s, p.Key}, nil
}

type storedPart struct {
	*stored
	key string
}

func (s storedPart) count() int { return len(s.parts[s.key]) }

func (s storedPart) size(i int) int {
	c := s.parts[s.key][i]
	return c.Size()
}

func (s storedPart) group(_ context.Context, i int) (Columns, error) {
	s.reads[fmt.Sprint(s.key, "/", i)]++
	return s.parts[s.key][i], nil
}

// However many batches are read together, no more bytes of them are held than may be, and
// row groups are read more than once only if they do not fit together.
func TestManyBatchesShareMemory(t *testing.T) {
	const groupRows = 100
	// Values of one size, and large ones that come first, in all batches at the same time.
	small := func(int) []byte { return []byte("v") }
	skewed := func(row int) []byte {
		if row%groupRows < 10 {
			return bytes.Repeat([]byte("v"), 2000)
		}
		return []byte("v")
	}
	for name, val := range map[string]func(row int) []byte{"small": small, "skewed": skewed} {
		t.Run(name, func(t *testing.T) { testManyBatches(t, groupRows, val) })
	}
}

func testManyBatches(t *testing.T, groupRows int, val func(row int) []byte) {
	const partsEach, groupsEach = 2, 2
	rowsEach := groupRows * groupsEach
	const most = 32 // row groups of all batches
	for _, count := range []int{1, most, 2 * most, 10 * most} {
		store := &stored{parts: map[string][]Columns{}, reads: map[string]int{}}
		sources := make([]Source, count)
		groupSize := 0
		for i := range sources {
			var parts []Part
			for p := range partsEach {
				parts = append(parts, Part{Key: fmt.Sprint(i, "-", p), Rows: rowsEach})
				var cols ColumnsBuilder
				for r := range rowsEach {
					// So that all batches are in the middle of a group all the time.
					key := fmt.Sprintf("%06d-%06d", p*rowsEach+r, i)
					require.NoError(t, cols.Add([]byte(key), val(r), 0, 1))
					if cols.Len() == groupRows {
						c := cols.Finish()
						groupSize = c.Size()
						store.parts[parts[p].Key] = append(store.parts[parts[p].Key], c)
					}
				}
			}
			sources[i] = NewRows(parts, store, AllTimes)
		}
		rows := 0
		for r, err := range Consolidate(t.Context(), sources, frontier.Antichain{}, most*groupSize, nil) {
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%06d-%06d", rows/count, rows%count), string(r.Key))
			if rows%(7*count) == 0 {
				held := 0
				for _, s := range sources {
					held += cap(s.(*Rows).cur.cols.buf)
				}
				require.LessOrEqual(t, held, most*groupSize, "%d batches", count)
			}
			rows++
		}
		require.Equal(t, count*partsEach*rowsEach, rows)
		require.Len(t, store.reads, count*partsEach*groupsEach)
		for key, n := range store.reads {
			pieces := (count + most - 1) / most
			if pieces == 1 {
				require.Equal(t, 1, n, "reads of group %s of %d batches", key, count)
			}
			require.LessOrEqual(t, n, 2*pieces, "reads of group %s of %d batches", key, count)
		}
	}
}
