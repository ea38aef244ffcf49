package indexed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// Snapshot is the contents of a stream at one SeqNo. Taking it copies no update. It keeps
// the blobs that it refers to until Close. It may be read several times, and by several
// goroutines at once.
//
// See committer for the order of a snapshot among commands, and state for where each update
// is.
type Snapshot struct {
	stream   string
	seqno    storage.SeqNo
	upper    frontier.Antichain
	since    frontier.Antichain
	trace    []*batch
	unsealed []*batch
	tail     tail
	reader   *part.Store
	reads    *readCount // of the stream
	wake     func()     // wakes the merge goroutine; nil: there is none

	index  *tailIndex // shared with other snapshots; sorted has what it knows of the tail
	sort   sync.Once
	sorted []*part.Run

	measure sync.Once
	fits    bool // see fitsCache

	mu      sync.Mutex
	release func() // guarded by mu; nil once the snapshot is closed
}

// snapshotLocked takes a snapshot, and a reference to the batches of the stream.
func (st *state) snapshotLocked(s *stream, reader *part.Store) *Snapshot {
	set := s.set
	set.refs++
	if s.tailIndex == nil {
		s.tailIndex = new(tailIndex)
	}
	return &Snapshot{
		stream: s.name, seqno: st.applied, upper: s.upper, since: s.since,
		trace: set.trace, unsealed: set.unsealed,
		tail: s.tail, index: s.tailIndex,
		reader: reader, reads: &s.reads, wake: st.onVisits,
		release: func() {
			st.mu.Lock()
			defer st.mu.Unlock()
			st.releaseSetLocked(set)
		},
	}
}

// SeqNo returns the position of the newest command that the snapshot reflects. The snapshot
// has every write to the stream at or before it, and none after.
func (s *Snapshot) SeqNo() storage.SeqNo { return s.seqno }

// Upper returns the upper of the stream at that position.
func (s *Snapshot) Upper() frontier.Antichain { return s.upper }

// Since returns the since of the stream at that position. Reads advance earlier times to
// it.
func (s *Snapshot) Since() frontier.Antichain { return s.since }

// StreamName returns the name of the stream.
func (s *Snapshot) StreamName() string { return s.stream }

// RowsBetween returns an upper bound for the rows that ChunksBetween yields. It reads
// nothing.
func (s *Snapshot) RowsBetween(lower, upper frontier.Antichain) int {
	n := int64(0)
	filter, unmoved := s.filters(lower, upper)
	for b := range s.batches(filter, unmoved) {
		n += b.rows
	}
	for c := range s.tail.chunks() {
		n += int64(c.cols.Len())
	}
	return int(min(n, math.MaxInt))
}

// filters returns what admits the times in [lower, upper): one filter for the trace, and
// one for unsealed batches and the tail.
func (s *Snapshot) filters(lower, upper frontier.Antichain) (trace, unmoved part.TimeFilter) {
	if lower == s.since && lower.LessThan(upper) {
		// Times before the since count as the since, whether or not a merge has moved them.
		lower = frontier.Antichain{}
	}
	unmoved = s.unmoved()
	unmoved.Lower = unmoved.Lower.Join(lower)
	unmoved.Upper = upper
	return part.TimeFilter{Lower: lower, Upper: upper}, unmoved
}

// batches yields the batches that may have rows which the filters admit, in storage order,
// each with its filter.
func (s *Snapshot) batches(trace, unmoved part.TimeFilter) iter.Seq2[*batch, part.TimeFilter] {
	return func(yield func(*batch, part.TimeFilter) bool) {
		for _, b := range s.trace {
			if b.hasTimesIn(trace) && !yield(b, trace) {
				return
			}
		}
		for _, b := range s.unsealed {
			if b.hasTimesIn(unmoved) && !yield(b, unmoved) {
				return
			}
		}
	}
}

// sortedTail returns sorted runs that have the rows of the tail. The first call sorts what no
// snapshot of the stream has sorted before.
func (s *Snapshot) sortedTail() []*part.Run {
	s.sort.Do(func() { s.sorted = s.index.of(&s.tail) })
	return s.sorted
}

// Close lets go of the blobs of the snapshot. Reads that still run may fail. It always
// returns nil, and may be called more than once.
func (s *Snapshot) Close() error {
	s.mu.Lock()
	release := s.release
	s.release = nil
	s.mu.Unlock()
	if release != nil {
		release()
	}
	return nil
}

func (s *Snapshot) checkOpen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release == nil {
		return fmt.Errorf("tidemark: snapshot of stream %s: %w", quoteName(s.stream), storage.ErrClosed)
	}
	return nil
}

// unmoved admits the times that count outside the trace: those at or after its upper.
func (s *Snapshot) unmoved() part.TimeFilter {
	set := batchSet{trace: s.trace}
	return part.TimeFilter{Lower: set.traceUpper(), Upper: frontier.Empty()}
}

// Chunk is a run of a snapshot's updates in storage order.
type Chunk struct {
	cols   Columns
	filter part.TimeFilter
	since  frontier.Antichain
}

// Len returns the number of rows, with those that Row leaves out.
func (c *Chunk) Len() int { return c.cols.Len() }

// Row returns row i, with its time advanced to the since of the snapshot. ok is false if
// the row is not part of the read. The caller must not change key and val.
func (c *Chunk) Row(i int) (key, val []byte, time uint64, diff int64, ok bool) {
	t := c.cols.Time(i)
	if !c.filter.Admits(t) {
		return nil, nil, 0, 0, false
	}
	//museum:times-not-moved
	return c.cols.Key(i), c.cols.Val(i), c.since.Advance(t), c.cols.Diff(i), true
}

