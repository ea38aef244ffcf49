package indexed_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
)

// single_stream: two records through every bucket, with the same contents all along.
func TestEngineSingleStream(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	snap, l, err := f.Listen(f.ctx, id)
	require.NoError(t, err)
	require.Empty(t, collect(t, snap.Consolidated(f.ctx)))
	require.NoError(t, snap.Close())

	first := f.write(id, up("a", 1), up("b", 2))
	where := func(tail, unsealed, trace int) {
		t.Helper()
		b := f.Buckets(id)
		rows := func(list []indexed.BatchView) (n int) {
			for _, v := range list {
				n += v.Rows
			}
			return n
		}
		require.Equal(t, []int{tail, unsealed, trace}, []int{b.TailChunks, rows(b.Unsealed), rows(b.Trace)})
		require.Equal(t, []string{"k=a @1 +1", "k=b @2 +1"}, show(f.read(id)))
		require.Equal(t, []string{"k=a @1 +1", "k=b @2 +1"}, show(consolidate(f.raw(id), frontier.Empty())))
	}
	where(1, 0, 0)
	f.round(false)
	where(0, 2, 0)
	second := f.seal(id, frontier.At(2))
	where(0, 2, 0)
	f.round(true)
	where(0, 2, 1) // the record at 1 is in both, and counts in the trace alone
	third := f.seal(id, frontier.At(3))
	f.round(true)
	where(0, 0, 2)
	f.allow(id, frontier.At(2))
	require.Equal(t, []string{"k=a @2 +1", "k=b @2 +1"}, show(f.read(id)))
	require.Less(t, first, second)
	require.Less(t, second, third)

	last := f.seal(id, frontier.Empty())
	events, err := drain(t, l)
	require.NoError(t, err)
	require.Equal(t, []string{
		fmt.Sprintf("%s [k=a @1 +1 k=b @2 +1]", first), second.String() + " sealed {2}",
		third.String() + " sealed {3}", last.String() + " sealed {}",
	}, events)
	require.NoError(t, l.Close())
}

// batch_sorting, and batch_consolidation: four copies in two batches become one row.
func TestBatchSortingAndConsolidation(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, row("b", "1", 0, 1), row("a", "2", 1, 1), row("a", "2", 0, 1), row("a", "1", 1, 1))
	f.round(true)
	require.Equal(t, []string{"a=1 @1 +1", "a=2 @0 +1", "a=2 @1 +1", "b=1 @0 +1"}, show(f.raw(id)))

	other := f.register("t")
	f.write(other, up("x", 0), up("x", 0))
	f.round(true)
	f.write(other, up("x", 0), up("x", 0))
	f.round(true)
	require.Equal(t, []string{"k=x @0 +2", "k=x @0 +2"}, show(f.raw(other)), "each batch is consolidated by itself")
	f.seal(other, frontier.At(1))
	f.round(true)
	require.Equal(t, []string{"k=x @0 +4"}, show(f.raw(other)))
	require.Empty(t, f.Buckets(other).Unsealed)

	f.write(other, row("k", "y", 1, 1), row("k", "y", 1, -1))
	f.seal(other, frontier.At(2))
	f.round(true)
	require.Equal(t, []string{"k=x @0 +4"}, show(f.raw(other)))
	require.Equal(t, frontier.At(2), f.Buckets(other).Trace[1].Desc.Upper, "what cancelled out is complete as well")
}

