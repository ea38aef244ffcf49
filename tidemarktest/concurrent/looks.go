package concurrent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tidemark-go/tidemark/persist"
)

// snapshot takes and reads a snapshot, at the owner or a follower.
func (c *client) snapshot(ctx context.Context) {
	if read, ok := c.look(ctx, c.rng, c.somewhere(), c.id, c.rng.IntN(c.Streams)); ok {
		c.addRead(read)
	}
}

// somewhere draws a follower, or nil for the owner.
func (c *client) somewhere() *follower {
	if n := len(c.followers); n > 0 && c.rng.IntN(2) == 0 {
		return c.followers[c.rng.IntN(n)]
	}
	return nil
}

// look takes and reads a snapshot.
func (r *run) look(ctx context.Context, rng *rand.Rand, f *follower, id, stream int) (Read, bool) {
	src, err := r.source(ctx, f, stream)
	if err != nil {
		r.failed("find a stream", err)
		return Read{}, false
	}
	read := Read{Stream: r.streams[stream], Reader: f.named(id), Client: id, Follower: f != nil, Call: r.tick()}
	s, err := src.Snapshot(ctx)
	read.Return = r.tick()
	if err != nil {
		r.failed("snapshot", err)
		if errors.Is(err, persist.ErrStopped) || errors.Is(err, persist.ErrClosed) {
			src.lost(ctx)
		}
		return Read{}, false
	}
	defer func() { _ = s.Close() }()
	if err := read.take(ctx, rng, s); err != nil {
		r.failed("read a snapshot", err)
		return Read{}, false
	}
	return read, true
}

// named is the name of a client that reads at the follower, or at the owner if f is nil.
func (f *follower) named(id int) string {
	if f == nil {
		return fmt.Sprintf("%d at the owner", id)
	}
	return fmt.Sprintf("%d at %s", id, f.name)
}

// take reads a snapshot.
func (read *Read) take(ctx context.Context, rng *rand.Rand, s *snapshot) (err error) {
	read.SeqNo, read.Upper, read.Since = s.SeqNo(), s.Upper(), s.Since()
	read.Updates, err = contents(ctx, rng, s)
	return err
}

// contents reads a snapshot in one of two ways.
func contents(ctx context.Context, rng *rand.Rand, s *snapshot) ([]Update, error) {
	if rng.IntN(2) == 0 {
		return s.ReadToEnd(ctx)
	}
	var updates []Update
	for u, err := range s.All(ctx) {
		if err != nil {
			return nil, err
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// describe looks at the frontiers, at the owner or at a follower.
func (c *client) describe(ctx context.Context) {
	f, stream := c.somewhere(), c.rng.IntN(c.Streams)
	src, err := c.source(ctx, f, stream)
	if err != nil {
		c.failed("find a stream", err)
		return
	}
	read := Read{Stream: c.streams[stream], Reader: f.named(c.id), Client: c.id, Follower: f != nil, FrontiersOnly: true, Call: c.tick()}
	d, err := src.Description(ctx)
	read.Return = c.tick()
	if err != nil {
		c.failed("description", err)
		if errors.Is(err, persist.ErrStopped) || errors.Is(err, persist.ErrClosed) {
			src.lost(ctx)
		}
		return
	}
	read.Upper, read.Since = d.Upper, d.Since
	c.addRead(read)
}

// lookOnceMore takes two snapshots of every stream at every runtime.
func (r *run) lookOnceMore(ctx context.Context) {
	rng := r.rng("last", 0)
	for range 2 {
		for _, f := range append([]*follower{nil}, r.followers...) {
			for stream := range r.streams {
				if read, ok := r.look(ctx, rng, f, r.Writers+r.Listeners, stream); ok {
					r.addRead(read)
				}
			}
		}
	}
}
