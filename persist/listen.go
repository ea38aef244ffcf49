package persist

import (
	"context"
	"runtime"
	"sync"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
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
// A listener never holds up writers, and costs no memory for what it has not read:
// events beyond a shared window (Config.ListenerWindowBytes) are read from the log,
// which is kept for it (Config.MaxListenerLag).
//
// It is to be closed; one that is forgotten is closed with a logged warning when it
// is collected as garbage.
type Listener[K, V any] struct {
	read  *ReadHandle[K, V] // in use as long as the listener is
	inner *indexed.Listener
	open  *leaseable

	mu      sync.Mutex // guards what follows
	decoder *decoder[K, V]
	queue   []delivery[K, V] // what is left of an event that had errors
}

type delivery[K, V any] struct {
	event ListenEvent[K, V]
	err   error
}

func newListener[K, V any](r *ReadHandle[K, V], inner *indexed.Listener) *Listener[K, V] {
	l := &Listener[K, V]{read: r, inner: inner, decoder: r.decoder()}
	l.open = &leaseable{what: "listener", stream: r.name, logger: r.owned.logger, close: inner.Close}
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
		if len(l.queue) > 0 {
			d := l.queue[0]
			l.queue = l.queue[1:]
			return d.event, d.err
		}
		e, err := l.inner.Next(ctx)
		if err != nil {
			return ListenEvent[K, V]{}, err
		}
		l.deliver(e)
	}
}

// deliver queues what an event amounts to.
func (l *Listener[K, V]) deliver(e indexed.Event) {
	if e.Updates == nil {
		l.queue = append(l.queue[:0], delivery[K, V]{event: ListenEvent[K, V]{Sealed: e.Sealed, SeqNo: e.SeqNo}})
		return
	}
	n := 0
	for i := range e.Updates {
		n += e.Updates[i].Len()
	}
	event := ListenEvent[K, V]{Updates: make([]Update[K, V], 0, n), SeqNo: e.SeqNo}
	var undecodable []delivery[K, V]
	for c := range e.Updates {
		cols := &e.Updates[c]
		for i := range cols.Len() {
			u, err := l.decoder.decode(cols.Key(i), cols.Val(i), cols.Time(i), cols.Diff(i))
			if err != nil {
				undecodable = append(undecodable, delivery[K, V]{err: err})
				continue
			}
			event.Updates = append(event.Updates, u)
		}
	}
	l.decoder.reset()
	l.queue = l.queue[:0]
	if len(event.Updates) > 0 {
		l.queue = append(l.queue, delivery[K, V]{event: event})
	}
	l.queue = append(l.queue, undecodable...)
}

// Close ends the listener: a Next that waits returns ErrClosed. It may be called
// more than once.
func (l *Listener[K, V]) Close() error { return l.open.done() }