// trace_compaction: when there is something to merge, and what a failure leaves.
func TestTraceCompaction(t *testing.T) {
	f := newFixture(t, still())
	require.Zero(t, f.mergeAll(), "no streams")
	id := f.register("s")
	require.Zero(t, f.mergeAll(), "no data")
	var want []string
	for i := range uint64(indexed.MergeWidth) {
		require.Zero(t, f.mergeAll(), "%d batches", i)
		f.write(id, up(fmt.Sprintf("%02d", i), i))
		f.seal(id, frontier.At(i+1))
		f.round(true)
		want = append(want, fmt.Sprintf("k=%02d @%d +1", i, i))
	}
	before := f.Buckets(id)
	blobs := f.batchKeys()

	f.faults.Inject(mem.Fault{Op: mem.OpSet})
	_, err := f.MergeOnce(f.ctx)
	require.ErrorIs(t, err, mem.ErrUnavailable)
	require.Equal(t, before, f.Buckets(id))
	f.faults.Inject(mem.Fault{Op: mem.OpSet, Outcome: mem.AnswerLost})
	_, err = f.MergeOnce(f.ctx)
	require.ErrorIs(t, err, mem.ErrTimedOut)
	require.Len(t, f.batchKeys(), len(blobs)+1, "it may be there")
	require.Equal(t, 1, f.mergeAll(), "the same merge again")
	require.Len(t, f.Buckets(id).Trace, 1)
	require.Zero(t, f.mergeAll())

	// The manifest does not say so yet: the inputs stay.
	f.faults.Inject(mem.Fault{Op: mem.OpSetIf})
	require.ErrorContains(t, f.Round(f.ctx, true), "unavailable: blob set")
	require.Subset(t, f.batchKeys(), blobs)
	f.round(true)
	require.Equal(t, f.NamedBlobs(), f.batchKeys(), "inputs and the failed attempt are gone")
	require.Len(t, f.batchKeys(), 1)
	require.Equal(t, want, show(f.read(id)))
}

// Batches that the since lets fold are merged whatever their levels are. That must not
// leave a batch behind one of a lower level: the two would never be merged by level again.
func TestFoldingKeepsLevelsInOrder(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	// As many batches of either level, and more of both than one merge takes.
	const each = indexed.MergeWidth/2 + 2
	f.traceOf(id, each*indexed.MergeWidth+each, 10)
	inOrder := func() {
		trace := f.Buckets(id).Trace
		require.True(t, slices.IsSortedFunc(trace, func(a, b indexed.BatchView) int { return cmp.Compare(b.Level, a.Level) }), "%+v", trace)
	}
	require.Equal(t, each, f.mergeAll(), "by level")
	inOrder()
	f.allow(id, frontier.At(each*indexed.MergeWidth+each))
	merges := 0
	for ; ; merges++ {
		did, err := f.MergeOnce(f.ctx)
		require.NoError(t, err)
		inOrder()
		if !did {
			break
		}
	}
	require.GreaterOrEqual(t, merges, 2, "a run of folding batches that begins within a level")
}

// A stream that is destroyed while its batches are merged, and while its tail is
// flushed: the results are dropped and their blobs deleted.
func TestDestroyWhileMaintained(t *testing.T) {
	for name, work := range map[string]func(f *fixture) error{
		"merge": func(f *fixture) error { _, err := f.MergeOnce(f.ctx); return err },
		"flush": func(f *fixture) error { return f.Round(f.ctx, true) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, still())
			id := f.register("s")
			f.traceOf(id, indexed.MergeWidth, 1)
			f.write(id, up("tail", indexed.MergeWidth))
			gate := f.faults.GateAfter(mem.OpSet)
			done := make(chan error, 1)
			go func() { done <- work(f) }()
			require.NoError(t, gate.Wait(f.ctx, 1))
			destroyed, err := f.Destroy(f.ctx, "s")
			require.NoError(t, err)
			require.True(t, destroyed)
			gate.Open()
			require.NoError(t, <-done)
			require.NoError(t, f.CheckIdle())
			f.round(true)
			require.Empty(t, f.batchKeys())
			_, err = f.Snapshot(f.ctx, id)
			require.ErrorIs(t, err, indexed.ErrDestroyed)
			f.crash()
			_, err = f.Snapshot(f.ctx, id)
			require.ErrorIs(t, err, indexed.ErrDestroyed)
		})
	}
}

