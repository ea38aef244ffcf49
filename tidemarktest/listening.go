package tidemarktest

import (
	"context"
	"errors"
	"sync"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// listening is a listener and what it has heard. A goroutine of its own takes the events,
// and ends with the listener. It can be paused, as a slow consumer is.
type listening struct {
	taking
	listener *persist.Listener[string, string]
	ended    chan struct{} // closed when the goroutine ends

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when anything below changes; guarded by mu
	paused  bool
	down    bool // the storage is down
	events  []persist.ListenEvent[string, string]
	end     error // why it ended

	marks []mark // only the history's goroutine
	close bool   // closed by the history
	// cutShort: in a calm history, the listener was closed with something left to hear.
	cutShort bool
}

// mark says that all events of the first calls must be among the first events.
type mark struct{ request, calls, events int }

func newListening() *listening {
	return &listening{ended: make(chan struct{}), changed: make(chan struct{})}
}

// change changes what mu guards, and wakes the waiters.
func (l *listening) change(how func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	how()
	close(l.changed)
	l.changed = make(chan struct{})
}

// await blocks until the condition holds.
func (l *listening) await(ctx context.Context, condition func() bool) error {
	for {
		l.mu.Lock()
		ok, changed := condition(), l.changed
		l.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pump takes events until the listener ends.
func (l *listening) pump(ctx context.Context) {
	defer close(l.ended)
	for {
		if l.await(ctx, func() bool { return !l.paused }) != nil {
			return
		}
		event, err := l.listener.Next(ctx)
		if errors.Is(err, mem.ErrUnavailable) && ctx.Err() == nil {
			// The listener has to read from a storage that is down. It goes on when the
			// storage is up.
			if l.await(ctx, func() bool { return !l.down }) != nil {
				return
			}
			continue
		}
		l.change(func() {
			if err == nil {
				l.events = append(l.events, event)
			} else {
				l.end = err
			}
		})
		if err != nil {
			return
		}
	}
}

// heard returns how many events were taken.
func (l *listening) heard() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

func (l *listening) isPaused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused
}
