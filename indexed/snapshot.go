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

// Snapshot is the contents of a stream at one SeqNo. Taking it copies no update; it
// keeps the blobs it refers to until it is closed. It may be read several times,
// and by several goroutines at once.
type Snapshot struct {
	stream   string
	seqno    storage.SeqNo
	upper    frontier.Antichain
	since    frontier.Antichain
	trace    []*batch
	unsealed []*batch
	tail     tail
	reader   *part.Store

	mu      sync.Mutex
	release func() // guarded by mu; nil once the snapshot is closed
}

// snapshotLocked takes a snapshot and a reference to the stream's batches.
func (st *state) snapshotLocked(s *stream, reader *part.Store) *Snapshot {
	set := s.set
	set.refs++
	return &Snapshot{
		stream: s.name, seqno: st.applied, upper: s.upper, since: s.since,
		trace: set.trace, unsealed: set.unsealed,
		tail:   s.tail,
		reader: reader,
		release: func() {
			st.mu.Lock()
			defer st.mu.Unlock()
			st.releaseSetLocked(set)
		},
	}
}

// SeqNo returns the position of the newest command that the snapshot reflects. It
// contains every write to the stream at or before it, and none after.
func (s *Snapshot) SeqNo() storage.SeqNo { return s.seqno }

// Upper returns the upper of the stream at that position.
func (s *Snapshot) Upper() frontier.Antichain { return s.upper }

// Since returns the since of the stream at that position: times are advanced to it.
func (s *Snapshot) Since() frontier.Antichain { return s.since }

// StreamName returns the name of the stream.
func (s *Snapshot) StreamName() string { return s.stream }

// RowsBetween returns how many rows ChunksBetween yields at most, without reading any.
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

// filters returns what admits [lower, upper) in the trace, and outside it.
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

// Close lets go of the snapshot's blobs; reads that run may then fail. It always
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

// unmoved admits what counts outside the trace: times from its upper on.
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

// Len returns the number of rows, including those that Row skips.
func (c *Chunk) Len() int { return c.cols.Len() }

// Row returns row i with its time advanced to the snapshot's since, or false if
// the row does not belong to the snapshot. Key and value must not be changed.
func (c *Chunk) Row(i int) (key, val []byte, time uint64, diff int64, ok bool) {
	t := c.cols.Time(i)
	if !c.filter.Admits(t) {
		return nil, nil, 0, 0, false
	}
	//museum:times-not-moved
	return c.cols.Key(i), c.cols.Val(i), c.since.Advance(t), c.cols.Diff(i), true
}

// Chunks yields everything in the snapshot: trace batches by time, unsealed
// batches by position, then the tail. A chunk is valid until the next one is asked for. A
// part is held in memory at a time, and while that is read a few of those that follow:
// see readAhead. The sequence ends with its first error.
//
// Errors: storage.ErrClosed; storage.CorruptError; ErrStopped; the context's.
func (s *Snapshot) Chunks(ctx context.Context) iter.Seq2[Chunk, error] {
	return s.ChunksBetween(ctx, frontier.Antichain{}, frontier.Empty())
}

// ChunksBetween is Chunks of the times in [lower, upper). Batches whose times are all
// outside are not read. A lower between {0} and the since tells nothing apart: times there
// count as the since or as they were written.
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

// Consolidated yields the snapshot sorted by (key, val, time), with times advanced
// to its since, equal rows added up and zeros left out. It merges as it goes and
// holds a row group of each batch (512 KiB of updates) and the footer of its part (some 40
// KiB), or two groups if there are up to 16 batches, or less of each if there are more than
// 256, so never more than 32 parts (128 MiB), or a row of each batch; the tail is sorted
// in memory.
//
// Errors: as in Chunks; ErrOverflow at a row whose diffs add up to more than an int64
// holds.
func (s *Snapshot) Consolidated(ctx context.Context) iter.Seq2[Row, error] {
	return s.consolidated(ctx, part.AllTimes, s.since)
}

// Between is Consolidated restricted to the times in [lower, upper). Parts whose
// times are all outside are not read.
//
// Errors: also ErrAsOfBeforeSince if the since is in advance of lower, since then
// times from before lower can no longer be told apart.
func (s *Snapshot) Between(ctx context.Context, lower, upper frontier.Antichain) iter.Seq2[Row, error] {
	if !s.since.LessEqual(lower) {
		return func(yield func(Row, error) bool) {
			yield(Row{}, streamErrorf(s.stream, ErrAsOfBeforeSince, "updates from time %s on were asked for, but the since is %s: start there", lower, s.since))
		}
	}
	return s.consolidated(ctx, part.TimeFilter{Lower: lower, Upper: upper}, s.since)
}

// AsOf yields the contents as of time t: each (key, val) with its multiplicity at t
// as the diff, and t as the time, sorted.
//
// Errors: also ErrAsOfBeforeSince if t is before the since.
func (s *Snapshot) AsOf(ctx context.Context, t uint64) iter.Seq2[Row, error] {
	if !s.since.Admits(t) {
		return func(yield func(Row, error) bool) {
			yield(Row{}, streamErrorf(s.stream, ErrAsOfBeforeSince, "contents as of time %d were asked for, but the since is %s: read there or later", t, s.since))
		}
	}
	upper := frontier.Empty()
	if t < math.MaxUint64 {
		upper = frontier.At(t + 1)
	}
	return s.consolidated(ctx, part.TimeFilter{Upper: upper}, frontier.At(t))
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
