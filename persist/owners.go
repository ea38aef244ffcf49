package persist

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
)

// engine is what both kinds of runtime can do.
type engine interface {
	Describe(ctx context.Context, name string) (frontier.Description, error)
	Streams(ctx context.Context) ([]indexed.StreamInfo, error)
	Snapshot(ctx context.Context, id indexed.StreamID) (*indexed.Snapshot, error)
	Listen(ctx context.Context, id indexed.StreamID) (*indexed.Snapshot, *indexed.Listener, error)
	Collector() prometheus.Collector
	Shutdown(ctx context.Context) error
}

// shared is the part of a runtime that its owners share.
type shared struct {
	id     RuntimeID
	engine engine
	logger *slog.Logger
	// stopping says that a call has begun to stop the runtime.
	stopping atomic.Bool

	mu     sync.Mutex
	owners int // guarded by mu
}

// owned is the share of one owner in a runtime. Handles refer to it. So a client counts as
// forgotten only when its handles are forgotten too.
type owned struct {
	*shared
	share *share
}

// share is the part of an owned that outlives it, for the cleanup of a forgotten owner.
type share struct {
	of   *shared
	once sync.Once
	// given says that the share was given up. A channel would not do: cleanups run outside
	// the synctest bubble that made it.
	given atomic.Bool
}

func newOwned(e engine, logger *slog.Logger) *owned {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return (&shared{id: RuntimeID(uuid.NewString()), engine: e, logger: logger}).addOwner()
}

func (s *shared) addOwner() *owned {
	s.mu.Lock()
	s.owners++
	s.mu.Unlock()
	o := &owned{shared: s, share: &share{of: s}}
	runtime.AddCleanup(o, func(sh *share) { sh.forgotten() }, o.share)
	return o
}

// give gives the share up, and reports whether it was the last one.
func (sh *share) give() (last bool) {
	sh.once.Do(func() {
		sh.given.Store(true)
		sh.of.mu.Lock()
		defer sh.of.mu.Unlock()
		sh.of.owners--
		last = sh.of.owners == 0
	})
	return last
}

// release gives the share up. The last share stops the runtime. If another call is stopping
// the runtime already, release waits for the end.
func (sh *share) release() error {
	switch last := sh.give(); {
	case last:
		return sh.of.shutdown(context.Background())
	case sh.of.stopping.Load():
		_ = sh.of.shutdown(context.Background()) // the call that began it returns the error
	}
	return nil
}

func (s *shared) shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	return translate(s.engine.Shutdown(ctx))
}

// forgotten runs when a client and all its handles were collected as garbage.
func (sh *share) forgotten() {
	if sh.given.Load() {
		return
	}
	sh.of.logger.Warn("a client was forgotten without Close; giving it up", "runtime", string(sh.of.id))
	// Stopping waits for the log, and the cleanups of package runtime must not wait. The
	// goroutine ends when the client's runtime has stopped.
	go func() {
		if err := sh.release(); err != nil {
			sh.of.logger.Error("stopping a forgotten runtime failed", "runtime", string(sh.of.id), "error", err)
		}
	}()
}

func (o *owned) describe(ctx context.Context, name string) (frontier.Description, error) {
	d, err := o.engine.Describe(ctx, name)
	return d, translate(err)
}

func (o *owned) streams(ctx context.Context) ([]StreamInfo, error) {
	found, err := o.engine.Streams(ctx)
	if err != nil {
		return nil, translate(err)
	}
	infos := make([]StreamInfo, len(found))
	for i := range found {
		infos[i] = infoOf(found[i])
	}
	return infos, nil
}

// giveUp gives this owner up and stops the runtime for all owners: see Shutdown.
func (o *owned) giveUp(ctx context.Context) error {
	o.share.give()
	return o.shutdown(ctx)
}
