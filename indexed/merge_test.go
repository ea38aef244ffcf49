package indexed

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

func drawAntichain(t *rapid.T, label string) frontier.Antichain {
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
func naive(rows []Row, filter timeFilter, since frontier.Antichain) []exactSum {
	sums := map[string]exactSum{}
	for _, r := range rows {
		if !filter.admits(r.Time) {
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
		filter := timeFilter{drawAntichain(t, "lower"), drawAntichain(t, "upper")}
		since := drawAntichain(t, "since")
		var all []Row
		var sources []rowSource
		for range rapid.IntRange(0, 5).Draw(t, "sources") {
			var runs []Columns
			for range rapid.IntRange(1, 3).Draw(t, "runs") {
				rows, cols := drawRun(t)
				all = append(all, rows...)
				runs = append(runs, cols)
			}
			source := sortRuns(runs, filter)
			requireSorted(t, source)
			sources = append(sources, source)
		}
		want := naive(all, filter, since)
		if rapid.Bool().Draw(t, "read") {
			for r, err := range consolidate(t.Context(), sources, since, math.MaxInt, tooLargeSum("s")) {
				require.NotEmpty(t, want)
				if !want[0].sum.IsInt64() {
					require.ErrorIs(t, err, ErrOverflow)
					require.ErrorContains(t, err, want[0].sum.String())
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
		for r, err := range consolidate(t.Context(), sources, since, math.MaxInt, nil) {
			require.NoError(t, err)
			stored = append(stored, r)
		}
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(naive(stored, allTimes, frontier.Antichain{})))
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
		for _, err = range consolidate(t.Context(), []rowSource{&failingSource{left}}, frontier.Antichain{}, math.MaxInt, nil) {
		}
		require.ErrorIs(t, err, errSource)
	}
	n := 0
	for range consolidate(t.Context(), []rowSource{&failingSource{5}}, frontier.Antichain{}, math.MaxInt, nil) {
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

func (s *stored) openPart(_ context.Context, p *part) (groupReader, error) {
	return storedPart{s, p.key}, nil
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
	partRows := groupRows * groupsEach
	const most = 32 // row groups of all batches
	for _, count := range []int{1, most, 2 * most, 10 * most} {
		store := &stored{parts: map[string][]Columns{}, reads: map[string]int{}}
		sources := make([]rowSource, count)
		groupSize := 0
		for i := range sources {
			b := &batch{}
			for p := range partsEach {
				b.parts = append(b.parts, part{key: fmt.Sprint(i, "-", p), rows: partRows})
				var cols ColumnsBuilder
				for r := range partRows {
					// So that all batches are in the middle of a group all the time.
					key := fmt.Sprintf("%06d-%06d", p*partRows+r, i)
					require.NoError(t, cols.Add([]byte(key), val(r), 0, 1))
					if cols.Len() == groupRows {
						c := cols.Finish()
						groupSize = c.Size()
						store.parts[b.parts[p].key] = append(store.parts[b.parts[p].key], c)
					}
				}
			}
			sources[i] = newBatchRows(b, store, allTimes)
		}
		rows := 0
		for r, err := range consolidate(t.Context(), sources, frontier.Antichain{}, most*groupSize, nil) {
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%06d-%06d", rows/count, rows%count), string(r.Key))
			if rows%(7*count) == 0 {
				held := 0
				for _, s := range sources {
					held += cap(s.(*batchRows).cur.cols.buf)
				}
				require.LessOrEqual(t, held, most*groupSize, "%d batches", count)
			}
			rows++
		}
		require.Equal(t, count*partsEach*partRows, rows)
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

// Neighbours are merged from the lowest level up, so that what is written while merges
// cannot keep up is in as few batches as can be. The order of levels, without which
// batches would be left over, is kept.
func TestMergesBeginAtTheLowestLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []*batch
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			run := lowestRun(list, math.MaxUint64)
			count := map[int]int{}
			for i, b := range list {
				if count[b.level]++; i > 0 {
					require.GreaterOrEqual(t, list[i-1].level, b.level)
				}
			}
			maps.DeleteFunc(count, func(_, n int) bool { return n < mergeWidth })
			if len(count) == 0 {
				require.Nil(t, run)
			} else {
				lowest := slices.Min(slices.Collect(maps.Keys(count)))
				require.Len(t, run, mergeWidth)
				require.False(t, slices.ContainsFunc(run, func(b *batch) bool { return b.level != lowest }))
			}
			if run == nil || rapid.Bool().Draw(t, "flush") {
				list = append(list, &batch{})
				continue
			}
			out := &batch{level: run[0].level + rapid.IntRange(0, 1).Draw(t, "grows")}
			var ok bool
			list, ok = replaceRun(list, run, out)
			require.True(t, ok)
		}
	})
}

func TestBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		r := wire.NewReader(b.appendTo(nil), 0)
		back := decodeBatch(r)
		require.NoError(t, r.End())
		require.Equal(t, b, back)
	})
}

// drawBatch draws a batch that is valid.
func drawBatch(t *rapid.T) *batch {
	b := &batch{id: rapid.Uint64().Draw(t, "id"), trace: rapid.Bool().Draw(t, "trace"), level: rapid.IntRange(0, 40).Draw(t, "level")}
	for range rapid.IntRange(0, 3).Draw(t, "parts") {
		rows := rapid.IntRange(1, 1000).Draw(t, "part rows")
		b.rows += int64(rows)
		b.parts = append(b.parts, part{
			key:  rapid.StringN(1, 20, 40).Draw(t, "key"),
			size: rapid.Int64Range(1, math.MaxInt64).Draw(t, "size"),
			sum:  rapid.Uint64().Draw(t, "sum"),
			rows: rows, bytes: rowOverhead*rows + rapid.IntRange(0, 1000).Draw(t, "data"),
		})
	}
	b.foldable = rapid.Int64Range(0, b.rows).Draw(t, "foldable")
	from := rapid.Uint64Range(0, 10).Draw(t, "lower")
	b.desc.Upper = frontier.Empty()
	if b.trace {
		b.desc.Lower, b.desc.Since = frontier.At(from), drawAntichain(t, "since")
		if width := rapid.Uint64Range(0, 5).Draw(t, "width"); width > 0 {
			b.desc.Upper = frontier.At(from + width)
		}
	} else {
		b.after = storage.SeqNo(rapid.Uint64Range(0, 1<<60).Draw(t, "after"))
		b.through = b.after + storage.SeqNo(rapid.Uint64Range(1, 100).Draw(t, "through"))
	}
	if b.rows > 0 {
		b.minTime, b.maxTime = from, from
	}
	return b
}

func unsealedBatch(id uint64, after, through storage.SeqNo) *batch {
	return &batch{id: id, desc: frontier.Description{Upper: frontier.Empty()}, after: after, through: through}
}

func traceBatch(id, lower, upper uint64) *batch {
	return &batch{id: id, trace: true, desc: frontier.Description{Lower: frontier.At(lower), Upper: frontier.At(upper)}}
}

// trace_batch_meta_validate, unsealed_batch_meta_validate: one bad case for each
// invariant, which a good case differs from in that alone.
func TestBatchValidate(t *testing.T) {
	trace := func() *batch {
		b := traceBatch(1, 2, 5)
		b.rows, b.minTime, b.maxTime = 3, 2, 4
		b.parts = []part{{"a", 10, 1, 2, 48}, {"b", 10, 1, 1, 24}}
		return b
	}
	unsealed := func() *batch { return unsealedBatch(1, 3, 4) }
	require.NoError(t, trace().validate())
	require.NoError(t, unsealed().validate())
	moved := trace()
	moved.desc.Since, moved.minTime, moved.maxTime = frontier.At(9), 9, 9
	require.NoError(t, moved.validate(), "times may have been moved up to the since")

	for text, b := range map[string]*batch{
		"empty or has no key":  edited(trace(), func(b *batch) { b.parts[0].key = "" }),
		"part 1 is empty":      edited(trace(), func(b *batch) { b.parts[1].rows = 0 }),
		"part 0 is empty":      edited(trace(), func(b *batch) { b.parts[0].size = 0 }),
		"2 rows in 47 bytes":   edited(trace(), func(b *batch) { b.parts[0].bytes = 47 }),
		"3 rows in its parts":  edited(trace(), func(b *batch) { b.rows = 4 }),
		"more rows in its":     edited(trace(), func(b *batch) { b.rows = 2 }),
		"times from 5 to 4":    edited(trace(), func(b *batch) { b.minTime = 5 }),
		"empty interval":       edited(trace(), func(b *batch) { b.desc.Upper = frontier.At(2) }),
		"before its lower":     edited(trace(), func(b *batch) { b.minTime = 1 }),
		"not before its upper": edited(trace(), func(b *batch) { b.maxTime = 5 }),
		"(3, 3]: empty":        edited(unsealed(), func(b *batch) { b.through = 3 }),
	} {
		require.ErrorContains(t, b.validate(), text)
	}
}

func edited(b *batch, change func(b *batch)) *batch {
	change(b)
	return b
}

// trace_meta_validate, unsealed_meta_validate: what must hold between batches.
func TestSetValidate(t *testing.T) {
	open := func() *stream {
		return &stream{name: "s", upper: frontier.At(9), since: frontier.At(4), flushed: 20}
	}
	set := func() *batchSet {
		return &batchSet{
			trace:    []*batch{traceBatch(1, 0, 3), traceBatch(2, 3, 9)},
			unsealed: []*batch{unsealedBatch(3, 0, 10), unsealedBatch(4, 12, 20)},
		}
	}
	require.NoError(t, open().validateSet(set(), 20))
	for text, change := range map[string]func(s *stream, set *batchSet){
		"does not follow on {0}":          func(_ *stream, set *batchSet) { set.trace[0].desc.Lower = frontier.At(1) },
		"does not follow on {3}":          func(_ *stream, set *batchSet) { set.trace[1].desc.Lower = frontier.At(4) },
		"compacted beyond the since":      func(_ *stream, set *batchSet) { set.trace[1].desc.Since = frontier.At(5) },
		"beyond the upper {8}":            func(s *stream, _ *batchSet) { s.upper = frontier.At(8) },
		"batch 3 (0, 10] is compacted":    func(_ *stream, set *batchSet) { set.unsealed[0].desc.Since = frontier.At(5) },
		"overlaps the one before":         func(_ *stream, set *batchSet) { set.unsealed[1].after = 9 },
		"reflects the log up to 20":       func(_ *stream, set *batchSet) { set.unsealed[1].through = 21 },
		"but the manifest reflects the l": func(s *stream, _ *batchSet) { s.flushed = 21 },
	} {
		s, set := open(), set()
		change(s, set)
		require.ErrorContains(t, s.validateSet(set, 20), text)
	}
}

// An edit that contradicts the state is refused.
func TestEditValidate(t *testing.T) {
	open := func() *state {
		st := newState(1)
		require.NoError(t, st.applyEditLocked(&edit{version: 1, applied: 5, nextID: 2, nextBatch: 2, streams: []streamEdit{
			{id: 0, created: true, name: "a", flushed: 5, added: []*batch{unsealedBatch(1, 0, 5)}},
			{id: 1, created: true, name: "b", destroyed: true},
		}}))
		return st
	}
	require.NoError(t, open().check())
	good := edit{version: 2, applied: 6, nextID: 2, nextBatch: 3, streams: []streamEdit{
		{id: 0, flushed: 6, dropped: []uint64{1}, added: []*batch{unsealedBatch(2, 0, 6)}},
	}}
	st := open()
	require.NoError(t, st.applyEditLocked(&good))
	require.NoError(t, st.check())
	for text, se := range map[string]streamEdit{
		"which does not exist":    {id: 7},
		"drops batch 9, which is": {id: 0, dropped: []uint64{9}},
		"adds batch 1 twice":      {id: 0, added: []*batch{unsealedBatch(1, 5, 6)}},
		"overlaps the one before": {id: 0, added: []*batch{unsealedBatch(2, 4, 6)}},
		"stream \"a\" twice":      {id: 2, created: true, name: "a"},
	} {
		err := open().applyEditLocked(&edit{version: 2, applied: 6, nextID: 2, nextBatch: 3, streams: []streamEdit{se}})
		require.ErrorContains(t, err, text)
	}
	require.ErrorContains(t, open().applyEditLocked(&edit{version: 2, applied: 6, streams: []streamEdit{{id: 1, upper: frontier.At(1)}}}), "does not exist",
		"it was destroyed before the edit")
}

// A reader that has read the log further than an edit reflects it meets streams that
// were destroyed since.
func TestEditOfAStreamThatTheLogDestroyed(t *testing.T) {
	for name, se := range map[string]streamEdit{
		"known before": {id: 0, upper: frontier.At(3), flushed: 2},
		"created":      {id: 0, created: true, name: "a", keyCodec: "k", valCodec: "v", upper: frontier.At(3)},
	} {
		t.Run(name, func(t *testing.T) {
			st := newState(1)
			for seqno, ops := range [][]op{
				{{kind: opRegister, registration: &registration{"a", "k", "v"}}},
				{{kind: opSeal, frontier: frontier.At(3)}},
				{{kind: opDestroy}},
			} {
				require.NoError(t, st.applyLocked(storage.SeqNo(seqno+1), ops, time.Time{}))
			}
			require.NoError(t, st.applyEditLocked(&edit{version: 1, applied: 2, nextID: 1, streams: []streamEdit{se}}))
			_, err := st.liveLocked("a")
			require.ErrorIs(t, err, ErrDestroyed)
			require.NoError(t, st.check())
		})
	}
}

// compact_trace_errors: gap, overlap, since below either input.
func TestCheckMerge(t *testing.T) {
	b0, b1 := traceBatch(1, 0, 3), traceBatch(2, 3, 5)
	b0.desc.Since, b1.desc.Since = frontier.At(2), frontier.At(1)
	require.NoError(t, checkMerge([]*batch{b0, b1}, frontier.At(2)))
	require.NoError(t, checkMerge([]*batch{unsealedBatch(1, 0, 4), unsealedBatch(2, 6, 9)}, frontier.Antichain{}))
	for name, test := range map[string]struct {
		inputs []*batch
		since  uint64
		text   string
	}{
		"gap":                {[]*batch{b0, traceBatch(2, 4, 5)}, 2, "not neighbours"},
		"overlap":            {[]*batch{b0, traceBatch(2, 2, 5)}, 2, "not neighbours"},
		"wrong order":        {[]*batch{b1, b0}, 2, "not neighbours"},
		"two kinds":          {[]*batch{b0, unsealedBatch(2, 0, 1)}, 2, "not neighbours"},
		"unsealed overlap":   {[]*batch{unsealedBatch(1, 0, 4), unsealedBatch(2, 3, 9)}, 2, "not neighbours"},
		"since below first":  {[]*batch{b0, b1}, 1, "before its own"},
		"since below second": {[]*batch{traceBatch(1, 0, 3), b1}, 0, "before its own"},
	} {
		err := checkMerge(test.inputs, frontier.At(test.since))
		require.ErrorIs(t, err, ErrInvalid, name)
		require.ErrorContains(t, err, test.text, name)
	}
}

func TestReplaceRun(t *testing.T) {
	a, b, c, d := traceBatch(1, 0, 1), traceBatch(2, 1, 2), traceBatch(3, 2, 3), traceBatch(4, 0, 2)
	list := []*batch{a, b, c}
	next, ok := replaceRun(list, []*batch{a, b}, d)
	require.True(t, ok)
	require.Equal(t, []*batch{d, c}, next)
	next, ok = replaceRun(list, []*batch{c})
	require.True(t, ok)
	require.Equal(t, []*batch{a, b}, next)
	next, ok = replaceRun(list, nil, d)
	require.True(t, ok)
	require.Equal(t, []*batch{a, b, c, d}, next)
	for _, old := range [][]*batch{{d}, {a, c}, {c, d}, {b, a}} {
		_, ok = replaceRun(list, old, d)
		require.False(t, ok)
	}
	require.Equal(t, []*batch{a, b, c}, list, "a set never changes")
}

// append_detect_min_max_times.
func TestColumnsDetectMinAndMaxTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Uint64(), 1, 20).Draw(t, "times")
		var b ColumnsBuilder
		for _, time := range times {
			require.NoError(t, b.Add(nil, nil, time, 1))
		}
		require.Equal(t, len(times), b.Len())
		c := b.Columns()
		lo, hi := c.TimeRange()
		require.Equal(t, slices.Min(times), lo)
		require.Equal(t, slices.Max(times), hi)
		r := wire.NewReader(c.appendTo(nil), 0)
		back := decodeColumns(r)
		require.NoError(t, r.End())
		requireEqualColumns(t, c, back)
	})
}

