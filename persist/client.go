package persist

import (
	"context"

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
	e, err := indexed.Open(ctx, log, blob, indexed.Config(cfg))
	if err != nil {
		return nil, translate(err)
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
	f, err := indexed.OpenRead(ctx, log, blob, indexed.Config(cfg))
	if err != nil {
		return nil, translate(err)
	}
	return &ReadClient{reader: f, owned: newOwned(f, cfg.Logger)}, nil
}

// Client is one owner of a runtime that writes to a location. It may be used by several
// goroutines at once. It is to be closed; one that is forgotten, with all of its handles, is
// closed with a logged warning when it is collected as garbage.
type Client struct {
	owned  *owned
	writer *indexed.Engine
}

// ID identifies the runtime: clients of the same runtime have the same.
func (c *Client) ID() RuntimeID { return c.owned.id }

// Clone adds an owner to the runtime. The client that it returns is to be closed as well.
func (c *Client) Clone() *Client { return &Client{owned: c.owned.addOwner(), writer: c.writer} }

// Close gives this owner up. The last owner's Close stops the runtime, and returns what Stop
// returns; that of others returns nil. It may be called more than once, also after Stop: a
// call after the first returns nil, once the runtime has stopped if that has begun. A Close
// that stops the runtime waits for the storage; see Shutdown.
func (c *Client) Close() error { return c.owned.share.release() }

// Stop stops the runtime for all owners. It commits what was submitted before, refuses what
// comes after with ErrStopped, ends listeners, and releases the location, which can be
// opened again when Stop returns. It may be called more than once.
//
// It waits for the storage, however long that takes to answer: see Shutdown.
func (c *Client) Stop() error { return c.Shutdown(context.Background()) }

// Shutdown is Stop, but waits for no longer than the context lasts. If that ends first it
// returns an error that matches the context's and says what is under way. The runtime then
// goes on stopping by itself, and releases the location once the storage has answered; with
// a disk that hangs that may be never before the process ends. A later call of Shutdown,
// Stop or Close waits for the same end; the first two return its error.
func (c *Client) Shutdown(ctx context.Context) error { return c.owned.giveUp(ctx) }

// Description returns the frontiers of a stream, as of every command whose call returned
// before.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped; the context's.
func (c *Client) Description(ctx context.Context, name string) (frontier.Description, error) {
	return c.owned.describe(ctx, name)
}

// Streams lists the live streams in order of their ids, as of every command whose call
// returned before.
//
// Errors: ErrStopped; the context's.
func (c *Client) Streams(ctx context.Context) ([]StreamInfo, error) { return c.owned.streams(ctx) }

// Collector returns the metrics of the runtime, for programs that give no
// Config.Registerer.
func (c *Client) Collector() prometheus.Collector { return c.owned.engine.Collector() }

// Destroy destroys a stream for good: its data is deleted, and its name is never used
// again. It returns false if that was done before. Snapshots taken before stay readable;
// listeners end with ErrDestroyed.
//
// Errors: ErrUnknownStream, ErrStopped, ErrOutcomeUnknown; the context's; those of the
// storage that match ErrNoEffect.
func (c *Client) Destroy(ctx context.Context, name string) (bool, error) {
	destroyed, err := c.writer.Destroy(ctx, name)
	return destroyed, translate(err)
}

// Maintain does all outstanding background work now. Afterwards everything that was
// acknowledged before the call is in Parquet files that the manifest names, for readers of
// blobs alone and for other programs, and batches are merged as far as they will be.
// Durability does not need it.
//
// Errors: the storage's; ErrStopped; the context's.
func (c *Client) Maintain(ctx context.Context) error { return translate(c.writer.Maintain(ctx)) }

// ReadClient is one owner of a read-only runtime. It may be used by several goroutines at
// once. It is to be closed, as a Client is.
type ReadClient struct {
	owned  *owned
	reader *indexed.Follower
}

// ID identifies the runtime: clients of the same runtime have the same.
func (c *ReadClient) ID() RuntimeID { return c.owned.id }

// Clone adds an owner to the runtime. The client that it returns is to be closed as well.
func (c *ReadClient) Clone() *ReadClient {
	return &ReadClient{owned: c.owned.addOwner(), reader: c.reader}
}

// Close gives this owner up. The last owner's Close stops the runtime, and returns what Stop
// returns; that of others returns nil. It may be called more than once, also after Stop: a
// call after the first returns nil, once the runtime has stopped if that has begun. A Close
// that stops the runtime waits for the storage; see Shutdown.
func (c *ReadClient) Close() error { return c.owned.share.release() }

// Stop stops the runtime for all owners. It ends listeners and closes what it reads from; a
// later call on a handle fails with ErrStopped. It may be called more than once.
//
// It waits for the storage, however long that takes to answer: see Shutdown.
func (c *ReadClient) Stop() error { return c.Shutdown(context.Background()) }

// Shutdown is Stop, but waits for no longer than the context lasts: see Client.Shutdown.
func (c *ReadClient) Shutdown(ctx context.Context) error { return c.owned.giveUp(ctx) }

// Description returns the frontiers of a stream, as of everything that was acknowledged to
// the writer before the call, or, without its log (StartRead), as of what it has moved to
// blobs.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped, ErrCorrupt; the storage's and the
// context's.
func (c *ReadClient) Description(ctx context.Context, name string) (frontier.Description, error) {
	return c.owned.describe(ctx, name)
}

// Streams lists the live streams in order of their ids, as of the same moment as
// Description.
//
// Errors: ErrStopped, ErrCorrupt; the storage's and the context's.
func (c *ReadClient) Streams(ctx context.Context) ([]StreamInfo, error) { return c.owned.streams(ctx) }

// Collector returns the metrics of the runtime, for programs that give no
// Config.Registerer.
func (c *ReadClient) Collector() prometheus.Collector { return c.owned.engine.Collector() }

// Refresh brings the runtime up to date with the location now. Otherwise that happens every
// Config.FollowInterval, and before every read.
//
// Errors: ErrStopped, ErrCorrupt; the storage's and the context's.
func (c *ReadClient) Refresh(ctx context.Context) error { return translate(c.reader.Refresh(ctx)) }