// trace_compact. The original waits until a pair lies at or before the since. Here
// merging (physical compaction) does not wait: it keeps the number of batches small
// also for a stream whose since never moves, and only advancing times (logical
// compaction) depends on the since, as far as it is.
func TestTraceCompact(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	batch := func(upper uint64, rows ...indexed.Row) {
		f.write(id, rows...)
		f.seal(id, frontier.At(upper))
		f.round(true)
	}
	batch(2, up("a", 0), up("b", 1), up("d", 1))
	batch(3, up("a", 2))
	f.pad(id, indexed.MergeWidth-2)
	const old = indexed.MergeWidth + 1 // the upper by now
	require.Equal(t, 1, f.mergeAll())
	b := f.Buckets(id).Trace
	require.Len(t, b, 1)
	require.Equal(t, frontier.Description{Upper: frontier.At(old)}, b[0].Desc)
	require.Equal(t, 1, b[0].Level, "larger than each of them")
	require.Equal(t, []string{"k=a @0 +1", "k=a @2 +1", "k=b @1 +1", "k=d @1 +1"}, show(f.raw(id)), "nothing moves without a since")

	f.allow(id, frontier.At(old))
	require.Equal(t, 1, f.mergeAll(), "now a batch is worth advancing by itself")
	require.Equal(t, frontier.Description{Upper: frontier.At(old), Since: frontier.At(old)}, f.Buckets(id).Trace[0].Desc)
	atOld := func(row string) string { return fmt.Sprintf(row, old) }
	require.Equal(t, []string{atOld("k=a @%d +2"), atOld("k=b @%d +1"), atOld("k=d @%d +1")}, show(f.raw(id)))
	require.Zero(t, f.mergeAll(), "nothing more to do")

	const young = old + indexed.MergeWidth + 1
	f.allow(id, frontier.At(young))
	batch(old+2, up("c", old), up("c", old+1))
	batch(old+3, row("k", "c", old+2, -1))
	f.pad(id, indexed.MergeWidth-2)
	require.Equal(t, 1, f.mergeAll(), "of the young neighbours alone")
	b = f.Buckets(id).Trace
	require.Len(t, b, 2)
	require.Equal(t, frontier.Description{Upper: frontier.At(old), Since: frontier.At(old)}, b[0].Desc)
	require.Equal(t, frontier.Description{Lower: frontier.At(old), Upper: frontier.At(young), Since: frontier.At(young)}, b[1].Desc)
	require.Equal(t, []int{1, 0}, []int{b[0].Level, b[1].Level}, "not larger than its inputs, nor more than a third of the old")

	// Data that cancels out leaves a batch without rows.
	other := f.register("t")
	f.write(other, up("x", 0))
	f.seal(other, frontier.At(1))
	f.round(true)
	f.write(other, row("k", "x", 1, -1))
	f.seal(other, frontier.At(2))
	f.allow(other, frontier.At(5))
	f.round(true)
	f.mergeAll()
	b = f.Buckets(other).Trace
	require.Len(t, b, 1)
	require.Zero(t, b[0].Level)
	require.Zero(t, b[0].Rows)
	require.Empty(t, f.read(other))
	require.NoError(t, f.CheckIdle())
}

// compact_trace: many parts in, many parts out, whatever their size.
func TestCompactTraceInParts(t *testing.T) {
	for _, partBytes := range []int{1, 100, 1 << 20} {
		t.Run(fmt.Sprint(partBytes), func(t *testing.T) {
			cfg := still()
			cfg.PartBytes = partBytes
			f := newFixture(t, cfg)
			id := f.register("s")
			var all []indexed.Row
			for batch := range uint64(4) {
				var rows []indexed.Row
				for i := range uint64(20) {
					rows = append(rows, row(fmt.Sprintf("key-%02d", i*(batch+1)%23), "v", batch, 1))
				}
				all = append(all, rows...)
				f.write(id, rows...)
				f.seal(id, frontier.At(batch+1))
				f.round(true)
			}
			f.allow(id, frontier.At(3))
			f.mergeAll()
			b := f.Buckets(id).Trace
			require.Len(t, b, 1)
			require.Equal(t, frontier.Description{Upper: frontier.At(4), Since: frontier.At(3)}, b[0].Desc)
			want := consolidate(all, frontier.At(3))
			require.Equal(t, len(want), b[0].Rows)
			require.Equal(t, []int{1: len(want), 100: (len(want) + 3) / 4, 1 << 20: 1}[partBytes], b[0].Parts)
			require.Equal(t, show(want), show(f.raw(id)))
			f.round(true)
			require.Equal(t, f.NamedBlobs(), f.batchKeys())
			require.Len(t, f.batchKeys(), b[0].Parts)
			f.crash()
			require.Equal(t, show(want), show(f.read(id)))
		})
	}
}

