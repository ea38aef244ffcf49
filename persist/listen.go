package persist

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/kept"
	"github.com/tidemark-go/tidemark/storage"
)

// ListenEvent is something that happened to a stream at one SeqNo: updates, or a
// seal.
type ListenEvent[K, V any] struct {
	Updates []Update[K, V]     // nil when the event is a seal
	Sealed  frontier.Antichain // meaningful when Updates is nil
	SeqNo   storage.SeqNo
}

// Listener delivers what happens to a stream after the snapshot taken with it, in
// order, each event once. When it delivers a seal, every update before that time
// has been delivered, or is in the snapshot. Updates come as they were written:
// neither consolidated nor advanced to the since. What one command did comes at
// one SeqNo, its updates before its seal.
//
// A listener never holds up writers. Of what it has not delivered it holds at most 64 KiB,
// or 1 MiB while it catches up, or one event if that is larger. It catches up when it has
// fallen out of a window that all listeners share (Config.ListenerWindowBytes): it then
// reads from the log, which is kept for it (Config.MaxListenerLag).
//
// It is to be closed; one that is forgotten is closed with a logged warning when it
// is collected as garbage.
type Listener[K, V any] struct {
	read  *ReadHandle[K, V] // in use as long as the listener is
	inner *indexed.Listener
	open  *leaseable

	closed  atomic.Bool
	mu      sync.Mutex // guards what follows
	decoder *decoder[K, V]
	events  []indexed.Event // taken from inner
	at      int             // how many of them were delivered
	updates []Update[K, V]  // has room for those of the events that were not
	errs    []error         // left of the event that was delivered last
}

func newListener[K, V any](r *ReadHandle[K, V], inner *indexed.Listener) *Listener[K, V] {
	l := &Listener[K, V]{read: r, inner: inner, decoder: r.decoder()}
	l.open = &leaseable{what: "listener", stream: r.shownName(), logger: r.owned.logger, close: inner.Close}
	runtime.AddCleanup(l, (*leaseable).forgotten, l.open)
	return l
}

// Next returns the next event. It blocks until there is one. Several goroutines may
// call it; each event goes to one of them.
//
// Errors: io.EOF after the stream was finished and everything was delivered;
// ErrStopped, ErrDestroyed, ErrLagged and ErrClosed, which end the listener;
// ErrCorrupt; a *DecodeError for each update that cannot be decoded, after those of
// its event that can, and the context's error: after both the listener goes on.
func (l *Listener[K, V]) Next(ctx context.Context) (ListenEvent[K, V], error) {
	defer runtime.KeepAlive(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed.Load() {
			l.events, l.at, l.updates, l.errs = nil, 0, nil, nil
		}
		if len(l.errs) > 0 {
			err := l.errs[0]
			l.errs = l.errs[1:]
			return ListenEvent[K, V]{}, err
		}
		if l.at == len(l.events) {
			if err := l.take(ctx); err != nil {
				return ListenEvent[K, V]{}, err
			}
		}
		e := l.events[l.at]
		l.events[l.at] = indexed.Event{}
		l.at++
		if e.Updates == nil {
			return ListenEvent[K, V]{Sealed: e.Sealed, SeqNo: e.SeqNo}, nil
		}
		if updates := l.decode(e.Updates); len(updates) > 0 {
			return ListenEvent[K, V]{Updates: updates, SeqNo: e.SeqNo}, nil
		}
	}
}

// take takes events. Their updates will share an allocation, and so will the bytes that
// these keep.
func (l *Listener[K, V]) take(ctx context.Context) error {
	events, err := l.inner.NextEvents(ctx, l.events)
	if err != nil {
		return translate(err)
	}
	l.events, l.at = events, 0
	n, keyBytes, valBytes := 0, 0, 0
	for i := range events {
		for c := range events[i].Updates {
			cols := &events[i].Updates[c]
			n += cols.Len()
			keyBytes += cols.KeyBytes()
			valBytes += cols.ValBytes()
		}
	}
	l.updates = make([]Update[K, V], 0, n)
	l.decoder.keys.copies.Expect(keyBytes)
	l.decoder.vals.copies.Expect(valBytes)
	return nil
}

// decode returns the updates of one event, and leaves errors of others in errs.
func (l *Listener[K, V]) decode(runs []indexed.Columns) []Update[K, V] {
	updates := l.updates
	for c := range runs {
		cols := &runs[c]
		lasting := cols.Size() <= kept.MaxBlock
		for i := range cols.Len() {
			u, err := l.decoder.decode(cols.Key(i), cols.Val(i), cols.Time(i), cols.Diff(i), lasting)
			if err != nil {
				l.errs = append(l.errs, err)
				continue
			}
			updates = append(updates, u)
		}
	}
	n := len(updates)
	l.updates = updates[n:]
	return updates[:n:n]
}

// Close ends the listener: a Next that waits returns ErrClosed. It may be called
// more than once.
func (l *Listener[K, V]) Close() error {
	err := l.open.done()
	// Not before inner is closed: a Next in between would drop what it has taken, and
	// deliver what comes after it.
	l.closed.Store(true)
	return err
}
