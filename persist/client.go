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
	"github.com/tidemark-go/tidemark/storage"
)

// RuntimeID identifies one running runtime. Opening a location again gives another.
type RuntimeID string

// Start opens the location that the log and the blobs make up and starts a runtime
// on it. It takes ownership of both: stopping the runtime closes them, and so does
// Start when it fails. Packages file and mem call it for you.
//
// Errors: ErrCorrupt; ErrInvalid for a config out of range; the storage's own.
func Start(ctx context.Context, log storage.Log, blob storage.Blob, cfg Config) (*Client, error) {
	e, err := indexed.Open(ctx, log, blob, cfg)
	if err != nil {
		return nil, err
	}
	return &Client{writer: e, owned: newOwned(e, cfg.Logger)}, nil
}

// StartRead starts a read-only runtime on blobs alone. It sees what the owner of
// the location has moved to blobs (see Config.FlushInterval and Client.Maintain),
// looks for more every Config.FollowInterval, and cannot listen. Prefer
// StartFollow where the log can be read.
//
// It needs no lock and writes nothing; a location that was never written is empty.
// It takes ownership of blob, also when it fails.
//
// Errors: as Start.
func StartRead(ctx context.Context, blob storage.BlobReader, cfg Config) (*ReadClient, error) {
	return StartFollow(ctx, nil, blob, cfg)
}

// StartFollow starts a read-only runtime that follows the owner of a location
// through its log: every read reflects what was acknowledged before it, and
// listeners hear what the owner writes. It is otherwise as StartRead.
func StartFollow(ctx context.Context, log storage.LogReader, blob storage.BlobReader, cfg Config) (*ReadClient, error) {
	f, err := indexed.OpenRead(ctx, log, blob, cfg)
	if err != nil {
		return nil, err
	}
	return &ReadClient{reader: f, owned: newOwned(f, cfg.Logger)}, nil
}

// engine is what both kinds of runtime can do.
type engine interface {
	Describe(ctx context.Context, name string) (frontier.Description, error)
	Streams(ctx context.Context) ([]StreamInfo, error)
	Snapshot(ctx context.Context, id StreamID) (*indexed.Snapshot, error)
	Listen(ctx context.Context, id StreamID) (*indexed.Snapshot, *indexed.Listener, error)
	Collector() prometheus.Collector
	Shutdown(ctx context.Context) error
}

// shared is the part of a runtime that its owners share.
type shared struct {
	id     RuntimeID
	engine engine
	logger *slog.Logger
	// stopping: somebody has begun to stop the runtime.
	stopping atomic.Bool

	mu     sync.Mutex
	owners int // guarded by mu
}

// owned is one owner's share of a runtime. Handles refer to it, so that a client
// counts as forgotten only when its handles are forgotten too.
type owned struct {
	*shared
	share *share
}

// share is what is left of an owner when it is forgotten.
type share struct {
	of   *shared
	once sync.Once
	// given is set when the share was given up. It is no channel, since cleanups run
	// outside the synctest bubble that made it.
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

// release gives the share up; the last one stops the runtime. Once somebody has begun to
// stop it, release waits for the end.
func (sh *share) release() error {
	switch last := sh.give(); {
	case last:
		return sh.of.shutdown(context.Background())
	case sh.of.stopping.Load():
		_ = sh.of.shutdown(context.Background()) // whoever began it is told
	}
	return nil
}

func (s *shared) shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	return s.engine.Shutdown(ctx)
}

// forgotten runs when a client and all its handles were collected as garbage.
func (sh *share) forgotten() {
	if sh.given.Load() {
		return
	}
	sh.of.logger.Warn("a client was forgotten without Close; giving it up", "runtime", string(sh.of.id))
	// Stopping waits for the log; the runtime's cleanups must not wait for it. The
	// goroutine ends when the runtime has stopped.
	go func() {
		if err := sh.release(); err != nil {
			sh.of.logger.Error("stopping a forgotten runtime failed", "runtime", string(sh.of.id), "error", err)
		}
	}()
}

// Client is one owner of a runtime. It may be used by several goroutines at once.
type Client struct {
	*owned
	writer *indexed.Engine
}

// ID identifies the runtime: clients of the same runtime have the same.
func (o *owned) ID() RuntimeID { return o.id }

// Description returns the frontiers of a stream, as of every command whose call
// returned before.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped.
func (o *owned) Description(ctx context.Context, name string) (frontier.Description, error) {
	return o.engine.Describe(ctx, name)
}

// Streams lists the live streams in order of their ids.
//
// Errors: ErrStopped.
func (o *owned) Streams(ctx context.Context) ([]StreamInfo, error) { return o.engine.Streams(ctx) }

// Collector returns the runtime's metrics, for those who gave no Config.Registerer.
func (o *owned) Collector() prometheus.Collector { return o.engine.Collector() }

// Close gives this owner up; the last one stops the runtime and returns what Stop
// returns. Calls after the first, or after Stop, return nil, once the runtime has stopped
// if that has begun. It waits for the storage: see Shutdown.
func (o *owned) Close() error { return o.share.release() }

// Stop stops the runtime for all owners: it commits what was submitted before,
// refuses what comes after, ends listeners, and releases the location, which can
// be opened again when it returns. It may be called more than once. It waits for the
// storage, however long that takes to answer: see Shutdown.
func (o *owned) Stop() error { return o.Shutdown(context.Background()) }

// Shutdown is Stop, but waits for no longer than the context lasts. If that ends first it
// returns an error that matches the context's and says what is under way. The runtime goes
// on stopping by itself, and releases the location once the storage has answered: with a
// disk that hangs that may be never before the process ends. Another call of Shutdown, Stop
// or Close waits for the same end, and the first two return its error.
func (o *owned) Shutdown(ctx context.Context) error {
	o.share.give()
	return o.shutdown(ctx)
}

// Clone adds an owner to the runtime, which is to be closed as well.
func (c *Client) Clone() *Client { return &Client{owned: c.addOwner(), writer: c.writer} }

// Destroy destroys a stream for good: its data is deleted, and its name is never
// used again. It returns false if that was done before. Snapshots taken before stay
// readable; listeners end with ErrDestroyed.
//
// Errors: ErrUnknownStream, ErrStopped, ErrOutcomeUnknown.
func (c *Client) Destroy(ctx context.Context, name string) (bool, error) {
	return c.writer.Destroy(ctx, name)
}

// Maintain does all outstanding background work now: afterwards everything that was
// acknowledged before the call is in Parquet files that the manifest names, for
// readers of blobs alone and for other programs, and batches are merged as far as
// they will be. Durability does not need it.
//
// Errors: the storage's; ErrStopped; the context's.
func (c *Client) Maintain(ctx context.Context) error { return c.writer.Maintain(ctx) }

// ReadClient is one owner of a read-only runtime. It may be used by several
// goroutines at once.
type ReadClient struct {
	*owned
	reader *indexed.Follower
}

// Clone adds an owner to the runtime, which is to be closed as well.
func (c *ReadClient) Clone() *ReadClient { return &ReadClient{owned: c.addOwner(), reader: c.reader} }

// Refresh brings the runtime up to date with the location now, which it else does
// every Config.FollowInterval and before every read.
func (c *ReadClient) Refresh(ctx context.Context) error { return c.reader.Refresh(ctx) }