// unsealed_evict: a batch goes when all of its times are in the trace.
func TestUnsealedEvict(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for _, times := range [][]uint64{{0}, {1}, {0, 1}} {
		var rows []indexed.Row
		for _, time := range times {
			rows = append(rows, up("x", time))
		}
		f.write(id, rows...)
		f.round(true)
	}
	left := func() (n [][2]uint64) {
		for _, b := range f.Buckets(id).Unsealed {
			n = append(n, [2]uint64{b.MinTime, b.MaxTime})
		}
		return n
	}
	require.Equal(t, [][2]uint64{{0, 0}, {1, 1}, {0, 1}}, left())
	f.round(true)
	require.Len(t, left(), 3, "nothing to evict")
	f.seal(id, frontier.At(1))
	f.round(true)
	require.Equal(t, [][2]uint64{{1, 1}, {0, 1}}, left())
	f.round(true)
	require.Len(t, left(), 2)
	f.seal(id, frontier.At(2))
	f.round(true)
	require.Empty(t, left())
	require.Equal(t, []string{"k=x @0 +2", "k=x @1 +2"}, show(f.read(id)))
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
}

// unsealed_snapshot: records at 3 and 5 against intervals, in whatever bucket.
func TestBetweenBoundaries(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("three", 3), up("five", 5))
	at := func(t uint64) frontier.Antichain { return frontier.At(t) }
	end := frontier.Empty()
	check := func(where string) {
		s, err := f.Snapshot(f.ctx, id)
		require.NoError(t, err)
		defer s.Close()
		for _, test := range []struct {
			lower, upper frontier.Antichain
			want         int // 1: three, 2: five, 3: both
		}{
			{at(0), end, 3}, {at(0), at(0), 0}, {at(0), at(3), 0}, {at(0), at(4), 1}, {at(0), at(5), 1}, {at(0), at(6), 3},
			{at(2), at(6), 3}, {at(3), at(3), 0}, {at(3), at(4), 1}, {at(3), at(6), 3}, {at(4), at(5), 0}, {at(4), at(6), 2},
			{at(5), at(5), 0}, {at(5), at(6), 2}, {at(5), end, 2}, {at(6), at(7), 0}, {at(6), end, 0},
			{at(4), at(3), 0}, {end, end, 0}, {end, at(4), 0},
		} {
			got := 0
			for _, r := range collect(t, s.Between(f.ctx, test.lower, test.upper)) {
				got |= map[uint64]int{3: 1, 5: 2}[r.Time]
			}
			require.Equal(t, test.want, got, "%s: [%s, %s)", where, test.lower, test.upper)
		}
	}
	check("tail")
	f.round(true)
	check("unsealed")
	f.seal(id, at(4))
	f.round(true)
	check("unsealed and trace")
	f.seal(id, at(9))
	f.round(true)
	check("trace")
	f.pad(id, indexed.MergeWidth-2)
	require.Equal(t, 1, f.mergeAll())
	require.Len(t, f.Buckets(id).Trace, 1)
	check("one trace batch")
	f.seal(id, end)
	check("finished")
}

