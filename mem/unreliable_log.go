package mem

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/tidemark-go/tidemark/storage"
)

// Log wraps a log. After an append with an unknown outcome the wrapped log lets no further
// append pass, until the log is opened and wrapped again. It is a storage.LogSizer if the
// log is one.
func (u *Unreliable) Log(log storage.Log) storage.Log {
	wrapped := &unreliableLog{unreliableLogReader: unreliableLogReader{u, log}, log: log}
	if sizer, ok := log.(storage.LogSizer); ok {
		return struct {
			*unreliableLog
			storage.LogSizer
		}{wrapped, sizer}
	}
	return wrapped
}

// LogReader wraps a reader of a log. The wrapped reader is a storage.LogHolder if the
// reader is one.
func (u *Unreliable) LogReader(reader storage.LogReader) storage.LogReader {
	wrapped := unreliableLogReader{u, reader}
	if holder, ok := reader.(storage.LogHolder); ok {
		return struct {
			unreliableLogReader
			storage.LogHolder
		}{wrapped, holder}
	}
	return wrapped
}

type unreliableLog struct {
	unreliableLogReader
	log storage.Log

	mu struct {
		sync.Mutex
		unknown error // of an append whose outcome the caller does not know
	}
}

func (l *unreliableLog) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	l.mu.Lock()
	unknown := l.mu.unknown
	l.mu.Unlock()
	if unknown != nil {
		return nil, fmt.Errorf("append after one with an unknown outcome: open the log again: %w", unknown)
	}
	positions, err := l.append(ctx, expected, entries)
	if unknownOutcome(err) {
		l.mu.Lock()
		l.mu.unknown = err
		l.mu.Unlock()
	}
	return positions, err
}

func (l *unreliableLog) append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	v := l.u.begin(ctx, OpAppend, "", len(entries))
	if !v.happens {
		if torn := min(v.torn, len(entries)); torn > 0 {
			// The caller must not learn whether these entries were appended.
			_, _ = l.log.Append(ctx, expected, entries[:torn])
		}
		return nil, v.err
	}
	positions, err := l.log.Append(ctx, expected, entries)
	if late := l.u.end(ctx, OpAppend); late != nil {
		return nil, late
	}
	if v.err != nil {
		return nil, v.err
	}
	return positions, err
}

// unknownOutcome reports whether an append that returned err may have happened all the
// same.
func unknownOutcome(err error) bool {
	if err == nil {
		return false
	}
	for _, known := range []error{storage.ErrNoEffect, storage.ErrConflict, storage.ErrClosed, storage.ErrTooLarge} {
		if errors.Is(err, known) {
			return false
		}
	}
	return true
}

func (l *unreliableLog) Truncate(ctx context.Context, through storage.SeqNo) error {
	_, err := call(ctx, l.u, OpTruncate, "", func() (struct{}, error) {
		return struct{}{}, l.log.Truncate(ctx, through)
	})
	return err
}

type unreliableLogReader struct {
	u      *Unreliable
	reader storage.LogReader
}

func (r unreliableLogReader) Bounds(ctx context.Context) (storage.Bounds, error) {
	return call(ctx, r.u, OpBounds, "", func() (storage.Bounds, error) { return r.reader.Bounds(ctx) })
}

func (r unreliableLogReader) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	return sequence(ctx, r.u, OpRead, "", r.reader.Read(ctx, after))
}

func (r unreliableLogReader) Close() error { return r.u.closing(OpLogClose, r.reader.Close) }

// sequence is call for operations that yield. A failure comes after the items that its
// fault lets pass, or at the end.
func sequence[T any](ctx context.Context, u *Unreliable, op Op, key string, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		v := u.begin(ctx, op, key, 0)
		left := v.yields
		if v.err == nil || left > 0 {
			for item, err := range seq {
				if v.err != nil && left == 0 {
					break
				}
				left--
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
		err := u.end(ctx, op)
		if v.err != nil {
			err = v.err
		}
		if err != nil {
			yield(none, err)
		}
	}
}
