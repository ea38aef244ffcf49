package indexed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// ending is the end of a runtime. The first call of Stop or Shutdown begins it, and every
// call waits for it under its own context. It may take as long as the storage does, and it
// goes on when no caller waits.
type ending struct {
	once  sync.Once
	done  chan struct{}          // closed when the runtime has ended
	over  atomic.Bool            // done is closed; later calls look at this first
	under atomic.Pointer[string] // the step that is under way, for errors
	err   error                  // result of the end; readable once done or over says so
}

// within begins the end, unless it has begun. It returns when the runtime has ended, or ctx
// is done. The end runs in a goroutine of its own, so that it does not depend on a caller.
func (n *ending) within(ctx context.Context, end func() error) error {
	n.once.Do(func() {
		n.done = make(chan struct{})
		n.at("it has just begun")
		go func() {
			defer close(n.done)
			defer n.over.Store(true)
			n.err = errors.New("a call into the storage has ended its goroutine") // overwritten when end returns
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

// at notes the step that is under way.
func (n *ending) at(what string) { n.under.Store(&what) }

// Stop is Shutdown without a time limit.
func (e *Engine) Stop() error { return e.Shutdown(context.Background()) }

// Shutdown stops the engine. It commits what was submitted before, refuses what comes
// after, ends listeners and goroutines, and closes the storage. It may be called several
// times. Every call returns when the engine has stopped, with the same error.
//
// All of this waits for the storage. If ctx ends first, Shutdown returns an error that
// matches the context's and names the step under way. The engine continues to stop, and
// closes the storage as soon as the storage answers. Another call waits for that.
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
	e.blobs.Close()
	err = errors.Join(err, e.blob.Close())
	e.logger.Info("runtime stopped", "error", err)
	return err
}

// Stop is Shutdown without a time limit.
func (f *Follower) Stop() error { return f.Shutdown(context.Background()) }

// Shutdown ends the listeners and the goroutine, and closes the storage readers. It may be
// called several times. Every call returns when the follower has stopped, or when its
// context has ended, as for Engine.Shutdown.
func (f *Follower) Shutdown(ctx context.Context) error {
	return f.ending.within(ctx, f.end)
}

func (f *Follower) end() error {
	f.ending.at("a refresh waits for the storage")
	f.cancel()
	f.background.Wait()
	_ = f.refresh.Acquire(context.Background(), 1) // waits for a refresh that a caller still runs
	f.view.Lock()
	f.view.stopped = true
	st := f.view.st
	f.view.Unlock()
	f.refresh.Release(1)
	st.endListeners(stoppedError())
	f.unregister()
	f.ending.at("the storage is being closed")
	f.blobs.Close()
	return f.closeStorage()
}
