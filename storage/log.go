package storage

import (
	"context"
	"iter"
	"strconv"
)

// SeqNo is the position of an entry in a log. Positions increase from entry to
// entry and start above 0; they need not be dense. 0 is the position before the
// first entry.
type SeqNo uint64

// String returns the position in decimal.
func (s SeqNo) String() string { return strconv.FormatUint(uint64(s), 10) }

// Entry is one entry of a log.
type Entry struct {
	SeqNo SeqNo
	Data  []byte // the reader's to keep; not to be changed
}

// Bounds says what a log holds: the entries with After < SeqNo <= Last. A log
// that holds nothing has After == Last.
type Bounds struct {
	After SeqNo // everything up to here has been truncated
	Last  SeqNo // position of the newest durable entry, truncated or not
}

// LogReader reads a log. It may be used while a Log of the same location is
// appending, in this process or in another one; it needs no lock and writes
// nothing. A location that was never written reads as empty.
type LogReader interface {
	// Bounds returns what can be read now. Last includes every append that was
	// acknowledged before the call.
	//
	// Errors: ErrClosed; CorruptError.
	Bounds(ctx context.Context) (Bounds, error)

	// Read yields, in order, the durable entries with a position in advance of
	// after, and ends at the newest one. Only entries that are known to be durable
	// are yielded. The sequence ends with its first error.
	//
	// Errors: ErrTruncated if entries in advance of after have been truncated, so
	// that a reader never skips a hole; ErrClosed; CorruptError. A torn last frame,
	// which was never acknowledged, is a normal end.
	Read(ctx context.Context, after SeqNo) iter.Seq2[Entry, error]

	// Close gives up what the reader holds. A second call does nothing.
	Close() error
}

// Log is a durable, ordered sequence of entries with one writer.
//
// Opening a Log takes the location's lock, or fences the writer before it, so
// that at most one writer can append: one that was replaced gets ErrConflict or
// ErrClosed and changes nothing.
type Log interface {
	LogReader

	// Append appends entries, in order, if the newest position in the log is
	// expected, and returns their positions once all of them are durable. After a
	// crash, a prefix of the entries of an unacknowledged append may be there.
	// Append does not keep the entries; without any it only checks expected.
	//
	// Concurrency: one call at a time. Blocks until the entries are flushed.
	//
	// Errors: ErrConflict if the newest position is another one; ErrClosed;
	// ErrTooLarge (see LogSizer); others, of which those that match ErrNoEffect left the log
	// unchanged and all others have an unknown outcome. After an unknown outcome
	// every further Append fails.
	Append(ctx context.Context, expected SeqNo, entries [][]byte) ([]SeqNo, error)

	// Truncate allows the entries up to and including through to be removed. The
	// log may keep some of them. Truncating what is already truncated does
	// nothing. Positions go on where they were, also after everything was removed.
	// It may run at the same time as Append and Read.
	//
	// Errors: ErrInvalidTruncation if through is beyond the newest entry; ErrClosed.
	Truncate(ctx context.Context, through SeqNo) error
}

// LogSizer is an optional ability of a Log, and of a LogReader: to tell what an append
// takes. The engine counts what it returns against its limits, never appends more than
// MaxAppend at a time, and refuses a command that would be more by itself. A log without
// it is taken to have no limit.
type LogSizer interface {
	// MaxAppend is the largest StoredBytes that one Append takes; with more it returns
	// ErrTooLarge. It is the same for as long as the log is open.
	MaxAppend() int64

	// StoredBytes returns how many bytes of the log one Append of so many entries, with so
	// many bytes in all, takes: with its frame and whatever else is written around them.
	// It is at least bytes, grows with both numbers, and costs next to nothing.
	StoredBytes(entries int, bytes int64) int64
}

// LogHolder is an optional ability of a LogReader in a process that does not
// own the log. From the first call on, entries in advance of after stay readable
// through this reader as long as it keeps reading up to date, even if the owner
// truncates them; a later call with a later position lets go of those between. If the
// context ends before, less may be held: the next call makes up for it.
type LogHolder interface {
	Hold(ctx context.Context, after SeqNo)
}

// LogConfirmer is an optional ability of a LogReader in a process that does not
// own the log, if it yields only what it can tell to be durable. Something that
// the owner made durable elsewhere, after an append was acknowledged, may prove
// more: Confirm says that the entries up to and including through are durable.
type LogConfirmer interface {
	Confirm(through SeqNo)
}