// Chunks yields all updates of the snapshot in storage order: trace batches by time,
// unsealed batches by position, then the tail. Equal updates are not added up.
//
// A chunk is valid until the next one is asked for. Chunks holds the part that is being
// read in memory, and up to four parts after it, which it reads ahead (part.Ahead). The
// sequence ends with its first error.
//
// Errors: storage.ErrClosed; storage.CorruptError; the storage's; the context's.
func (s *Snapshot) Chunks(ctx context.Context) iter.Seq2[Chunk, error] {
	return s.ChunksBetween(ctx, frontier.Antichain{}, frontier.Empty())
}

// ChunksBetween is Chunks for the times in [lower, upper). It does not read batches whose
// times are all outside. A lower that is after {0} and before the since is not exact: a
// time before the since may count as it was written, or as the since.
func (s *Snapshot) ChunksBetween(ctx context.Context, lower, upper frontier.Antichain) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		if err := s.checkOpen(); err != nil {
			yield(Chunk{}, err)
			return
		}
		filter, unmoved := s.filters(lower, upper)
		ahead := s.reader.Ahead()
		for b, filter := range s.batches(filter, unmoved) {
			ahead.Append(b.parts, filter, b)
		}
		reading, cancel := context.WithCancel(ctx)
		defer ahead.Wait()
		defer cancel()
		for ahead.More() {
			cols, filter, err := ahead.Next(reading)
			if err != nil {
				yield(Chunk{}, fmt.Errorf("tidemark: snapshot of stream %s: %w", quoteName(s.stream), err))
				return
			}
			if !yield(Chunk{cols, filter, s.since}, nil) {
				return
			}
		}
		for c := range s.tail.chunks() {
			if err := ctx.Err(); err != nil {
				yield(Chunk{}, err)
				return
			}
			if !yield(Chunk{c.cols, unmoved, s.since}, nil) {
				return
			}
		}
	}
}

// Consolidated yields the snapshot sorted by (key, val, time). Times are advanced to the
// since, equal rows are added up, and zeros are left out.
//
// It merges while it reads, and sorts the tail in memory. What it holds beside the tail:
//
//	batches     of each batch, beside 40 KiB or so for a footer
//	up to 16    two row groups (512 KiB of updates each)
//	up to 256   one row group
//	more        a piece of a row group, and one row at least
//
// So it never holds more than 32 x Config.PartBytes (128 MiB) of updates, unless single
// rows are that large.
//
// Errors: those of Chunks; ErrOverflow at a row whose diffs add up to more than an int64
// holds.
func (s *Snapshot) Consolidated(ctx context.Context) iter.Seq2[Row, error] {
	return s.consolidated(ctx, part.AllTimes, s.since)
}

// Between is Consolidated for the times in [lower, upper). It does not read batches whose
// times are all outside.
//
// Errors: also ErrAsOfBeforeSince if lower is before the since: earlier times may have been
// advanced to the since, so nothing tells them apart.
func (s *Snapshot) Between(ctx context.Context, lower, upper frontier.Antichain) iter.Seq2[Row, error] {
	if !s.since.LessEqual(lower) {
		return func(yield func(Row, error) bool) {
			yield(Row{}, streamErrorf(s.stream, ErrAsOfBeforeSince, "updates from time %s on were asked for, but the since is %s: start there", lower, s.since))
		}
	}
	return s.consolidated(ctx, part.TimeFilter{Lower: lower, Upper: upper}, s.since)
}

// AsOf yields the contents as of time t, sorted by (key, val). Each row has t as its time,
// and its multiplicity at t as its diff.
//
// Errors: also ErrAsOfBeforeSince if t is before the since.
func (s *Snapshot) AsOf(ctx context.Context, t uint64) iter.Seq2[Row, error] {
	if !s.since.Admits(t) {
		return func(yield func(Row, error) bool) {
			yield(Row{}, streamErrorf(s.stream, ErrAsOfBeforeSince, "contents as of time %d were asked for, but the since is %s: read there or later", t, s.since))
		}
	}
	return s.consolidated(ctx, part.TimeFilter{Upper: behind(t)}, frontier.At(t))
}

// behind returns the frontier of all times after t.
func behind(t uint64) frontier.Antichain {
	if t == math.MaxUint64 {
		return frontier.Empty()
	}
	return frontier.At(t + 1)
}

func (s *Snapshot) consolidated(ctx context.Context, filter part.TimeFilter, since frontier.Antichain) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := s.checkOpen(); err != nil {
			yield(Row{}, err)
			return
		}
		filter, unmoved := s.filters(filter.Lower, filter.Upper)
		reading, cancel := context.WithCancel(ctx)
		var count int
		var bytes int64
		for b := range s.batches(filter, unmoved) {
			count, bytes = count+1, bytes+b.memBytes()
		}
		reader := s.reader.Reader(s.reader.FitsCache(bytes))
		var sources []part.Source
		for b, filter := range s.batches(filter, unmoved) {
			rows := part.NewRows(b.parts, reader, filter)
			if count <= part.MaxAheadBatches {
				rows.ReadAhead()
			}
			defer rows.Wait()
			sources = append(sources, rows)
		}
		defer cancel()
		if !s.tail.empty() {
			sources = append(sources, part.Sort(s.tail.columns(), unmoved))
		}
		for r, err := range part.Consolidate(reading, sources, since, s.reader.Held(), tooLargeSum(s.stream)) {
			if errors.Is(err, ErrOverflow) {
				yield(Row{}, err)
				return
			}
			if err != nil {
				yield(Row{}, fmt.Errorf("tidemark: snapshot of stream %s: %w", quoteName(s.stream), err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}
