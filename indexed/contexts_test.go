package indexed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/storage"
)

// lookedAt is a context that ends when it is looked at for the n-th time, by Err or Done.
type lookedAt struct {
	context.Context
	n    atomic.Int64
	once sync.Once
	done chan struct{}
}

func endsAtLook(ctx context.Context, n int) *lookedAt {
	c := &lookedAt{Context: ctx, done: make(chan struct{})}
	c.n.Store(int64(n))
	return c
}

func (c *lookedAt) Done() <-chan struct{} {
	if c.n.Add(-1) <= 0 {
		c.once.Do(func() { close(c.done) })
	}
	return c.done
}

func (c *lookedAt) Err() error {
	select {
	case <-c.Done():
		return context.Canceled
	default:
		return nil
	}
}

// Whenever the context of a call ends, the call gives back what it took: room for updates,
// turns, snapshots and listeners.
func TestContextsEndAtEveryLook(t *testing.T) {
	cfg := still()
	cfg.MaxTailBytes = 64 << 10
	val := strings.Repeat("x", 10<<10)
	n := 0
	for name, call := range map[string]func(ctx context.Context, f *fixture, id indexed.StreamID) error{
		"write": func(ctx context.Context, f *fixture, id indexed.StreamID) error {
			var c indexed.Command
			c.Write(id, columns(up(val, 1)))
			_, err := f.Submit(ctx, &c).Wait(f.ctx)
			return err
		},
		"register": func(ctx context.Context, f *fixture, _ indexed.StreamID) error {
			n++
			_, err := f.Register(ctx, fmt.Sprint(n), "k", "v")
			return err
		},
		"destroy": func(ctx context.Context, f *fixture, _ indexed.StreamID) error {
			n++
			f.register(fmt.Sprint(n))
			_, err := f.Destroy(ctx, fmt.Sprint(n))
			return err
		},
		"describe": func(ctx context.Context, f *fixture, _ indexed.StreamID) error {
			_, err := f.Describe(ctx, "s")
			return err
		},
		"read": func(ctx context.Context, f *fixture, id indexed.StreamID) error {
			s, err := f.Snapshot(ctx, id)
			if err != nil {
				return err
			}
			for _, err := range s.Consolidated(ctx) {
				if err != nil {
					return errors.Join(err, s.Close())
				}
			}
			return s.Close()
		},
		"listen": func(ctx context.Context, f *fixture, id indexed.StreamID) error {
			s, l, err := f.Listen(ctx, id)
			if err != nil {
				return err
			}
			f.write(id, up("heard", 1))
			_, err = l.Next(ctx)
			return errors.Join(err, l.Close(), s.Close())
		},
		"round":    func(ctx context.Context, f *fixture, _ indexed.StreamID) error { return f.Round(ctx, true) },
		"maintain": func(ctx context.Context, f *fixture, _ indexed.StreamID) error { return f.Maintain(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, cfg)
			id := f.register("s")
			for looks, passed := 1, 0; passed < 3; looks++ {
				require.Less(t, looks, 1000)
				f.write(id, up("x", uint64(looks)))
				err := call(endsAtLook(f.ctx, looks), f, id)
				if err == nil {
					passed++
				} else {
					require.ErrorIs(t, err, context.Canceled)
					passed = 0
				}
				f.round(true)
				_, err = f.Describe(f.ctx, "s") // after all that was queued
				require.NoError(t, err)
				require.NoError(t, f.CheckIdle(), "ended at look %d", looks)
			}
			f.seal(id, frontier.At(1000))
			require.NoError(t, f.Maintain(f.ctx))
		})
	}
}

// The future of a command that was refused before it was encoded keeps nothing of it.
func TestRefusedCommandsKeepNothing(t *testing.T) {
	const commands, size = 32, 1 << 20
	f := newFixture(t, still())
	id := f.register("s")
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	before := resources.LiveHeap(t)
	var futures []*indexed.Future[storage.SeqNo]
	for range commands {
		var b indexed.ColumnsBuilder
		require.NoError(t, b.Add([]byte("k"), make([]byte, size), 1, 1))
		c := new(indexed.Command)
		c.WriteFrom(id, &b)
		futures = append(futures, f.Submit(ended, c))
	}
	require.Less(t, resources.LiveHeap(t)-before, int64(size))
	for _, future := range futures {
		_, err := future.Wait(f.ctx)
		require.ErrorIs(t, err, context.Canceled)
	}
}
