package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

func testLogEmpty(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	requireLog(t, log, nil, 0)
	require.NoError(t, log.Truncate(t.Context(), 0), "truncating nothing")
	require.ErrorIs(t, log.Truncate(t.Context(), 1), storage.ErrInvalidTruncation)
	requireLog(t, log, nil, 0)
	requireEntries(t, log, 1000, nil)
}

func testLogAppendRead(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	want := appendText(t, log, 0, "first")
	require.NotZero(t, want[0].SeqNo, "positions start above 0")
	requireLog(t, log, want, 0)
	want = append(want, appendText(t, log, last(want), "second", "third", "fourth")...)
	requireLog(t, log, want, 0)
	want = append(want, appendText(t, log, last(want), "", "not empty", "", "")...)
	requireLog(t, log, want, 0)
	want = append(want, appendAll(t, log, last(want), []byte{0}, []byte("\n"), []byte("\r\n\x00\xff\xfe"), nil)...)
	requireLog(t, log, want, 0)
	for i := range 20 {
		want = append(want, appendAll(t, log, last(want), bytes.Repeat([]byte{byte(i)}, 1<<(i%14)))...)
	}
	requireLog(t, log, want, 0)
	requireEntries(t, log, last(want)+1000, nil)
}

func testLogEmptyAppend(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	appendAll(t, log, 0)
	requireLog(t, log, nil, 0)
	want := appendText(t, log, 0, "a", "b")
	for range 3 {
		appendAll(t, log, last(want))
	}
	requireLog(t, log, want, 0)
	_, err := log.Append(t.Context(), want[0].SeqNo, nil)
	require.ErrorIs(t, err, storage.ErrConflict, "an append of nothing checks the position too")
	want = append(want, appendText(t, log, last(want), "c")...)
	requireLog(t, log, want, 0)
}

// The log must not keep the bytes that it is given, nor hand out the bytes that it keeps.
func testLogKeepsNothing(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	data := [][]byte{[]byte("one"), []byte("two")}
	want := appendAll(t, log, 0, data...)
	copy(data[0], "XXX")
	data[1] = []byte("YYYYYY")
	requireLog(t, log, want, 0)

	// A reader may keep entries: later calls must not overwrite them.
	kept, err := collect(t, log, 0)
	require.NoError(t, err)
	want = append(want, appendText(t, log, last(want), "six", "ten")...)
	requireLog(t, log, want, 0)
	require.Equal(t, want[:2], kept, "entries that were read earlier")
}

func testLogConflict(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	refused := func(want []storage.Entry, through storage.SeqNo, expected storage.SeqNo) {
		t.Helper()
		for _, data := range [][][]byte{{[]byte("x")}, {[]byte("x"), []byte("y")}} {
			positions, err := log.Append(t.Context(), expected, data)
			require.ErrorIs(t, err, storage.ErrConflict, "newest is %d, expected %d", last(want), expected)
			require.Empty(t, positions)
		}
		requireLog(t, log, want, through)
	}
	refused(nil, 0, 1)
	refused(nil, 0, 1<<40)

	want := appendText(t, log, 0, "a", "b", "c")
	for _, expected := range []storage.SeqNo{0, want[0].SeqNo, want[1].SeqNo, last(want) - 1, last(want) + 1, last(want) + 1000} {
		refused(want, 0, expected)
	}
	want = append(want, appendText(t, log, last(want), "d")...)

	// Truncation does not change what is expected.
	require.NoError(t, log.Truncate(t.Context(), last(want)))
	refused(want, last(want), 0)
	refused(want, last(want), last(want)+1)
	want = append(want, appendText(t, log, last(want), "e")...)
	requireLog(t, log, want, want[3].SeqNo)
}

func testLogLarge(t testing.TB, open Logs) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	large := pattern(open.Features.largest())
	want := appendAll(t, log, 0, large)
	want = append(want, appendAll(t, log, last(want), []byte("small"), large, []byte("small"))...)
	many := make([][]byte, 1000)
	for i := range many {
		many[i] = fmt.Appendf(nil, "entry %d", i)
	}
	want = append(want, appendAll(t, log, last(want), many...)...)
	requireEntries(t, log, 0, want)
	require.NoError(t, log.Close())
	requireEntries(t, open.mustOpen(t, path, alice), 0, want)
}

func testLogTooLarge(t testing.TB, open Logs) {
	if open.Features.MaxSize == 0 {
		t.Skip("no limit stated")
	}
	log := open.mustOpen(t, newPath("log"), alice)
	want := appendText(t, log, 0, "a")
	tooLarge := pattern(open.Features.MaxSize + 1)
	for _, data := range [][][]byte{{tooLarge}, {[]byte("b"), tooLarge}} {
		_, err := log.Append(t.Context(), last(want), data)
		require.ErrorIs(t, err, storage.ErrTooLarge)
		requireLog(t, log, want, 0)
	}
	want = append(want, appendText(t, log, last(want), "c")...)
	requireLog(t, log, want, 0)
}

