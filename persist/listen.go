package persist

import (
	"context"
	"iter"
	"runtime"
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

// RawEvent is a ListenEvent whose updates are not decoded.
type RawEvent struct {
	Rows   iter.Seq[Row]      // nil when the event is a seal
	Sealed frontier.Antichain // meaningful when Rows is nil
	SeqNo  storage.SeqNo
}

// Listener delivers what happens to a stream after the snapshot that was taken with it. It
// delivers each event once, in order. Before a seal, it has delivered every update before
// the sealed time that is not in the snapshot. Updates come as they were written: they are
// neither consolidated nor advanced to the since. Everything that one command did to the
// stream comes at one SeqNo, updates before the seal.
//
// A listener never holds up writers. It holds at most 64 KiB that it has not delivered, or
// one event if that is larger. A listener that has fallen out of the window of newest events
// (Config.ListenerWindowBytes, shared by all listeners) reads from the log, and holds up to
// 1 MiB. The log is kept for it, up to Config.MaxListenerLag.
//
// Close a listener when you do not need it any more. A forgotten listener is closed when it
// is collected as garbage, and a warning is logged.
type Listener[K, V any] struct {
	read  *ReadHandle[K, V] // in use as long as the listener is
	inner *indexed.Listener
	open  *leaseable

	closed atomic.Bool
	// turn guards what follows. A call holds it while it waits for an event, so other calls
	// wait for it under their contexts.
	turn    turn
	decoder *decoder[K, V]
	events  []indexed.Event // taken from inner
	at      int             // how many of them were delivered
	updates []Update[K, V]  // has room for those of the events that were not; nil if there is none yet
	errs    []error         // left of the event that was delivered last
}

func newListener[K, V any](r *ReadHandle[K, V], inner *indexed.Listener) *Listener[K, V] {
	l := &Listener[K, V]{read: r, inner: inner, turn: turn{freed: make(chan struct{}, 1)}, decoder: r.decoder()}
	l.open = &leaseable{what: "listener", stream: r.shownName(), logger: r.owned.logger, close: inner.Close}
	runtime.AddCleanup(l, (*leaseable).forgotten, l.open)
	return l
}

// Next returns the next event. It blocks until there is one, or until ctx ends. Several
// goroutines may call it: each event goes to one of them.
//
// Errors that end the listener: io.EOF after the stream was finished and everything was
// delivered; ErrStopped, ErrDestroyed, ErrLagged and ErrClosed; ErrCorrupt and ErrNewerFormat
// for an entry of the log that was read and cannot be understood, or is not there.
//
// Errors after which it goes on: the context's; a *DecodeError for each update that cannot
// be decoded, after the updates of its event that can; the storage's if the log cannot be
// read now, which may be ErrCorrupt as well. The next call reads it again: if the error stays,
// close the listener.
func (l *Listener[K, V]) Next(ctx context.Context) (ListenEvent[K, V], error) {
	defer runtime.KeepAlive(l)
	if err := l.turn.take(ctx); err != nil {
		return ListenEvent[K, V]{}, err
	}
	defer l.turn.give()
	for {
		e, err := l.next(ctx)
		if err != nil {
			return ListenEvent[K, V]{}, err
		}
		runs, sealed, seqno := e.Updates, e.Sealed, e.SeqNo
		*e = indexed.Event{}
		if runs == nil {
			return ListenEvent[K, V]{Sealed: sealed, SeqNo: seqno}, nil
		}
		if updates := l.decode(runs); len(updates) > 0 {
			return ListenEvent[K, V]{Updates: updates, SeqNo: seqno}, nil
		}
	}
}

// NextRaw is Next without decoding. It is for updates that are copied, compared or counted
// as they are stored, or decoded later (ReadHandle.Decoder).
//
// The rows of an event stay valid, and may be ranged over more than once. They share memory
// with each other and with other readers: do not change them, and copy those that you keep
// if you keep a few of many. Next and NextRaw may be mixed: each event goes to one call.
//
// Errors: as Next. A *DecodeError is of an event that an earlier Next has taken, maybe in
// another goroutine.
func (l *Listener[K, V]) NextRaw(ctx context.Context) (RawEvent, error) {
	defer runtime.KeepAlive(l)
	if err := l.turn.take(ctx); err != nil {
		return RawEvent{}, err
	}
	defer l.turn.give()
	e, err := l.next(ctx)
	if err != nil {
		return RawEvent{}, err
	}
	event := RawEvent{Sealed: e.Sealed, SeqNo: e.SeqNo}
	if e.Updates != nil {
		event.Rows = rowsOf(e.Updates)
	}
	*e = indexed.Event{}
	return event, nil
}

func rowsOf(runs []indexed.Columns) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for c := range runs {
			cols := &runs[c]
			for i := range cols.Len() {
				if !yield(Row{Key: cols.Key(i), Val: cols.Val(i), Time: cols.Time(i), Diff: cols.Diff(i)}) {
					return
				}
			}
		}
	}
}

// next returns the next event of the engine, or an error that is left of the one before.
// The caller clears the event when it has what it needs, so that nothing is held that was
// delivered.
func (l *Listener[K, V]) next(ctx context.Context) (*indexed.Event, error) {
	if l.closed.Load() {
		l.events, l.at, l.updates, l.errs = nil, 0, nil, nil
	}
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	if l.at == len(l.events) {
		events, err := l.inner.NextEvents(ctx, l.events)
		if err != nil {
			return nil, translate(err)
		}
		l.events, l.at, l.updates = events, 0, nil
	}
	e := &l.events[l.at]
	l.at++
	return e, nil
}

// makeRoom takes memory for the updates of the next event and of those behind it that were
// taken from the engine, so that they share an allocation, and so do the bytes that these
// keep.
func (l *Listener[K, V]) makeRoom(next []indexed.Columns) {
	n, keyBytes, valBytes := 0, 0, 0
	count := func(runs []indexed.Columns) {
		for c := range runs {
			n += runs[c].Len()
			keyBytes += runs[c].KeyBytes()
			valBytes += runs[c].ValBytes()
		}
	}
	count(next)
	for _, e := range l.events[l.at:] {
		count(e.Updates)
	}
	l.updates = make([]Update[K, V], 0, n)
	l.decoder.keys.copies.Expect(keyBytes)
	l.decoder.vals.copies.Expect(valBytes)
}

// decode returns the updates of one event, and leaves errors of others in errs.
func (l *Listener[K, V]) decode(runs []indexed.Columns) []Update[K, V] {
	if l.updates == nil {
		l.makeRoom(runs)
	}
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
	// Close inner first. A Next in between would otherwise drop the events that it has taken,
	// and deliver those after them.
	l.closed.Store(true)
	return err
}
