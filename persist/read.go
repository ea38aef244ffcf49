package persist

import (
	"context"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/brief"
	"github.com/tidemark-go/tidemark/internal/kept"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// Load returns a read handle of a stream that exists. On error the handle is not nil: it
// carries the error, as with CreateOrLoad.
//
// Errors: ErrUnknownStream, ErrCodecMismatch, ErrDestroyed, ErrStopped, ErrCorrupt.
func Load[K, V any](ctx context.Context, c *ReadClient, name string, kc Codec[K], vc Codec[V]) (*ReadHandle[K, V], error) {
	id, err := c.reader.Lookup(ctx, name, kc.Name(), vc.Name())
	err = translate(err)
	return &ReadHandle[K, V]{handle: handle{owned: c.owned, name: name, id: StreamID(id), err: err}, kc: kc, vc: vc}, err
}

// ReadHandle reads a stream. Several goroutines may use it at once.
type ReadHandle[K, V any] struct {
	handle
	kc Codec[K]
	vc Codec[V]
}

// StreamName returns the name of the stream, even if the handle carries an error.
func (r *ReadHandle[K, V]) StreamName() string { return r.name }

// StreamID returns the id of the stream, or the error that the handle carries.
func (r *ReadHandle[K, V]) StreamID() (StreamID, error) { return r.id, r.usable() }

// Err returns the error that the handle carries, if any. A handle that neither CreateOrLoad
// nor Load has returned carries ErrInvalid.
func (r *ReadHandle[K, V]) Err() error { return r.usable() }

// Description returns the frontiers of the stream. They reflect every command whose call
// returned before. In a read-only runtime they are those of ReadClient.Description.
//
// Errors: the handle's; ErrDestroyed, ErrStopped; the context's; in a read-only runtime
// also ErrCorrupt and the storage's.
func (r *ReadHandle[K, V]) Description(ctx context.Context) (frontier.Description, error) {
	return r.describe(ctx)
}

// Snapshot returns what was durable when the call had its turn. It reflects every command
// whose call returned before. It copies no update. It keeps the files that it refers to
// until it is closed.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped; the handle's; the context's.
func (r *ReadHandle[K, V]) Snapshot(ctx context.Context) (*Snapshot[K, V], error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	s, err := r.owned.engine.Snapshot(ctx, r.engineID())
	if err != nil {
		return nil, translate(err)
	}
	return newSnapshot(r, s), nil
}

// Listen returns a snapshot and a listener, in one step. The listener delivers every update
// that is not in the snapshot, exactly once, and none that is in it. Close both.
//
// Errors: as Snapshot; ErrReadOnly if the runtime reads blobs alone.
func (r *ReadHandle[K, V]) Listen(ctx context.Context) (*Snapshot[K, V], *Listener[K, V], error) {
	if err := r.Err(); err != nil {
		return nil, nil, err
	}
	s, l, err := r.owned.engine.Listen(ctx, r.engineID())
	if err != nil {
		return nil, nil, translate(err)
	}
	return newSnapshot(r, s), newListener(r, l), nil
}

// decoder decodes the updates of one read, one after the other.
type decoder[K, V any] struct {
	stream string
	keys   sideDecoder[K]
	vals   sideDecoder[V]
}

func (r *ReadHandle[K, V]) decoder() *decoder[K, V] {
	return &decoder[K, V]{stream: r.shownName(), keys: newSideDecoder(r.kc), vals: newSideDecoder(r.vc)}
}

// decode returns one update, or a *DecodeError. lasting says two things of key and val:
// their bytes never change, and they are not part of a large block of memory. So values may
// keep them.
func (d *decoder[K, V]) decode(key, val []byte, time uint64, diff int64, lasting bool) (Update[K, V], error) {
	k, err := d.keys.decode(key, lasting)
	part := "key"
	if err == nil {
		var v V
		if v, err = d.vals.decode(val, lasting); err == nil {
			return Update[K, V]{Key: k, Val: v, Time: time, Diff: diff}, nil
		}
		part = "value"
	}
	return Update[K, V]{}, &DecodeError{
		Stream: d.stream, Key: slices.Clone(key[:min(len(key), brief.Max)]), KeyBytes: len(key), Part: part,
		Time: time, Diff: diff, Err: err,
	}
}

// sideDecoder decodes keys, or vals. Some values keep the bytes that they are decoded from.
// The cache and other readers share those bytes, so such a value gets a copy. It needs none
// if the bytes are lasting and the value cannot change them.
type sideDecoder[T any] struct {
	codec  Codec[T]
	owned  codec.OwnedDecoder[T]  // nil if the codec is not one
	shared codec.SharedDecoder[T] // nil if the codec is not one
	copies kept.Copies
}

func newSideDecoder[T any](c Codec[T]) sideDecoder[T] {
	o, _ := c.(codec.OwnedDecoder[T])
	s, _ := c.(codec.SharedDecoder[T])
	return sideDecoder[T]{codec: c, owned: o, shared: s}
}

func (d *sideDecoder[T]) decode(src []byte, lasting bool) (T, error) {
	//museum:room-behind-a-row
	src = slices.Clip(src) // behind it are other rows
	if lasting && d.shared != nil {
		return d.shared.DecodeShared(src)
	}
	if d.owned != nil {
		return d.owned.DecodeOwned(d.copies.Copy(src))
	}
	return d.codec.Decode(src)
}

// Snapshot is the contents of a stream at one SeqNo. It may be read more than once, and by
// several goroutines at once. Close it. A snapshot that is forgotten is closed when it is
// collected as garbage, with a logged warning.
type Snapshot[K, V any] struct {
	read  *ReadHandle[K, V]
	inner *indexed.Snapshot
	open  *leaseable
}

// leaseable closes something once: by done, or by forgotten if the user forgot to close it.
type leaseable struct {
	once   sync.Once
	what   string
	stream string
	logger *slog.Logger
	close  func() error
}

func (l *leaseable) done() (err error) {
	l.once.Do(func() { err = l.close() })
	return err
}

func (l *leaseable) forgotten() {
	l.once.Do(func() {
		l.logger.Warn("a "+l.what+" was forgotten without Close; closing it", "stream", l.stream)
		_ = l.close()
	})
}

func newSnapshot[K, V any](r *ReadHandle[K, V], inner *indexed.Snapshot) *Snapshot[K, V] {
	s := &Snapshot[K, V]{read: r, inner: inner}
	s.open = &leaseable{what: "snapshot", stream: r.shownName(), logger: r.owned.logger, close: inner.Close}
	runtime.AddCleanup(s, (*leaseable).forgotten, s.open)
	return s
}

// SeqNo returns the position in the log that the snapshot reflects. The snapshot contains
// every write to the stream at or before that position, and none after it.
func (s *Snapshot[K, V]) SeqNo() storage.SeqNo { return s.inner.SeqNo() }

// Upper returns the upper of the stream: contents are complete for times before it. The
// snapshot also has the updates at or in advance of it that were written so far.
func (s *Snapshot[K, V]) Upper() frontier.Antichain { return s.inner.Upper() }

// Since returns the since of the stream: times before it have been moved up to it.
func (s *Snapshot[K, V]) Since() frontier.Antichain { return s.inner.Since() }

// RowsBetween returns how many rows RawBetween yields at most. It reads nothing, so it
// counts batches as a whole.
func (s *Snapshot[K, V]) RowsBetween(lower, upper frontier.Antichain) int {
	return s.inner.RowsBetween(lower, upper)
}

// All yields the updates in storage order, with times advanced to Since. They are neither
// sorted nor consolidated as a whole. All holds the part of a batch that is being read in
// memory, and up to four parts after it, which it reads ahead.
//
// An update that cannot be decoded is yielded as a *DecodeError, and the caller may go on.
// Any other error ends the sequence: ErrCorrupt, ErrClosed, ErrStopped, the context's.
func (s *Snapshot[K, V]) All(ctx context.Context) iter.Seq2[Update[K, V], error] {
	return func(yield func(Update[K, V], error) bool) {
		defer runtime.KeepAlive(s)
		d := s.read.decoder()
		for chunk, err := range s.inner.Chunks(ctx) {
			if err != nil {
				yield(Update[K, V]{}, translate(err))
				return
			}
			for i := range chunk.Len() {
				key, val, time, diff, ok := chunk.Row(i)
				if ok && !yield(d.decode(key, val, time, diff, false)) {
					return
				}
			}
		}
	}
}

// Raw yields what All yields, but encoded. It is for callers that copy rows, count them, or
// decode a few of them. Key and Val are valid until the next row is asked for, and must not
// be changed. Errors, which end the sequence, are as in All.
func (s *Snapshot[K, V]) Raw(ctx context.Context) iter.Seq2[Row, error] {
	return s.RawBetween(ctx, frontier.Antichain{}, frontier.Empty())
}

// RawBetween is Raw for the times in [lower, upper). lower is {0}, Since, or in advance of
// Since. Batches whose times are all outside are not read.
func (s *Snapshot[K, V]) RawBetween(ctx context.Context, lower, upper frontier.Antichain) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		defer runtime.KeepAlive(s)
		for chunk, err := range s.inner.ChunksBetween(ctx, lower, upper) {
			if err != nil {
				yield(Row{}, translate(err))
				return
			}
			for i := range chunk.Len() {
				key, val, time, diff, ok := chunk.Row(i)
				if ok && !yield(Row{Key: key, Val: val, Time: time, Diff: diff}, nil) {
					return
				}
			}
		}
	}
}

