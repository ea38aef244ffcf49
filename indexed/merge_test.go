package indexed

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

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
		back := decodeBatch(r, manifestVersion)
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
		b.parts = append(b.parts, part.Part{
			Key:  rapid.StringN(1, 20, 40).Draw(t, "key"),
			Size: rapid.Int64Range(1, math.MaxInt64).Draw(t, "size"),
			Sum:  rapid.Uint64().Draw(t, "sum"),
			Rows: rows, Bytes: part.RowOverhead*rows + rapid.IntRange(0, 1000).Draw(t, "data"),
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
		b.parts = []part.Part{{Key: "a", Size: 10, Sum: 1, Rows: 2, Bytes: 48}, {Key: "b", Size: 10, Sum: 1, Rows: 1, Bytes: 24}}
		return b
	}
	unsealed := func() *batch { return unsealedBatch(1, 3, 4) }
	require.NoError(t, trace().validate())
	require.NoError(t, unsealed().validate())
	moved := trace()
	moved.desc.Since, moved.minTime, moved.maxTime = frontier.At(9), 9, 9
	require.NoError(t, moved.validate(), "times may have been moved up to the since")

	for text, b := range map[string]*batch{
		"empty or has no key":  edited(trace(), func(b *batch) { b.parts[0].Key = "" }),
		"part 1 is empty":      edited(trace(), func(b *batch) { b.parts[1].Rows = 0 }),
		"part 0 is empty":      edited(trace(), func(b *batch) { b.parts[0].Size = 0 }),
		"2 rows in 47 bytes":   edited(trace(), func(b *batch) { b.parts[0].Bytes = 47 }),
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

// stringEncoder appends; shortEncoder breaks the rule that it must.
func drawAntichain(t *rapid.T, label string) frontier.Antichain {
	if rapid.IntRange(0, 5).Draw(t, label+" is empty") == 0 {
		return frontier.Empty()
	}
	return frontier.At(rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Just(uint64(math.MaxUint64))).Draw(t, label))
}
