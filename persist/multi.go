package persist

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/storage"
)

// Stream is a stream that can be written to, whatever the types of its keys and
// values. Every *WriteHandle is one.
type Stream interface {
	StreamName() string
	StreamID() (StreamID, error)
	writeHandle() *handle
}

func (w *WriteHandle[K, V]) writeHandle() *handle {
	if w == nil {
		return new(handle) // an empty handle carries an error
	}
	return &w.handle
}

// MultiWriteHandle is a list of streams of one runtime that are written, sealed and
// compacted together. Programs that do not need the list call Atomic. Several goroutines
// may use it at once.
type MultiWriteHandle struct {
	owned  *owned
	writer *indexed.Engine

	mu      sync.Mutex
	members map[StreamID]string // names
	err     error               // that of the first member that carries an error
}

// NewMultiWriteHandle returns a handle for the given streams: at least one, all of one
// runtime.
//
// If one of them carries an error, the handle carries that error: every operation returns
// it. So a pipeline is built in the same way whether or not the storage is up.
//
// Errors: ErrInvalid without streams; ErrDifferentRuntimes.
func NewMultiWriteHandle(streams ...Stream) (*MultiWriteHandle, error) {
	if len(streams) == 0 {
		return nil, fmt.Errorf("tidemark: %w: a multi-write handle needs at least one stream", ErrInvalid)
	}
	first := streams[0].writeHandle()
	m := &MultiWriteHandle{owned: first.owned, writer: first.writer, members: make(map[StreamID]string)}
	for _, s := range streams {
		if err := m.AddStream(s); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// AddStream adds a stream. It does nothing if the stream is a member already, or if the
// handle carries an error.
//
// Errors: ErrDifferentRuntimes.
func (m *MultiWriteHandle) AddStream(s Stream) error {
	h := s.writeHandle()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
	case m.members == nil:
		return errEmptyMulti
	case h.owned == nil:
		m.err = h.usable()
	case h.owned.id != m.owned.id:
		return fmt.Errorf("tidemark: %w: stream %q is of runtime %s, the others of %s: open them through one client", ErrDifferentRuntimes, h.name, h.owned.id, m.owned.id)
	case h.err != nil:
		m.err = h.err
	default:
		m.members[h.id] = h.name
	}
	return nil
}

// Err returns the error that the handle carries, if any.
func (m *MultiWriteHandle) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.members == nil {
		return errEmptyMulti
	}
	return m.err
}

// errEmptyMulti is the error of a handle that NewMultiWriteHandle has not made.
var errEmptyMulti = fmt.Errorf("tidemark: %w: an empty multi-write handle: get one from NewMultiWriteHandle", ErrInvalid)

func (m *MultiWriteHandle) memberID(id StreamID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if _, ok := m.members[id]; !ok {
		return fmt.Errorf("tidemark: %w: %s is not a stream of this multi-write handle, which has %v: add it first", ErrInvalid, id, slices.Sorted(maps.Values(m.members)))
	}
	return nil
}

// WriteAtomic is Atomic for the members alone. Adding to another stream fails with
// ErrInvalid.
//
// Errors: the handle's; as Atomic.
func (m *MultiWriteHandle) WriteAtomic(ctx context.Context, build func(*AtomicWrite) error) *Future[storage.SeqNo] {
	return m.WriteAtomicIn(ctx, nil, build)
}

// Seal seals the given streams to {upper}, all or none.
//
// Errors: ErrInvalid if one is not a member; as WriteHandle.Seal.
func (m *MultiWriteHandle) Seal(ctx context.Context, ids []StreamID, upper uint64) *Future[storage.SeqNo] {
	return m.each(ctx, ids, func(c *indexed.Command, id indexed.StreamID) { c.Seal(id, frontier.At(upper)) })
}

// SealAll seals every member to {upper}, all or none.
func (m *MultiWriteHandle) SealAll(ctx context.Context, upper uint64) *Future[storage.SeqNo] {
	return m.Seal(ctx, m.ids(), upper)
}

// AllowCompaction advances the since of the given streams, all or none.
//
// Errors: ErrInvalid if one is not a member; as WriteHandle.AllowCompaction.
func (m *MultiWriteHandle) AllowCompaction(ctx context.Context, ids []StreamID, since frontier.Antichain) *Future[storage.SeqNo] {
	return m.each(ctx, ids, func(c *indexed.Command, id indexed.StreamID) { c.AllowCompaction(id, since) })
}

// AllowCompactionAll advances the since of every member, all or none.
func (m *MultiWriteHandle) AllowCompactionAll(ctx context.Context, since frontier.Antichain) *Future[storage.SeqNo] {
	return m.AllowCompaction(ctx, m.ids(), since)
}

func (m *MultiWriteHandle) each(ctx context.Context, ids []StreamID, add func(*indexed.Command, indexed.StreamID)) *Future[storage.SeqNo] {
	if err := m.Err(); err != nil {
		return failed(err)
	}
	var c indexed.Command
	for _, id := range ids {
		if err := m.memberID(id); err != nil {
			return failed(err)
		}
		add(&c, indexed.StreamID(id))
	}
	return submit(ctx, m.writer, &c)
}

func (m *MultiWriteHandle) ids() []StreamID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.members))
}
