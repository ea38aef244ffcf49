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

// Load returns a read handle of a stream that exists. On error the handle is not
// nil: it carries the error, as with CreateOrLoad.
//
// Errors: ErrUnknownStream, ErrCodecMismatch, ErrDestroyed, ErrStopped, ErrCorrupt.
func Load[K, V any](ctx context.Context, c *ReadClient, name string, kc Codec[K], vc Codec[V]) (*ReadHandle[K, V], error) {
	id, err := c.reader.Lookup(ctx, name, kc.Name(), vc.Name())
	err = translate(err)
	return &ReadHandle[K, V]{handle: handle{owned: c.owned, name: name, id: StreamID(id), err: err}, kc: kc, vc: vc}, err
}

// ReadHandle reads a stream. It may be used by several goroutines at once.
type ReadHandle[K, V any] struct {
	handle
	kc Codec[K]
	vc Codec[V]
}

// StreamName returns the name of the stream, also of a handle that carries an error.
func (r *ReadHandle[K, V]) StreamName() string { return r.name }

// StreamID returns the id of the stream, or the error that the handle carries.
func (r *ReadHandle[K, V]) StreamID() (StreamID, error) { return r.id, r.usable() }

// Err returns the error that the handle carries, if any. One that neither CreateOrLoad nor
// Load has returned carries ErrInvalid.
func (r *ReadHandle[K, V]) Err() error { return r.usable() }

// Description returns the frontiers of the stream, as of every command whose call returned
// before; in a read-only runtime, as ReadClient.Description says.
//
// Errors: the handle's; ErrDestroyed, ErrStopped; the context's; in a read-only runtime also
// ErrCorrupt and the storage's.
func (r *ReadHandle[K, V]) Description(ctx context.Context) (frontier.Description, error) {
	return r.describe(ctx)
}

// Snapshot returns what was durable when the call had its turn: it reflects every
// command whose call returned before. It copies no update, and keeps the files it
// refers to until it is closed.
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

// Listen returns a snapshot and a listener, in one step: whatever is in the
// snapshot is never delivered, and whatever comes after it is, exactly once. Both
// are to be closed.
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

// tenure says how long encoded bytes stay as they are, and so what decoded values may do
// with them.
type tenure int

const (
	borrowed   tenure = iota // until the next read: values get a copy
	lasting                  // for ever, in no large block of memory: values may keep them, unless they can change them
	handedOver               // the values own them: values may keep and change them
)

// decode returns one update, or a *DecodeError.
func (d *decoder[K, V]) decode(key, val []byte, time uint64, diff int64, t tenure) (Update[K, V], error) {
	k, err := d.keys.decode(key, t)
	part := "key"
	if err == nil {
		var v V
		if v, err = d.vals.decode(val, t); err == nil {
			return Update[K, V]{Key: k, Val: v, Time: time, Diff: diff}, nil
		}
		part = "value"
	}
	return Update[K, V]{}, &DecodeError{
		Stream: d.stream, Key: slices.Clone(key[:min(len(key), brief.Max)]), KeyBytes: len(key), Part: part,
		Time: time, Diff: diff, Err: err,
	}
}

// sideDecoder decodes keys, or vals. If values keep the bytes that they are decoded from,
// they get a copy of borrowed bytes, and of lasting ones that they can change: the cache and
// other readers share those.
type sideDecoder[T any] struct {
	codec  Codec[T]
	owned  codec.OwnedDecoder[T]  // nil if the codec is none
	shared codec.SharedDecoder[T] // nil if the codec is none
	copies kept.Copies
}

func newSideDecoder[T any](c Codec[T]) sideDecoder[T] {
	o, _ := c.(codec.OwnedDecoder[T])
	s, _ := c.(codec.SharedDecoder[T])
	return sideDecoder[T]{codec: c, owned: o, shared: s}
}

func (d *sideDecoder[T]) decode(src []byte, t tenure) (T, error) {
	switch {
	case t == lasting && d.shared != nil:
		return d.shared.DecodeShared(src)
	case t == handedOver && d.owned != nil:
		return d.owned.DecodeOwned(src)
	case d.owned != nil:
		return d.owned.DecodeOwned(d.copies.Copy(src))
	}
	return d.codec.Decode(src)
}

// Snapshot is the contents of a stream at one SeqNo. It may be read more than once,
// and by several goroutines at once. It is to be closed; one that is forgotten is
// closed with a logged warning when it is collected as garbage.
type Snapshot[K, V any] struct {
	read  *ReadHandle[K, V]
	inner *indexed.Snapshot
	open  *leaseable
}

// leaseable closes something that must be closed, also if that is forgotten.
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

// SeqNo returns the position in the log that the snapshot reflects: it contains
// every write to the stream at or before it, and none after.
func (s *Snapshot[K, V]) SeqNo() storage.SeqNo { return s.inner.SeqNo() }

// Upper returns the upper of the stream: contents are complete for times before it.
// Updates at or in advance of it are in the snapshot too, as far as they were
// written.
func (s *Snapshot[K, V]) Upper() frontier.Antichain { return s.inner.Upper() }

// Since returns the since of the stream: times before it have been moved up to it.
func (s *Snapshot[K, V]) Since() frontier.Antichain { return s.inner.Since() }

// RowsBetween returns how many rows RawBetween yields at most. It reads nothing, so it
// counts batches as a whole.
func (s *Snapshot[K, V]) RowsBetween(lower, upper frontier.Antichain) int {
	return s.inner.RowsBetween(lower, upper)
}

// All yields the updates in storage order, neither sorted nor consolidated as a
// whole, with times advanced to Since. It streams: a part of a batch is in memory at
// a time, and while that is read up to four that follow.
//
// An update that cannot be decoded is yielded as a *DecodeError, and the caller may
// go on; any other error ends the sequence: ErrCorrupt, ErrClosed, ErrStopped, the
// context's.
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
				if ok && !yield(d.decode(key, val, time, diff, borrowed)) {
					return
				}
			}
		}
	}
}

// Raw yields what All yields, without decoding it: to copy it elsewhere, to count, or to
// decode what is wanted. Key and Val are valid until the next row is asked for, and must
// not be changed. Errors, which end the sequence, are as in All.
func (s *Snapshot[K, V]) Raw(ctx context.Context) iter.Seq2[Row, error] {
	return s.RawBetween(ctx, frontier.Antichain{}, frontier.Empty())
}

// RawBetween is Raw of the times in [lower, upper), where lower is {0}, Since or in advance
// of it. Batches whose times are all outside are not read.
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

// Consolidated yields the updates sorted by encoded (key, val), then time, with
// times advanced to Since, equal ones added up and zeros left out. It merges as it
// goes.
//
// Errors: as in All; also ErrOverflow, which ends the sequence, at updates whose diffs
// add up to more than an int64 holds.
func (s *Snapshot[K, V]) Consolidated(ctx context.Context) iter.Seq2[Update[K, V], error] {
	return s.rows(s.inner.Consolidated(ctx))
}

// Between is Consolidated for the times in [lower, upper) alone.
//
// Errors: as in Consolidated; also ErrAsOfBeforeSince if lower is before Since: times around it can no
// longer be told apart.
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
			if !yield(d.decode(row.Key, row.Val, row.Time, row.Diff, borrowed)) {
				return
			}
		}
	}
}

// ReadToEnd returns what Consolidated yields: all of it, in memory. It ends with the
// first error.
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

// Close lets go of the files that the snapshot refers to. It may be called more than
// once.
func (s *Snapshot[K, V]) Close() error { return s.open.done() }
