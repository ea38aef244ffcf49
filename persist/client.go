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

// Start opens the location that log and blob make up, and starts a runtime on it. It takes
// ownership of both: they are closed when the runtime stops, or when Start fails. Packages
// file and mem call Start for you.
//
// Errors: ErrCorrupt; ErrInvalid for a config out of range; the storage's own.
func Start(ctx context.Context, log storage.Log, blob storage.Blob, cfg Config) (*Client, error) {
	e, err := indexed.Open(ctx, log, blob, indexed.Config(cfg))
	if err != nil {
		return nil, translate(err)
	}
	return &Client{writer: e, owned: newOwned(e, cfg.Logger)}, nil
}

// StartRead starts a read-only runtime on blobs alone. It sees what the owner of the
// location has moved to blobs (see Config.FlushInterval and Client.Maintain). It looks for
// more every Config.FollowInterval, and it cannot listen. Prefer StartFollow where the log
// can be read.
//
// StartRead takes no lock and writes nothing. A location that was never written is empty.
// It takes ownership of blob, also when it fails.
//
// Errors: as Start.
func StartRead(ctx context.Context, blob storage.BlobReader, cfg Config) (*ReadClient, error) {
	return StartFollow(ctx, nil, blob, cfg)
}

// StartFollow starts a read-only runtime that follows the owner of a location through the
// log. Every read reflects what was acknowledged before it, and listeners get what the
// owner writes. In all else it is as StartRead.
func StartFollow(ctx context.Context, log storage.LogReader, blob storage.BlobReader, cfg Config) (*ReadClient, error) {
	f, err := indexed.OpenRead(ctx, log, blob, indexed.Config(cfg))
	if err != nil {
		return nil, translate(err)
	}
	return &ReadClient{reader: f, owned: newOwned(f, cfg.Logger)}, nil
}

// Client is one owner of a runtime that writes to a location. Several goroutines may use it
// at once. Close it. A client that is forgotten, with all of its handles, is closed when it
// is collected as garbage, with a logged warning.
type Client struct {
	owned  *owned
	writer *indexed.Engine
}

// ID identifies the runtime. Clients of the same runtime have the same ID.
func (c *Client) ID() RuntimeID { return c.owned.id }

// Clone adds an owner to the runtime. Close the client that it returns, too.
func (c *Client) Clone() *Client { return &Client{owned: c.owned.addOwner(), writer: c.writer} }

// Close gives this owner up. If it is the last owner, Close stops the runtime and returns
// what Stop returns. Otherwise Close returns nil.
//
// Close may be called more than once, also after Stop. Calls after the first return nil. If
// the runtime is stopping, they first wait until it has stopped. A Close that stops the
// runtime waits for the storage; see Shutdown.
func (c *Client) Close() error { return c.owned.share.release() }

// Stop stops the runtime for all owners. It commits what was submitted before, refuses
// later calls with ErrStopped, ends listeners, and releases the location. When Stop
// returns, the location can be opened again. Stop may be called more than once.
//
// Stop waits for the storage, however long that takes to answer: see Shutdown.
func (c *Client) Stop() error { return c.Shutdown(context.Background()) }

// Shutdown is Stop with a limit: it waits no longer than the context lasts. If the context
// ends first, Shutdown returns an error that matches the context's error and says what is
// under way. The runtime goes on stopping by itself. It releases the location when the
// storage has answered; with a disk that hangs, this may never happen before the process
// ends. A later Shutdown, Stop or Close waits for the same end. Shutdown and Stop return
// its error.
func (c *Client) Shutdown(ctx context.Context) error { return c.owned.giveUp(ctx) }

// Description returns the frontiers of a stream. They reflect every command whose call
// returned before.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped; the context's.
func (c *Client) Description(ctx context.Context, name string) (frontier.Description, error) {
	return c.owned.describe(ctx, name)
}

// Streams lists the live streams in order of their ids. It reflects every command whose
// call returned before.
//
// Errors: ErrStopped; the context's.
func (c *Client) Streams(ctx context.Context) ([]StreamInfo, error) { return c.owned.streams(ctx) }

