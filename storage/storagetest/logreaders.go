package storagetest

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

func testLogReaders(t testing.TB, open Logs) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	want := appendText(t, log, 0, "a")
	readers := []storage.LogReader{open.mustOpenReader(t, path), open.mustOpenReader(t, path)}
	check := func(through storage.SeqNo) {
		t.Helper()
		for _, reader := range readers {
			requireLog(t, reader, want, through)
		}
	}
	check(0)
	want = append(want, appendText(t, log, last(want), "b", "", "c")...)
	check(0)
	require.NoError(t, log.Truncate(t.Context(), want[1].SeqNo))
	check(want[1].SeqNo)

	// One reader is closed. That does not affect the other one and the writer.
	require.NoError(t, readers[0].Close())
	readers = readers[1:]
	want = append(want, appendText(t, log, last(want), "d")...)
	check(want[1].SeqNo)

	// The writer is closed and opened again. The reader goes on.
	require.NoError(t, log.Close())
	check(want[1].SeqNo)
	log = open.mustOpen(t, path, bob)
	check(want[1].SeqNo)
	want = append(want, appendText(t, log, last(want), "e", "f")...)
	check(want[1].SeqNo)
	require.NoError(t, log.Truncate(t.Context(), last(want)))
	check(last(want))
	want = append(want, appendText(t, log, last(want), "g")...)
	check(want[len(want)-2].SeqNo)
}

func testLogReaderFirst(t testing.TB, open Logs) {
	path := newPath("log")
	reader := open.mustOpenReader(t, path)
	requireLog(t, reader, nil, 0)
	log := open.mustOpen(t, path, alice)
	requireLog(t, reader, nil, 0)
	want := appendText(t, log, 0, "a", "b")
	requireLog(t, reader, want, 0)
}

// While one goroutine appends, every reader sees a prefix of the entries, in order and without
// a hole. The prefix has all entries that were acknowledged before the reader began to read,
// and none that was not passed to Append yet.
func testLogConcurrentReaders(t testing.TB, open Logs) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	views := []storage.LogReader{log, log}
	if open.OpenReader != nil {
		views = append(views, open.mustOpenReader(t, path), open.mustOpenReader(t, path))
	}

	const appends = 60
	var handedOver, acknowledged atomic.Int64
	var done atomic.Bool
	var group sync.WaitGroup
	steps := newStep(len(views))
	for i, view := range views {
		group.Go(func() {
			defer steps.leave(i)
			var from storage.SeqNo // the follower continues, the others start over
			seen := int64(0)
			for final := false; !final && !t.Failed(); steps.round(i) {
				final = done.Load() // one more round after the end
				before := acknowledged.Load()
				bounds, err := view.Bounds(t.Context())
				if !assert.NoError(t, err) {
					return
				}
				if i%2 == 0 {
					from, seen = 0, 0
				}
				entries, err := collect(t, view, from)
				if !assert.NoError(t, err) {
					return
				}
				for _, entry := range entries {
					if !assert.Equal(t, seen, number(entry.Data), "the entries in order and without a hole") {
						return
					}
					seen++
					from = entry.SeqNo
				}
				assert.GreaterOrEqual(t, seen, before, "acknowledged entries must be there")
				assert.LessOrEqual(t, seen, handedOver.Load(), "entries that nobody appended")
				assert.GreaterOrEqual(t, from, bounds.Last, "Bounds promised more than Read gave")
			}
		})
	}

	var newest storage.SeqNo
	for i, next := 0, int64(0); i < appends && !t.Failed(); i++ {
		steps.await()
		data := make([][]byte, 1+i%4)
		for j := range data {
			data[j] = numbered(next, 40*(i%7))
			next++
		}
		handedOver.Store(next)
		positions, err := log.Append(t.Context(), newest, data)
		if !assert.NoError(t, err) {
			break
		}
		newest = positions[len(positions)-1]
		acknowledged.Store(next)
	}
	done.Store(true)
	group.Wait()
}

// Truncation beside an appender does not disturb a reader that has read the truncated entries.
// A reader that has not read them gets an error: a reader never skips entries.
func testLogConcurrentTruncate(t testing.TB, open Logs) {
	runTruncation(t, open, false)
	runTruncation(t, open, true)
}

