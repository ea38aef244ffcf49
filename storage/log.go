package storage

import (
	"context"
	"iter"
	"strconv"
)

// SeqNo is the position of an entry in a log. Positions increase from entry to entry and
// start above 0. They need not be dense. 0 is the position before the first entry.
type SeqNo uint64

// String returns the position in decimal.
func (s SeqNo) String() string { return strconv.FormatUint(uint64(s), 10) }

// Entry is one entry of a log.
type Entry struct {
	SeqNo SeqNo
	Data  []byte // the reader may keep it, and must not change it
}

// Bounds says what a log holds: the entries with After < SeqNo <= Last. In a log that holds
// no entries, After == Last.
type Bounds struct {
	After SeqNo // everything up to here has been truncated
	Last  SeqNo // position of the newest durable entry, truncated or not
}

// LogReader reads a log. It may be used while a Log of the same location is appending, in
// this process or in another one. It needs no lock and writes nothing. A location that was
// never written reads as empty.
type LogReader interface {
	// Bounds returns what can be read now. Last includes every append that was acknowledged
	// before the call.
	//
	// Errors: ErrClosed; CorruptError.
	Bounds(ctx context.Context) (Bounds, error)

	// Read yields, in order, the entries with a position in advance of after, and ends at
	// the newest one. It yields only entries that are known to be durable. The sequence
	// ends with its first error.
	//
	// A torn last frame, which was never acknowledged, is a normal end.
	//
	// Errors: ErrTruncated if entries in advance of after have been truncated, so that a
	// reader never skips entries that are missing; ErrClosed; CorruptError.
	Read(ctx context.Context, after SeqNo) iter.Seq2[Entry, error]

	// Close gives up what the reader holds. A second call does nothing.
	Close() error
}

// Log is a durable, ordered sequence of entries with one writer.
//
// Opening a Log takes the lock of the location, or fences the writer before it. So at most
// one writer can append. A writer that was replaced gets ErrConflict or ErrClosed and
// changes nothing.
type Log interface {
	LogReader

	// Append appends entries, in order, if the newest position in the log is expected. It
	// returns their positions once all of them are durable. Append does not keep the
	// entries. Without entries it only checks expected. After a crash, a prefix of the
	// entries of an unacknowledged append may be there.
	//
	// Concurrency: one call at a time. Append blocks until the entries are flushed.
	//
	// Errors: ErrConflict if the newest position is another one; ErrClosed; ErrTooLarge
	// (see LogSizer); others. Of the others, those that match ErrNoEffect left the log
	// unchanged, and all the rest have an unknown outcome. After an unknown outcome every
	// further Append fails.
	Append(ctx context.Context, expected SeqNo, entries [][]byte) ([]SeqNo, error)

	// Truncate allows the log to remove the entries up to and including through. The log
	// may keep some of them. Truncating what is already truncated does nothing. Positions
	// go on where they were, even after everything was removed. Truncate may run at the
	// same time as Append and Read.
	//
	// Errors: ErrInvalidTruncation if through is beyond the newest entry; ErrClosed.
	Truncate(ctx context.Context, through SeqNo) error
}

// LogSizer is an optional ability of a Log, and of a LogReader: it tells how much one
// append may have, and how much room an append takes. The engine compares these sizes with
// its limits. It never appends more than MaxAppend at a time, and refuses a command that
// would be more by itself. The engine assumes that a log without this ability has no limit.
type LogSizer interface {
	// MaxAppend is the largest StoredBytes that one Append may have. Above it Append
	// returns ErrTooLarge. It is the same for as long as the log is open.
	MaxAppend() int64

	// StoredBytes returns how many bytes of the log one Append takes, with a number of
	// entries and their bytes in all. It includes the frame and whatever else is written
	// around the entries. It is at least bytes, grows with both numbers, and costs next to
	// nothing.
	StoredBytes(entries int, bytes int64) int64
}

// LogHolder is an optional ability of a LogReader in a process that does not own the log.
// It keeps entries readable that the owner truncates.
//
// From the first call of Hold on, entries in advance of after stay readable through this
// reader, as long as the reader keeps reading up to date. A later call with a later
// position lets go of the entries between the two. If the context ends before that is done,
// less may be held: the next call makes up for it.
type LogHolder interface {
	Hold(ctx context.Context, after SeqNo)
}

// LogConfirmer is an optional ability of a LogReader in a process that does not own the
// log. It is for a reader that yields only entries that it can tell to be durable. After an
// append was acknowledged, the owner may make something else durable, elsewhere, that
// proves more. Confirm says that the entries up to and including through are durable.
type LogConfirmer interface {
	Confirm(through SeqNo)
}