// stringEncoder appends; shortEncoder breaks the rule that it must.
type stringEncoder struct{ err error }

func (e stringEncoder) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), e.err }

type shortEncoder struct{}

func (shortEncoder) Append([]byte, string) ([]byte, error) { return nil, nil }

// columnar_records: a refused update leaves the builder as it was.
func TestAddTyped(t *testing.T) {
	var b ColumnsBuilder
	good, bad := stringEncoder{}, stringEncoder{errSource}
	require.NoError(t, AddTyped(&b, good, good, "k", "", 1, 0))
	require.ErrorIs(t, AddTyped(&b, bad, good, "x", "y", 2, 1), errSource)
	require.ErrorIs(t, AddTyped(&b, good, bad, "x", "y", 2, 1), errSource)
	require.ErrorContains(t, AddTyped(&b, shortEncoder{}, good, "x", "y", 2, 1), "does not append")
	require.NoError(t, AddTyped(&b, good, good, "", "v", 3, -1))
	size := b.Size()
	c := b.Finish()
	require.Zero(t, b.Len())
	require.Equal(t, size, c.Size())
	require.Equal(t, 2*16+1+1, c.DataBytes(), "keys, vals, and 16 for each time and diff")
	require.Equal(t, []string{"k=", "=v"}, []string{
		fmt.Sprintf("%s=%s", c.Key(0), c.Val(0)), fmt.Sprintf("%s=%s", c.Key(1), c.Val(1)),
	})
	empty := b.Columns()
	require.Equal(t, Columns{}, empty)
}
