package indexed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// ending is the end of a runtime. Whoever asks first begins it, and everybody waits for
// it under his own context: it may take as long as the storage does, and goes on when
// nobody waits.
type ending struct {
	once  sync.Once
	done  chan struct{}          // closed when it has ended
	over  atomic.Bool            // it is closed: who asks later need not touch it
	under atomic.Pointer[string] // what is under way
	err   error                  // of the end; guarded by done and over
}

// within begins the end, unless it has begun, and returns when it has ended or the context
// has. The goroutine is the runtime's, since its end must not depend on who waits; it ends
// with the runtime.
func (n *ending) within(ctx context.Context, end func() error) error {
	n.once.Do(func() {
		n.done = make(chan struct{})
		n.at("it has just begun")
		go func() {
			defer close(n.done)
			defer n.over.Store(true)
			n.err = errors.New("a call into the storage has ended its goroutine") // until it returns
			n.err = end()
		}()
	})
	if n.over.Load() {
		return n.err
	}
	select {
	case <-n.done:
		return n.err
	case <-ctx.Done():
		return fmt.Errorf("tidemark: the runtime is still stopping, and goes on by itself: %s: %w", *n.under.Load(), ctx.Err())
	}
}

// at notes what is under way.
func (n *ending) at(what string) { n.under.Store(&what) }

// Stop is Shutdown without a limit of time.
func (e *Engine) Stop() error { return e.Shutdown(context.Background()) }

// Shutdown stops the engine: it commits what was submitted before, refuses what comes
// after, ends the listeners and all goroutines, and closes the storage. It may be
// called more than once; every call returns when the engine has stopped, and
// with the same error.
//
// All of that waits for the storage. If the context ends first, Shutdown returns with an
// error that matches the context's and says what is under way. The engine goes on stopping
// by itself, and closes the storage once that answers; another call waits for it.
func (e *Engine) Shutdown(ctx context.Context) error {
	//museum:shutdown-without-end
	return e.ending.within(ctx, e.end)
}

func (e *Engine) end() error {
	e.ending.at("commands that were submitted before wait for the log")
	_ = e.enqueue(context.Background(), &request{stop: true})
	<-e.life.committed
	e.ending.at("a flush, a merge or a deletion waits for the storage")
	e.life.end()
	e.unregister()
	e.ending.at("the log is being closed")
	err := e.log.Close()
	e.ending.at("the blob store is being closed")
	err = errors.Join(err, e.blob.Close())
	e.logger.Info("runtime stopped", "error", err)
	return err
}

// Stop is Shutdown without a limit of time.
func (f *Follower) Stop() error { return f.Shutdown(context.Background()) }

// Shutdown ends the listeners and the goroutine and closes the storage readers. It may
// be called more than once; every call returns when the follower has stopped, or, as
// Engine.Shutdown does, when its context has ended.
func (f *Follower) Shutdown(ctx context.Context) error {
	return f.ending.within(ctx, f.end)
}

func (f *Follower) end() error {
	f.ending.at("a refresh waits for the storage")
	f.cancel()
	f.background.Wait()
	_ = f.refresh.Acquire(context.Background(), 1) // which does not end before
	f.view.Lock()
	f.view.stopped = true
	st := f.view.st
	f.view.Unlock()
	f.refresh.Release(1)
	st.endListeners(stoppedError())
	f.unregister()
	f.ending.at("the storage is being closed")
	return f.closeStorage()
}
