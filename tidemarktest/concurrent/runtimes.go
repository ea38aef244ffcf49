package concurrent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

type (
	writer   = persist.WriteHandle[string, string]
	reader   = persist.ReadHandle[string, string]
	snapshot = persist.Snapshot[string, string]
	listener = persist.Listener[string, string]
)

// handles are the handles of all streams in one opening of the location.
type handles struct {
	client *persist.Client
	writes []*writer
	reads  []*reader
	multi  *persist.MultiWriteHandle
	over   chan struct{} // closed when this opening must not be used any more
}

// owner is the runtime that writes, over all its openings.
type owner struct {
	run    *run
	broken chan *handles // one token: an opening that does not answer any more

	mu      sync.Mutex
	current *handles      // guarded by mu; nil while the location is not open
	change  chan struct{} // guarded by mu; closed when current is set
}

// open opens the location, and wakes the waiters.
func (o *owner) open(ctx context.Context) error {
	client, err := o.run.store.Open(ctx)
	if err != nil {
		return fmt.Errorf("concurrent: open the store: %w", err)
	}
	h := &handles{client: client, over: make(chan struct{})}
	var members []persist.Stream
	for _, name := range o.run.streams {
		w, r, err := persist.CreateOrLoad(ctx, client, name, codec.String, codec.String)
		if err != nil {
			_ = client.Stop()
			return fmt.Errorf("concurrent: register stream %q: %w", name, err)
		}
		h.writes, h.reads = append(h.writes, w), append(h.reads, r)
		members = append(members, w)
	}
	if h.multi, err = persist.NewMultiWriteHandle(members...); err != nil {
		_ = client.Stop()
		return err
	}
	o.run.mu.Lock()
	o.run.opened = append(o.run.opened, o.run.tick())
	o.run.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.current = h
	if o.change != nil {
		close(o.change)
		o.change = nil
	}
	return nil
}

// close stops the runtime. Clients wait until it is opened again.
func (o *owner) close() error {
	o.mu.Lock()
	h := o.current
	o.current = nil
	o.mu.Unlock()
	if h == nil {
		return nil
	}
	close(h.over)
	return h.client.Stop()
}

// get returns the handles of the opening in force. If there is none, it waits for one.
func (o *owner) get(ctx context.Context) (*handles, error) {
	for {
		o.mu.Lock()
		h := o.current
		if h == nil && o.change == nil {
			o.change = make(chan struct{})
		}
		change := o.change
		o.mu.Unlock()
		if h != nil {
			return h, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// follower is a read-only runtime, over all its openings.
type follower struct {
	run  *run
	name string

	mu     sync.Mutex
	client *persist.ReadClient // guarded by mu; nil: the next get opens it
}

// get returns the runtime, and opens it if there is none. It holds the lock meanwhile:
// without the runtime, no other caller can do anything.
func (f *follower) get(ctx context.Context) (*persist.ReadClient, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client == nil {
		c, err := f.run.store.OpenRead(ctx)
		if err != nil {
			return nil, err
		}
		f.client = c
	}
	return f.client, nil
}

// drop stops the runtime if it is still the one in force.
func (f *follower) drop(c *persist.ReadClient) error {
	f.mu.Lock()
	if c == nil {
		c = f.client
	}
	drop := c != nil && f.client == c
	if drop {
		f.client = nil
	}
	f.mu.Unlock()
	if !drop {
		return nil
	}
	return c.Stop()
}

// lost waits until an opening was replaced. That opening has stopped by itself, or was
// stopped.
func (o *owner) lost(ctx context.Context, h *handles) {
	select {
	case o.broken <- h:
	default:
	}
	select {
	case <-h.over:
	case <-ctx.Done():
	}
}

// source is where a client reads a stream.
type source struct {
	*reader
	// lost must be called when the runtime has stopped.
	lost func(ctx context.Context)
}

// source returns where to read a stream: at the owner if f is nil.
func (r *run) source(ctx context.Context, f *follower, stream int) (source, error) {
	if f == nil {
		h, err := r.owner.get(ctx)
		if err != nil {
			return source{}, err
		}
		return source{h.reads[stream], func(ctx context.Context) { r.owner.lost(ctx, h) }}, nil
	}
	c, err := f.get(ctx)
	if err != nil {
		return source{}, err
	}
	read, err := persist.Load(ctx, c, r.streams[stream], codec.String, codec.String)
	if errors.Is(err, persist.ErrStopped) || errors.Is(err, persist.ErrClosed) {
		_ = f.drop(c)
	}
	return source{read, func(context.Context) { _ = f.drop(c) }}, err
}