// runTruncation appends, truncates and reads at the same time. Without overtake, it truncates
// only what was read. Then the reader must see every entry, however the goroutines are
// scheduled.
func runTruncation(t testing.TB, open Logs, overtake bool) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	view := storage.LogReader(log)
	if open.OpenReader != nil {
		view = open.mustOpenReader(t, path)
	}
	const total = 300
	var newest, read atomic.Uint64 // positions
	var done atomic.Bool
	var group sync.WaitGroup
	steps := newStep(2)
	group.Go(func() {
		defer steps.leave(0)
		through := &read
		if overtake {
			through = &newest
		}
		for !done.Load() && !t.Failed() {
			assert.NoError(t, log.Truncate(t.Context(), storage.SeqNo(through.Load())))
			steps.round(0)
		}
	})
	group.Go(func() {
		defer steps.leave(1)
		var from storage.SeqNo
		next := int64(0) // the number that must come next; -1 after a truncation
		for final := false; !final && !t.Failed(); steps.round(1) {
			final = done.Load()
			entries, err := collect(t, view, from)
			for _, entry := range entries {
				got := number(entry.Data)
				if next >= 0 && !assert.Equal(t, next, got, "the entry after %d", from) {
					return
				}
				from, next = entry.SeqNo, got+1
				read.Store(uint64(from))
			}
			if overtake && errors.Is(err, storage.ErrTruncated) {
				bounds, err := view.Bounds(t.Context())
				if !assert.NoError(t, err) || !assert.Greater(t, bounds.After, from, "ErrTruncated without a truncation") {
					return
				}
				from, next = bounds.After, -1
			} else if !assert.NoError(t, err) {
				return
			}
		}
		if !overtake {
			assert.EqualValues(t, total, next, "how many entries were read")
		}
	})
	for i := int64(0); i < total && !t.Failed(); i += 2 {
		if i%20 == 0 {
			steps.await() // now and then: the reader must be able to fall behind
		}
		positions, err := log.Append(t.Context(), storage.SeqNo(newest.Load()), [][]byte{numbered(i, 500), numbered(i+1, 10)})
		if !assert.NoError(t, err) {
			break
		}
		newest.Store(uint64(positions[1]))
	}
	done.Store(true)
	group.Wait()
}

func testLogHold(t testing.TB, open Logs) {
	path := newPath("log")
	log := open.mustOpen(t, path, alice)
	reader := open.mustOpenReader(t, path)
	holder, ok := reader.(storage.LogHolder)
	if !ok {
		t.Skip("readers cannot hold entries")
	}
	want := appendText(t, log, 0, "a", "b", "c", "d", "e", "f")
	holder.Hold(t.Context(), want[1].SeqNo)
	require.NoError(t, log.Truncate(t.Context(), want[3].SeqNo))
	requireEntries(t, reader, want[1].SeqNo, want[2:])

	// A hold of one reader does not affect readers that hold nothing.
	want = append(want, appendText(t, log, last(want), "g")...)
	requireEntries(t, reader, want[1].SeqNo, want[2:])
	requireEntries(t, log, want[3].SeqNo, want[4:])

	holder.Hold(t.Context(), want[2].SeqNo)
	requireEntries(t, reader, want[2].SeqNo, want[3:])
	require.NoError(t, log.Truncate(t.Context(), last(want)))
	requireEntries(t, reader, want[2].SeqNo, want[3:])
	holder.Hold(t.Context(), last(want))
	requireEntries(t, reader, last(want), nil)

	want = append(want, appendText(t, log, last(want), "h", "i")...)
	requireEntries(t, reader, want[6].SeqNo, want[7:])
	require.NoError(t, reader.Close())
	holder.Hold(t.Context(), 0) // Hold does nothing on a closed reader
	require.NoError(t, log.Truncate(t.Context(), last(want)))
	requireLog(t, log, want, last(want))
}

// numbered returns an entry that carries a number, and padding bytes after it.
func numbered(n int64, padding int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(n)), make([]byte, padding)...)
}

// number returns the number of an entry of numbered, or -1 for any other entry.
func number(data []byte) int64 {
	if len(data) < 8 {
		return -1
	}
	return int64(binary.BigEndian.Uint64(data))
}