// Collector returns the metrics of the runtime. It is for programs that set no
// Config.Registerer.
func (c *Client) Collector() prometheus.Collector { return c.owned.engine.Collector() }

// Destroy destroys a stream for good: its data is deleted, and its name is never used
// again. It returns false if the stream was destroyed before. Snapshots taken before stay
// readable. Listeners end with ErrDestroyed.
//
// Errors: ErrUnknownStream, ErrStopped, ErrOutcomeUnknown; the context's; those of the
// storage that match ErrNoEffect.
func (c *Client) Destroy(ctx context.Context, name string) (bool, error) {
	destroyed, err := c.writer.Destroy(ctx, name)
	return destroyed, translate(err)
}

// Maintain does all outstanding background work now. Afterwards everything that was
// acknowledged before the call is in Parquet files that the manifest names, and batches are
// merged as far as they will be. So readers of blobs alone, and other programs, see it.
// Durability does not need Maintain.
//
// After an error of the storage, Maintain still deletes what is not needed any more, unless
// another process owns the location now. So on a full disk the next call may succeed.
//
// Errors: the storage's; ErrStopped; the context's.
func (c *Client) Maintain(ctx context.Context) error { return translate(c.writer.Maintain(ctx)) }

// ReadClient is one owner of a read-only runtime. Several goroutines may use it at once.
// Close it, as a Client.
type ReadClient struct {
	owned  *owned
	reader *indexed.Follower
}

// ID identifies the runtime. Clients of the same runtime have the same ID.
func (c *ReadClient) ID() RuntimeID { return c.owned.id }

// Clone adds an owner to the runtime. Close the client that it returns, too.
func (c *ReadClient) Clone() *ReadClient {
	return &ReadClient{owned: c.owned.addOwner(), reader: c.reader}
}

// Close gives this owner up. If it is the last owner, Close stops the runtime and returns
// what Stop returns. Otherwise Close returns nil.
//
// Close may be called more than once, also after Stop. Calls after the first return nil. If
// the runtime is stopping, they first wait until it has stopped. A Close that stops the
// runtime waits for the storage; see Shutdown.
func (c *ReadClient) Close() error { return c.owned.share.release() }

// Stop stops the runtime for all owners. It ends listeners and closes the storage that the
// runtime reads. Later calls on a handle fail with ErrStopped. Stop may be called more than
// once.
//
// Stop waits for the storage, however long that takes to answer: see Shutdown.
func (c *ReadClient) Stop() error { return c.Shutdown(context.Background()) }

// Shutdown is Stop with a limit: it waits no longer than the context lasts. See
// Client.Shutdown.
func (c *ReadClient) Shutdown(ctx context.Context) error { return c.owned.giveUp(ctx) }

// Description returns the frontiers of a stream. They reflect everything that was
// acknowledged to the writer before the call. Without the log of the writer (StartRead),
// they reflect what the writer has moved to blobs.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrStopped, ErrCorrupt; the storage's and the
// context's.
func (c *ReadClient) Description(ctx context.Context, name string) (frontier.Description, error) {
	return c.owned.describe(ctx, name)
}

// Streams lists the live streams in order of their ids. It reflects the same moment as
// Description.
//
// Errors: ErrStopped, ErrCorrupt; the storage's and the context's.
func (c *ReadClient) Streams(ctx context.Context) ([]StreamInfo, error) { return c.owned.streams(ctx) }

// Collector returns the metrics of the runtime. It is for programs that set no
// Config.Registerer.
func (c *ReadClient) Collector() prometheus.Collector { return c.owned.engine.Collector() }

// Refresh brings the runtime up to date with the location now. Without it, the runtime does
// so every Config.FollowInterval, and before every read.
//
// Errors: ErrStopped, ErrCorrupt; the storage's and the context's.
func (c *ReadClient) Refresh(ctx context.Context) error { return translate(c.reader.Refresh(ctx)) }