// What a read yields does not depend on which merges have run.
func TestReadsAreAsIfCompacted(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("x", 1), up("y", 5), up("z", 7))
	f.seal(id, frontier.At(9))
	f.round(true)
	f.allow(id, frontier.At(5))
	read := func() (all [][]string) {
		s, err := f.Snapshot(f.ctx, id)
		require.NoError(t, err)
		defer s.Close()
		for _, rows := range []func(func(indexed.Row, error) bool){
			s.Consolidated(f.ctx), s.AsOf(f.ctx, 5), s.AsOf(f.ctx, 7), s.AsOf(f.ctx, 1<<64-1),
			s.Between(f.ctx, frontier.At(5), frontier.At(6)), s.Between(f.ctx, frontier.At(5), frontier.Empty()),
			s.Between(f.ctx, frontier.At(6), frontier.At(8)), s.Between(f.ctx, frontier.At(5), frontier.At(5)),
		} {
			all = append(all, show(collect(t, rows)))
		}
		for _, bad := range []func(func(indexed.Row, error) bool){
			s.AsOf(f.ctx, 4), s.Between(f.ctx, frontier.At(4), frontier.At(9)),
		} {
			for _, err := range bad {
				require.ErrorIs(t, err, indexed.ErrAsOfBeforeSince)
			}
		}
		return all
	}
	before := read()
	require.Equal(t, []string{"k=x @5 +1", "k=y @5 +1"}, before[4])
	f.write(id, up("w", 9))
	f.seal(id, frontier.At(10))
	f.round(true)
	f.pad(id, indexed.MergeWidth-2)
	require.Positive(t, f.mergeAll())
	f.write(id, row("k", "w", 30, 1))
	after := read()
	require.Equal(t, before[1:3], after[1:3])
	require.Equal(t, before[4], after[4])
	require.Equal(t, before[6:], after[6:])
}

// unsealed_batch_trim. Batches are not trimmed one by one: reads leave out what the
// trace has, and a merge of unsealed batches does not write it again.
func TestUnsealedMergesTrim(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	var all []indexed.Row
	const batches = indexed.MergeWidth + 2
	for i := range uint64(batches) {
		rows := []indexed.Row{up(fmt.Sprint(i), 0), up(fmt.Sprint(i), 100+i)}
		all = append(all, rows...)
		f.write(id, rows...)
		f.round(true)
	}
	f.seal(id, frontier.At(1))
	f.round(true)
	b := f.Buckets(id)
	require.Len(t, b.Unsealed, batches)
	require.EqualValues(t, 0, b.Unsealed[0].MinTime)
	require.Positive(t, f.mergeAll())
	b = f.Buckets(id)
	require.Less(t, len(b.Unsealed), indexed.MergeWidth)
	require.EqualValues(t, 100, b.Unsealed[0].MinTime)
	rows := 0
	for i, u := range b.Unsealed {
		rows += u.Rows
		if i > 0 {
			require.LessOrEqual(t, b.Unsealed[i-1].Through, u.After)
		}
	}
	require.Less(t, rows, 2*batches)
	require.Equal(t, show(consolidate(all, frontier.Antichain{})), show(f.read(id)))
	f.crash()
	require.Equal(t, show(consolidate(all, frontier.Antichain{})), show(f.read(id)))
}

// Unsealed batches of which the trace has everything vanish in a merge.
func TestUnsealedMergeToNothing(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for range indexed.MergeWidth / 2 {
		f.write(id, up("x", 0), up("y", 50))
		f.round(true)
		f.write(id, row("k", "y", 50, -1))
		f.round(true)
	}
	f.seal(id, frontier.At(1))
	f.round(true)
	require.Len(t, f.Buckets(id).Unsealed, indexed.MergeWidth)
	require.Equal(t, 1, f.mergeAll())
	require.Empty(t, f.Buckets(id).Unsealed)
	require.Equal(t, []string{fmt.Sprintf("k=x @0 +%d", indexed.MergeWidth/2)}, show(f.read(id)))
	f.round(true)
	require.Equal(t, f.NamedBlobs(), f.batchKeys())
}

// Maintain leaves nothing to merge by itself: it counts more rows than other merges do,
// and so over more batches, of which they may be too small a share.
func TestMaintainLeavesNothingToMerge(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	flush := func(rows ...indexed.Row) {
		f.write(id, rows...)
		f.round(true)
	}
	large := []indexed.Row{up("first", 90)}
	for i := range 50 {
		large = append(large, up(fmt.Sprint("large", i), 100+uint64(i)))
	}
	flush(large...)
	flush(up("x", 10), up("x", 11))
	flush(row("k", "x", 10, -1), row("k", "x", 11, -1))
	flush(up("last", 90)) // the time of a row in the first batch
	require.NoError(t, f.Maintain(f.ctx))
	require.NoError(t, f.CheckNothingToMerge())
	require.Len(t, f.Buckets(id).Unsealed, 2)
}