// Consolidated yields the updates sorted by encoded (key, val), then time, with times
// advanced to Since. Equal updates are added up, and zeros are left out. It merges while it
// reads.
//
// Errors: as in All; also ErrOverflow, which ends the sequence, at updates whose diffs add
// up to more than an int64 holds.
func (s *Snapshot[K, V]) Consolidated(ctx context.Context) iter.Seq2[Update[K, V], error] {
	return s.rows(s.inner.Consolidated(ctx))
}

// Between is Consolidated for the times in [lower, upper) alone.
//
// Errors: as in Consolidated; also ErrAsOfBeforeSince if lower is before Since: times
// before Since can no longer be told apart.
func (s *Snapshot[K, V]) Between(ctx context.Context, lower, upper frontier.Antichain) iter.Seq2[Update[K, V], error] {
	return s.rows(s.inner.Between(ctx, lower, upper))
}

// AsOf yields the contents as of time t: each (key, value) with its multiplicity as
// the Diff, and t as the Time, sorted by encoded (key, value). The contents are
// complete if t is before Upper.
//
// Errors: as in Consolidated; also ErrAsOfBeforeSince if t is before Since.
func (s *Snapshot[K, V]) AsOf(ctx context.Context, t uint64) iter.Seq2[Update[K, V], error] {
	return s.rows(s.inner.AsOf(ctx, t))
}

func (s *Snapshot[K, V]) rows(rows iter.Seq2[indexed.Row, error]) iter.Seq2[Update[K, V], error] {
	return func(yield func(Update[K, V], error) bool) {
		defer runtime.KeepAlive(s)
		d := s.read.decoder()
		for row, err := range rows {
			if err != nil {
				yield(Update[K, V]{}, translate(err))
				return
			}
			if !yield(d.decode(row.Key, row.Val, row.Time, row.Diff, false)) {
				return
			}
		}
	}
}

// ReadToEnd returns all that Consolidated yields, in memory. It ends with the first error.
func (s *Snapshot[K, V]) ReadToEnd(ctx context.Context) ([]Update[K, V], error) {
	var updates []Update[K, V]
	for u, err := range s.Consolidated(ctx) {
		if err != nil {
			return nil, err
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// Close lets go of the files that the snapshot refers to. It may be called more than once.
func (s *Snapshot[K, V]) Close() error { return s.open.done() }
