package persist

import (
	"context"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/storage"
)

// Chain is a run of commands on one runtime that are on their way together. If one of them
// fails, none after it takes effect.
//
// Compare-and-appends alone do not ensure that. If the first one fails because another
// writer was faster, the upper may become what a later one expects, by the work of that
// writer. The later one would then succeed.
//
// The zero value is a chain without commands. One goroutine uses it. After a failure begin
// a new one.
type Chain struct {
	last   *indexed.Command
	failed error // why a command could not even be submitted
	// name and expected are the arguments of ExpectUpperOf. A name "" expects nothing.
	name     string
	expected frontier.Antichain
}

// ExpectUpperOf sets a condition for each command that is added from now on: the stream of
// that name must have the expected upper. Otherwise the command fails with
// ErrUpperMismatch, and the commands after it fail with ErrPrevious. A stream that was
// never made, or was destroyed, has the upper {0}. So a writer can make sure that nobody
// has made the stream. A second call replaces the condition.
func (c *Chain) ExpectUpperOf(name string, expected frontier.Antichain) {
	c.name, c.expected = name, expected
}

// fail refuses a command and all commands after it.
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

// CompareAndAppendIn is CompareAndAppend as the next command of a chain. A nil chain is no
// chain.
//
// Errors: ErrPrevious if the command before it in the chain has failed; as
// CompareAndAppend.
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

// WriteAtomicIn is WriteAtomic as the next command of a chain. A nil chain is no chain.
//
// Errors: ErrPrevious if the command before it in the chain has failed; as WriteAtomic.
func (m *MultiWriteHandle) WriteAtomicIn(ctx context.Context, chain *Chain, build func(*AtomicWrite) error) *Future[storage.SeqNo] {
	if err := m.Err(); err != nil {
		return chain.fail(err)
	}
	return atomicIn(ctx, chain, m.writer, &AtomicWrite{runtime: m.owned.id, members: m}, build)
}