// What is not known of a batch's times after a restart is no reason to write it again: it
// is read for them first.
func TestUnknownTimesAreNotGuessed(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("first", 5))
	f.round(true)
	late := []indexed.Row{up("early", 10)}
	for i := range 19 {
		late = append(late, up(fmt.Sprint("late", i), 1000)) // evenly spread they would be before the since
	}
	f.write(id, late...)
	f.round(true)
	f.allow(id, frontier.At(900))
	f.round(true)
	named := f.NamedBlobs()
	f.mergeAll()
	require.Equal(t, named, f.NamedBlobs(), "two rows of 21 may be equal")
	f.crash()
	f.mergeAll()
	require.Equal(t, named, f.NamedBlobs(), "the same, not known")
}

// Nor are they a reason for a round to move them to the trace.
func TestUnknownTimesAreNotMoved(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	rows := []indexed.Row{up("early", 10)}
	for i := range 19 {
		rows = append(rows, up(fmt.Sprint("late", i), 1000)) // evenly spread half of them would be sealed
	}
	f.write(id, rows...)
	f.round(true)
	f.seal(id, frontier.At(500))
	f.round(false)
	require.Empty(t, f.Buckets(id).Trace, "one row of 20 is sealed")
	f.crash()
	f.round(false)
	require.Empty(t, f.Buckets(id).Trace, "the same, not known")
	f.seal(id, frontier.At(1001))
	f.mergeAll()
	f.round(false)
	require.Len(t, f.Buckets(id).Trace, 1, "all are sealed")
}

// compaction_beyond_upper: everything reads at the since, sealed or not, before and
// after it is compacted.
func TestCompactionBeyondUpper(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1), up("b", 5))
	f.seal(id, frontier.At(4))
	f.round(true)
	f.seal(id, frontier.At(10))
	f.round(true)
	f.write(id, up("unsealed", 12))
	f.allow(id, frontier.At(30))
	want := []string{"k=a @30 +1", "k=b @30 +1", "k=unsealed @30 +1"}
	require.Equal(t, want, show(f.read(id)))
	f.round(true)
	require.Equal(t, want, show(f.read(id)))
	require.Positive(t, f.mergeAll())
	require.Equal(t, want, show(f.read(id)))
	require.Equal(t, frontier.At(30), f.Buckets(id).Trace[0].Desc.Since)
	f.round(true)
	f.crash()
	require.Equal(t, want, show(f.read(id)))
	f.seal(id, frontier.At(13))
	f.round(true)
	f.mergeAll()
	require.Equal(t, want, show(f.read(id)))
	f.seal(id, frontier.Empty())
	f.allow(id, frontier.Empty())
	f.write(f.register("t"), up("x", 1))
	f.round(true)
	f.mergeAll()
	require.Len(t, f.read(id), 3, "a since of {} moves nothing and loses nothing")
}

// A stream whose updates all cancelled out before it was finished can be opened again.
func TestFinishedEmptyStreamOpens(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, row("k", "x", 0, 1), row("k", "x", 0, -1))
	f.seal(id, frontier.Empty())
	f.round(true)
	f.crash()
	require.Empty(t, f.read(id))
	_, err := f.submit(func(c *indexed.Command) { c.Write(id, columns(up("x", 1))) })
	require.ErrorIs(t, err, indexed.ErrSealed)
	_, l, err := f.Listen(f.ctx, id)
	require.NoError(t, err)
	events, err := drain(t, l)
	require.NoError(t, err)
	require.Empty(t, events)
}

// What was sealed before it was flushed is written once.
func TestSealedTailGoesStraightToTheTrace(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	f.write(id, up("a", 1), up("b", 5))
	f.seal(id, frontier.At(3))
	f.round(true)
	b := f.Buckets(id)
	require.Len(t, b.Trace, 1)
	require.Len(t, b.Unsealed, 1)
	require.Equal(t, []int{1, 1}, []int{b.Trace[0].Rows, b.Unsealed[0].Rows})
	require.EqualValues(t, 5, b.Unsealed[0].MinTime)
}
