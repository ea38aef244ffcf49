package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// logCheck is the test of one promise of a log. It takes a testing.TB, not a *testing.T, so
// that the tests of this package can see it fail.
type logCheck struct {
	name string
	run  func(testing.TB, Logs)
}

var logTests = []logCheck{
	{"Empty", testLogEmpty},
	{"AppendRead", testLogAppendRead},
	{"EmptyAppend", testLogEmptyAppend},
	{"KeepsNothing", testLogKeepsNothing},
	{"Conflict", testLogConflict},
	{"Large", testLogLarge},
	{"TooLarge", testLogTooLarge},
	{"Sizer", testLogSizer},
	{"StopReading", testLogStopReading},
	{"Truncate", testLogTruncate},
	{"TruncateAll", testLogTruncateAll},
	{"Reopen", testLogReopen},
	{"Independent", testLogIndependent},
	{"History", testLogHistory},
	{"Readers", testLogReaders},
	{"ReaderFirst", testLogReaderFirst},
	{"ConcurrentReaders", testLogConcurrentReaders},
	{"ConcurrentTruncate", testLogConcurrentTruncate},
	{"Hold", testLogHold},
	{"UseAfterClose", testLogUseAfterClose},
	{"Cancelled", testLogCancelled},
	{"SecondOwner", func(t testing.TB, open Logs) { testSecondOwner(t, open.location(t)) }},
	{"SameOwner", func(t testing.TB, open Logs) { testSameOwner(t, open.location(t)) }},
	{"LateClose", func(t testing.TB, open Logs) { testLateClose(t, open.location(t)) }},
	{"ReaderKeepsLock", func(t testing.TB, open Logs) { testReaderKeepsLock(t, open.location(t)) }},
}

var paths atomic.Uint64

// newPath returns a path that no other test uses.
func newPath(kind string) string { return fmt.Sprintf("%s-%d", kind, paths.Add(1)) }

func (open Logs) mustOpen(t testing.TB, path string, lock storage.LockInfo) storage.Log {
	t.Helper()
	log, err := open.Open(t.Context(), path, lock)
	require.NoError(t, err, "open log %s for %s", path, lock.Owner)
	closeAtEnd(t, log)
	return log
}

func (open Logs) mustOpenReader(t testing.TB, path string) storage.LogReader {
	t.Helper()
	if open.OpenReader == nil {
		t.Skip("no readers")
	}
	reader, err := open.OpenReader(t.Context(), path)
	require.NoError(t, err, "open a reader of log %s", path)
	closeAtEnd(t, reader)
	return reader
}

// location adapts a new log to the tests of locks.
func (open Logs) location(t testing.TB) location {
	path := newPath("log")
	l := location{features: open.Features}
	l.open = func(lock storage.LockInfo) (writer, error) {
		log, err := open.Open(t.Context(), path, lock)
		if err != nil {
			return nil, err
		}
		return &logWriter{Log: log, ctx: t.Context()}, nil
	}
	if open.OpenReader != nil {
		l.openReader = func() (closer, error) { return open.OpenReader(t.Context(), path) }
	}
	return l
}

// logWriter is a log as the tests of locks see it.
type logWriter struct {
	storage.Log
	ctx context.Context
}

// write appends at the present end of the log, so that only fencing can refuse it.
func (w *logWriter) write() error {
	bounds, err := w.Bounds(w.ctx)
	if err != nil {
		return err
	}
	_, err = w.Append(w.ctx, bounds.Last, [][]byte{[]byte("x")})
	return err
}

func (w *logWriter) contents(t testing.TB) string {
	t.Helper()
	entries, err := collect(t, w.Log, 0)
	require.NoError(t, err)
	return fmt.Sprint(entries)
}

// appendAll appends entries to a log whose newest position is expected. It checks the
// positions, and returns the entries as a reader should get them.
func appendAll(t testing.TB, log storage.Log, expected storage.SeqNo, data ...[]byte) []storage.Entry {
	t.Helper()
	positions, err := log.Append(t.Context(), expected, data)
	require.NoError(t, err, "append %d entries at %d", len(data), expected)
	require.Len(t, positions, len(data), "one position for each entry")
	entries := make([]storage.Entry, len(data))
	for i, position := range positions {
		require.Greater(t, position, expected, "positions increase")
		expected = position
		entries[i] = storage.Entry{SeqNo: position, Data: bytes.Clone(data[i])}
	}
	return entries
}

// appendText is appendAll for entries that a person can read.
func appendText(t testing.TB, log storage.Log, expected storage.SeqNo, text ...string) []storage.Entry {
	t.Helper()
	data := make([][]byte, len(text))
	for i := range text {
		data[i] = []byte(text[i])
	}
	return appendAll(t, log, expected, data...)
}

// collect reads a log to its end or its first error.
func collect(t testing.TB, log storage.LogReader, after storage.SeqNo) ([]storage.Entry, error) {
	t.Helper()
	var entries []storage.Entry
	var failed error
	last := after
	for entry, err := range log.Read(t.Context(), after) {
		if !assert.NoError(t, failed, "the sequence must end with its first error") {
			break
		}
		if err != nil {
			failed = err
			continue
		}
		if !assert.Greater(t, entry.SeqNo, last, "entries come in order and in advance of where reading starts") {
			break
		}
		last = entry.SeqNo
		entries = append(entries, entry)
	}
	return entries, failed
}

// requireEntries checks that reading after a position gives exactly want.
func requireEntries(t testing.TB, log storage.LogReader, after storage.SeqNo, want []storage.Entry) {
	t.Helper()
	got, err := collect(t, log, after)
	require.NoError(t, err, "read after %d", after)
	require.Equal(t, outline(want), outline(got), "the entries after %d", after)
	for i := range want {
		require.True(t, bytes.Equal(want[i].Data, got[i].Data), "the data of entry %d", want[i].SeqNo)
	}
}

// outline returns what is worth printing of entries: positions and sizes.
func outline(entries []storage.Entry) []string {
	lines := make([]string, len(entries))
	for i, entry := range entries {
		lines[i] = fmt.Sprintf("%d: %d bytes", entry.SeqNo, len(entry.Data))
	}
	return lines
}

// requireLog checks everything that a log says about itself. want is what was appended; it
// may be partly truncated. through is the highest truncation.
func requireLog(t testing.TB, log storage.LogReader, want []storage.Entry, through storage.SeqNo) {
	t.Helper()
	var last storage.SeqNo
	if len(want) > 0 {
		last = want[len(want)-1].SeqNo
	}
	bounds, err := log.Bounds(t.Context())
	require.NoError(t, err)
	require.Equal(t, last, bounds.Last, "Last is the newest position, truncated or not")
	require.LessOrEqual(t, bounds.After, through, "only what was truncated may be gone")

	starts := []storage.SeqNo{0}
	for _, entry := range want {
		starts = append(starts, entry.SeqNo)
	}
	for i, after := range starts {
		got, err := collect(t, log, after)
		truncated := i < len(want) && want[i].SeqNo <= bounds.After
		// bounds.After may lie in a gap in advance of after, with no entry between the two.
		// Then no entry is missing, and both answers are right.
		if truncated || (after < bounds.After && err != nil) {
			require.ErrorIs(t, err, storage.ErrTruncated, "read after %d of a log truncated through %d", after, bounds.After)
			require.Empty(t, got, "entries before ErrTruncated, which would hide a hole")
			continue
		}
		requireEntries(t, log, after, want[i:])
	}
}
