package persist

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/storage"
)

// Chain is a run of commands on one runtime that are on their way together, and of which
// none takes effect if one before it has failed. Compare-and-appends alone do not ensure
// that: if the first one fails, because another writer was there first, a later one may
// find the upper that it expects, of the other's making. The zero value is a chain
// without commands. It is for one goroutine; after a failure begin another one.
type Chain struct {
	last   *indexed.Command
	failed error // why a command could not even be submitted
	// expected is what ExpectUpperOf was given, of the stream called name; "": nothing.
	name     string
	expected frontier.Antichain
}

// ExpectUpperOf makes each command that is added from now on fail with ErrUpperMismatch,
// and what follows it with ErrPrevious, unless the stream of that name has the expected
// upper. A stream that was never made, or was destroyed, has the upper {0}; so a writer
// can rely on that nobody has made it. It replaces what was expected before.
func (c *Chain) ExpectUpperOf(name string, expected frontier.Antichain) {
	c.name, c.expected = name, expected
}

// fail refuses a command, and with it all that would follow.
func (c *Chain) fail(err error) *Future[storage.SeqNo] {
	if c != nil && c.failed == nil {
		c.failed = err
	}
	return failed(err)
}

func (c *Chain) submit(ctx context.Context, to *indexed.Engine, cmd *indexed.Command) *Future[storage.SeqNo] {
	switch {
	case c == nil:
		return submit(ctx, to, cmd)
	case c.failed != nil:
		return failed(fmt.Errorf("tidemark: %w: %w", ErrPrevious, c.failed))
	case c.last != nil:
		//museum:chain-broken
		cmd.Follow(c.last)
	}
	if c.name != "" {
		cmd.ExpectUpperOf(c.name, c.expected)
	}
	c.last = cmd
	return submit(ctx, to, cmd)
}

// CompareAndAppendIn is CompareAndAppend as the next command of a chain; nil is none.
//
// Errors: ErrPrevious if the one before it in the chain has failed; as CompareAndAppend.
func (w *WriteHandle[K, V]) CompareAndAppendIn(ctx context.Context, chain *Chain, updates []Update[K, V], expected, next frontier.Antichain) *Future[storage.SeqNo] {
	if err := w.Err(); err != nil {
		return chain.fail(err)
	}
	var c indexed.Command
	if err := w.addCompareAndAppend(&c, updates, expected, next); err != nil {
		return chain.fail(err)
	}
	return chain.submit(ctx, w.writer, &c)
}

// WriteAtomicIn is WriteAtomic as the next command of a chain; nil is none.
//
// Errors: ErrPrevious if the one before it in the chain has failed; as WriteAtomic.
func (m *MultiWriteHandle) WriteAtomicIn(ctx context.Context, chain *Chain, build func(*AtomicWrite) error) *Future[storage.SeqNo] {
	if err := m.Err(); err != nil {
		return chain.fail(err)
	}
	return atomicIn(ctx, chain, m.writer, &AtomicWrite{runtime: m.owned.id, members: m}, build)
}