// A LogSizer must tell the truth about its appends.
func testLogSizer(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	sizer, ok := log.(storage.LogSizer)
	if !ok {
		t.Skip("it does not tell what an append takes")
	}
	most := sizer.MaxAppend()
	require.GreaterOrEqual(t, most, sizer.StoredBytes(1, int64(open.Features.largest())), "it takes an entry of the largest size")
	for _, entries := range []int{1, 2, 3, 1000, 1 << 20} {
		for _, bytes := range []int64{0, 1, 7, 1000, 1 << 20, 1 << 40} {
			stored := sizer.StoredBytes(entries, bytes)
			require.GreaterOrEqual(t, stored, bytes, "%d entries", entries)
			require.GreaterOrEqual(t, sizer.StoredBytes(entries+1, bytes), stored, "%d entries of %d bytes, and one more", entries, bytes)
			require.GreaterOrEqual(t, sizer.StoredBytes(entries, bytes+1), stored, "%d entries of %d bytes, and one more", entries, bytes)
		}
	}

	// Find the largest group that fits: one byte more must be refused. The entries of a group
	// share one megabyte of memory.
	want := appendText(t, log, 0, "a")
	room := func(bytes int64) bool { return sizer.StoredBytes(groupOf(bytes)) <= most }
	if room(1 << 40) {
		return // no limit worth testing
	}
	fits, above := int64(0), int64(1<<40)
	for fits+1 < above {
		if middle := (fits + above) / 2; room(middle) {
			fits = middle
		} else {
			above = middle
		}
	}
	shared := pattern(1 << 20)
	group := func(bytes int64) (data [][]byte) {
		for ; bytes > 0; bytes -= int64(len(data[len(data)-1])) {
			data = append(data, shared[:min(bytes, int64(len(shared)))])
		}
		return data
	}
	_, err := log.Append(t.Context(), last(want), group(fits+1))
	require.ErrorIs(t, err, storage.ErrTooLarge)
	requireLog(t, log, want, 0)
	if fits <= 2*largeSize {
		want = append(want, appendAll(t, log, last(want), group(fits)...)...)
	}
	want = append(want, appendText(t, log, last(want), "b")...)
	requireLog(t, log, want, 0)
}

// groupOf returns how many entries of at most a megabyte hold a number of bytes.
func groupOf(bytes int64) (entries int, _ int64) { return int((bytes + 1<<20 - 1) >> 20), bytes }

func testLogStopReading(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	want := appendText(t, log, 0, "a", "b", "c", "d")
	entries := log.Read(t.Context(), want[0].SeqNo)
	for range 2 { // a sequence can be run again
		var got []storage.Entry
		for entry, err := range entries {
			require.NoError(t, err)
			got = append(got, entry)
			if len(got) == 2 {
				break
			}
		}
		require.Equal(t, want[1:3], got)
	}
	// An iteration that was stopped early must not hinder later calls.
	want = append(want, appendText(t, log, last(want), "e")...)
	require.NoError(t, log.Truncate(t.Context(), want[3].SeqNo))
	requireLog(t, log, want, want[3].SeqNo)

	// Appending from within the loop must not hang.
	for _, err := range log.Read(t.Context(), want[3].SeqNo) {
		require.NoError(t, err)
		want = append(want, appendText(t, log, last(want), "f")...)
		if len(want) > 8 {
			break
		}
	}
	requireLog(t, log, want, want[3].SeqNo)
}

func testLogTruncate(t testing.TB, open Logs) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	want := appendText(t, log, 0, "a", "b", "c")
	want = append(want, appendText(t, log, last(want), "d", "e")...)

	var through storage.SeqNo
	for i, entry := range want {
		require.ErrorIs(t, log.Truncate(t.Context(), last(want)+1), storage.ErrInvalidTruncation)
		require.ErrorIs(t, log.Truncate(t.Context(), last(want)+1000), storage.ErrInvalidTruncation)
		requireLog(t, log, want, through)

		through = entry.SeqNo
		require.NoError(t, log.Truncate(t.Context(), through))
		requireLog(t, log, want, through)
		for _, earlier := range append(want[:i+1:i+1], storage.Entry{}) {
			require.NoError(t, log.Truncate(t.Context(), earlier.SeqNo), "truncating what is already truncated")
		}
		requireLog(t, log, want, through)
	}
	require.NoError(t, log.Close())
	requireLog(t, open.mustOpen(t, path, alice), want, through)
}

// Positions must go on where they were, even if no entry is left.
func testLogTruncateAll(t testing.TB, open Logs) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	want := appendText(t, log, 0, "a", "b", "c")
	for round := range 3 {
		through := last(want)
		require.NoError(t, log.Truncate(t.Context(), through))
		if round > 0 { // round 0 continues with the same handle
			require.NoError(t, log.Close())
			log = open.mustOpen(t, path, alice)
		}
		requireLog(t, log, want, through)
		_, err := log.Append(t.Context(), 0, [][]byte{[]byte("x")})
		require.ErrorIs(t, err, storage.ErrConflict)
		want = append(want, appendText(t, log, through, "d", "e")...)
		requireLog(t, log, want, through)
	}
}

