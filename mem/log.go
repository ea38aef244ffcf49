package mem

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/tidemark-go/tidemark/storage"
)

var (
	_ storage.Log       = (*Log)(nil)
	_ storage.LogReader = (*LogReader)(nil)
	_ storage.LogHolder = (*LogReader)(nil)
)

// Log is the log of a Place, open for writing. Place.OpenLog makes it.
type Log struct {
	logView

	// unknown is the error of an append whose outcome the caller does not know. No append
	// may follow it. Guarded by place.mu.
	unknown error
}

// Bounds returns what can be read now; see storage.LogReader.
func (l *Log) Bounds(ctx context.Context) (storage.Bounds, error) { return l.bounds(ctx) }

// Read yields the entries in advance of after that are durable when the sequence starts;
// see storage.LogReader. A truncation during the sequence does not disturb it.
func (l *Log) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	return l.read(ctx, after)
}

// Close gives up the log and its lock. It does nothing the second time, and on a handle
// that was taken over. It never fails.
func (l *Log) Close() error { return l.handle.close() }

// Append appends entries if the newest position is expected; see storage.Log. It blocks
// only while flushes are held.
//
// Errors: those of storage.Log; ErrCrashed.
func (l *Log) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	if err := l.handle.enter(ctx, OpAppend); err != nil {
		return nil, err
	}
	p := l.handle.place
	if err := l.refuseLocked(expected); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	added := p.log.number(entries)
	landed, err := l.handle.mutate(ctx, OpAppend, len(added), func(n int) error {
		p.log.add(added[:n])
		return nil
	})
	if !landed {
		p.mu.Lock()
		l.unknown = err
		p.mu.Unlock()
	}
	if err != nil {
		return nil, err
	}
	positions := make([]storage.SeqNo, len(added))
	for i, entry := range added {
		positions[i] = entry.SeqNo
	}
	return positions, nil
}

// refuseLocked returns the reason why no append may happen now, or nil. REQUIRES: place.mu
// is held.
func (l *Log) refuseLocked(expected storage.SeqNo) error {
	p := l.handle.place
	if l.unknown != nil {
		return fmt.Errorf("mem: append to place %q after one with an unknown outcome: open the log again: %w", p.name, l.unknown)
	}
	for _, f := range p.flights {
		if f.handle == l.handle && f.op == OpAppend {
			return storage.NoEffect(fmt.Errorf("mem: append to place %q while another one is in flight: append one at a time", p.name))
		}
	}
	if expected != p.log.last {
		return fmt.Errorf("mem: append to place %q: newest position is %d, expected %d: %w", p.name, p.log.last, expected, storage.ErrConflict)
	}
	return nil
}

// Truncate removes the entries up to and including through, without those that a reader
// holds; see storage.Log.
//
// Errors: those of storage.Log; ErrCrashed.
func (l *Log) Truncate(ctx context.Context, through storage.SeqNo) error {
	if err := l.handle.enter(ctx, OpTruncate); err != nil {
		return err
	}
	p := l.handle.place
	if through > p.log.last {
		defer p.mu.Unlock()
		return fmt.Errorf("mem: truncate place %q through %d: newest position is %d: %w", p.name, through, p.log.last, storage.ErrInvalidTruncation)
	}
	_, err := l.handle.mutate(ctx, OpTruncate, 1, func(int) error {
		p.log.truncate(through)
		return nil
	})
	return err
}

// LogReader reads the log of a Place. Place.OpenLogReader makes it.
type LogReader struct{ logView }

// Bounds returns what can be read now; see storage.LogReader. Truncated entries that the
// reader holds count as readable.
func (r *LogReader) Bounds(ctx context.Context) (storage.Bounds, error) { return r.bounds(ctx) }

// Read yields the entries in advance of after that are durable when the sequence starts;
// see storage.LogReader. A truncation during the sequence does not disturb it.
func (r *LogReader) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	return r.read(ctx, after)
}

// Close gives up the reader and the entries that it holds. A second call does nothing.
// Close never fails.
func (r *LogReader) Close() error { return r.handle.close() }

// Hold keeps the entries in advance of after readable, until this reader is closed or holds
// a later position. There is no time limit.
func (r *LogReader) Hold(_ context.Context, after storage.SeqNo) {
	p := r.handle.place
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.handle.ended == "" {
		p.log.hold(r.handle, after)
	}
}

// logView is the reading half of a log handle.
type logView struct{ handle *handle }

func (v logView) bounds(ctx context.Context) (storage.Bounds, error) {
	if err := v.handle.enter(ctx, OpBounds); err != nil {
		return storage.Bounds{}, err
	}
	p := v.handle.place
	defer p.mu.Unlock()
	return storage.Bounds{After: p.log.after, Last: p.log.last}, nil
}

func (v logView) read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		if err := v.handle.enter(ctx, OpRead); err != nil {
			yield(storage.Entry{}, err)
			return
		}
		p := v.handle.place
		entries, removed := p.log.read(after), p.log.after
		p.mu.Unlock()
		if after < removed {
			yield(storage.Entry{}, fmt.Errorf("mem: read place %q after %d: truncated through %d: %w", p.name, after, removed, storage.ErrTruncated))
			return
		}
		for _, entry := range entries {
			if err := v.handle.usable(ctx, OpRead); err != nil {
				yield(storage.Entry{}, err)
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// logContents is the log of a place. Guarded by Place.mu.
type logContents struct {
	entries []storage.Entry // after < SeqNo <= last; elements are never changed
	after   storage.SeqNo   // everything up to here is gone
	allowed storage.SeqNo   // Truncate allowed everything up to here to go
	last    storage.SeqNo
	holds   map[*handle]storage.SeqNo // readers want to keep the entries in advance of these
	gaps    *rand.Rand                // nil: positions are dense
}

// number copies entries and gives them the positions that follow last.
func (c *logContents) number(entries [][]byte) []storage.Entry {
	added := make([]storage.Entry, len(entries))
	position := c.last
	for i, data := range entries {
		position++
		if c.gaps != nil {
			position += storage.SeqNo(c.gaps.IntN(3))
		}
		added[i] = storage.Entry{SeqNo: position, Data: bytes.Clone(data)}
	}
	return added
}

func (c *logContents) add(added []storage.Entry) {
	if len(added) == 0 {
		return
	}
	c.entries = append(c.entries, added...)
	c.last = added[len(added)-1].SeqNo
}

func (c *logContents) read(after storage.SeqNo) []storage.Entry {
	return c.entries[c.index(after):len(c.entries):len(c.entries)]
}

// index returns how many entries have a position at or before position.
func (c *logContents) index(position storage.SeqNo) int {
	return sort.Search(len(c.entries), func(i int) bool { return c.entries[i].SeqNo > position })
}

func (c *logContents) truncate(through storage.SeqNo) {
	c.allowed = max(c.allowed, through)
	c.discard()
}

func (c *logContents) hold(reader *handle, after storage.SeqNo) {
	c.holds[reader] = max(c.holds[reader], after)
	c.discard()
}

func (c *logContents) release(reader *handle) {
	delete(c.holds, reader)
	c.discard()
}

// discard removes the entries that Truncate allowed to go and no reader holds.
func (c *logContents) discard() {
	through := c.allowed
	for _, after := range c.holds {
		through = min(through, after)
	}
	n := c.index(through)
	if n == 0 {
		return
	}
	c.after = c.entries[n-1].SeqNo // not through, which may lie in a gap
	// Copy the rest, because readers that are under way share the old array.
	c.entries = slices.Clone(c.entries[n:])
}