func testLogReopen(t testing.TB, open Logs) {
	path := newPath("log")
	var want []storage.Entry
	for _, lock := range []storage.LockInfo{alice, alice, bob, alice} {
		log := open.mustOpen(t, path, lock)
		requireLog(t, log, want, 0)
		want = append(want, appendText(t, log, last(want), lock.Owner)...)
		want = append(want, appendText(t, log, last(want), "", "more")...)
		require.NoError(t, log.Close())
	}
	requireLog(t, open.mustOpen(t, path, bob), want, 0)
}

func testLogIndependent(t testing.TB, open Logs) {
	one := open.mustOpen(t, newPath("log"), alice)
	two := open.mustOpen(t, newPath("log"), bob)
	wantOne := appendText(t, one, 0, "a", "b", "c")
	requireLog(t, two, nil, 0)
	wantTwo := appendText(t, two, 0, "x")
	require.NoError(t, one.Truncate(t.Context(), wantOne[1].SeqNo))
	requireLog(t, two, wantTwo, 0)
	require.NoError(t, one.Close())
	wantTwo = append(wantTwo, appendText(t, two, last(wantTwo), "y")...)
	requireLog(t, two, wantTwo, 0)
}

// A random history of one log is compared with a slice.
func testLogHistory(t testing.TB, open Logs) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 0))
		path := newPath("log")
		log := open.mustOpen(t, path, alice)
		var want []storage.Entry
		var through storage.SeqNo
		for range 60 {
			switch random.IntN(10) {
			case 0, 1, 2, 3, 4:
				data := make([][]byte, random.IntN(4))
				for i := range data {
					data[i] = pattern(random.IntN(300))
				}
				want = append(want, appendAll(t, log, last(want), data...)...)
			case 5:
				expected := storage.SeqNo(random.Uint64N(uint64(last(want)) + 3))
				if expected == last(want) {
					continue
				}
				_, err := log.Append(t.Context(), expected, [][]byte{[]byte("x")})
				require.ErrorIs(t, err, storage.ErrConflict)
			case 6, 7:
				to := storage.SeqNo(random.Uint64N(uint64(last(want)) + 1))
				require.NoError(t, log.Truncate(t.Context(), to))
				through = max(through, to)
			case 8:
				require.ErrorIs(t, log.Truncate(t.Context(), last(want)+1), storage.ErrInvalidTruncation)
			case 9:
				require.NoError(t, log.Close())
				log = open.mustOpen(t, path, alice)
			}
			bounds, err := log.Bounds(t.Context())
			require.NoError(t, err)
			require.Equal(t, last(want), bounds.Last, "seed %d", seed)
		}
		requireLog(t, log, want, through)
	}
}

func testLogUseAfterClose(t testing.TB, open Logs) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	want := appendText(t, log, 0, "a", "b")
	require.NoError(t, log.Close())
	require.NoError(t, log.Close(), "a second Close does nothing")
	requireClosedLog(t, log)
	_, err := log.Append(t.Context(), last(want), [][]byte{[]byte("x")})
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorIs(t, log.Truncate(t.Context(), last(want)), storage.ErrClosed)
	requireLog(t, open.mustOpen(t, path, bob), want, 0)

	if open.OpenReader != nil {
		reader := open.mustOpenReader(t, path)
		require.NoError(t, reader.Close())
		require.NoError(t, reader.Close(), "a second Close does nothing")
		requireClosedLog(t, reader)
	}
}

func requireClosedLog(t testing.TB, log storage.LogReader) {
	t.Helper()
	_, err := log.Bounds(t.Context())
	require.ErrorIs(t, err, storage.ErrClosed)
	entries, err := collect(t, log, 0)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.Empty(t, entries)
}

func testLogCancelled(t testing.TB, open Logs) {
	log := open.mustOpen(t, newPath("log"), alice)
	want := appendText(t, log, 0, "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := log.Append(ctx, last(want), [][]byte{[]byte("x")})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, storage.ErrNoEffect, "the append had not begun")
	err = log.Truncate(ctx, last(want))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, storage.ErrNoEffect, "the truncation had not begun")
	requireLog(t, log, want, 0)
	_, err = log.Bounds(ctx)
	require.ErrorIs(t, err, context.Canceled)
	reads := 0
	for _, err := range log.Read(ctx, 0) {
		reads++
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, 1, reads, "one error, and nothing before or after it")

	want = append(want, appendText(t, log, last(want), "c")...)
	requireLog(t, log, want, 0)
}

// last returns the newest position of a log with these entries.
func last(entries []storage.Entry) storage.SeqNo {
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].SeqNo
}

// pattern returns size bytes that do not repeat at any small distance.
func pattern(size int) []byte {
	random := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8)})
	data := make([]byte, size)
	_, _ = random.Read(data) // documented never to fail
	return data
}
