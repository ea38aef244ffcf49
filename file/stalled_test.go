package file

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// A call that waits for a disk that hangs ends with its context, while it hangs. When the
// disk answers, what was given up ends, whoever closes waits for it, and the location is
// whole.
func TestCallsEndWhileTheDiskHangs(t *testing.T) {
	s := sharedDamageStore(t)
	type call = func(ctx context.Context) error
	owner := func(use func(t *testing.T, c *persist.Client) call) func(t *testing.T, m *disk.Disk) (call, func() error) {
		return func(t *testing.T, m *disk.Disk) (call, func() error) {
			c, err := startOwner(m, quietConfig())
			require.NoError(t, err)
			return use(t, c), c.Stop
		}
	}
	follower := func(use func(t *testing.T, c *persist.ReadClient) call) func(t *testing.T, m *disk.Disk) (call, func() error) {
		return func(t *testing.T, m *disk.Disk) (call, func() error) {
			c, err := startFollower(m, quietConfig())
			require.NoError(t, err)
			return use(t, c), c.Stop
		}
	}
	opens := func(open func(ctx context.Context, m *disk.Disk) error) func(t *testing.T, m *disk.Disk) (call, func() error) {
		return func(t *testing.T, m *disk.Disk) (call, func() error) {
			return func(ctx context.Context) error { return open(ctx, m) }, func() error { return nil }
		}
	}
	opensToWrite := opens(func(ctx context.Context, m *disk.Disk) error {
		_, err := Open(ctx, "/db", quietConfig(), withFileSystem(m), withPatience(0))
		return err
	})
	opensToRead := opens(func(ctx context.Context, m *disk.Disk) error {
		_, err := OpenRead(ctx, "/db", quietConfig(), withFileSystem(m), withPatience(0))
		return err
	})
	write := func(t *testing.T, c *persist.Client) *persist.ReadHandle[string, uint64] {
		w, r, err := persist.CreateOrLoad(ctx0, c, "new", codec.String, codec.Uint64)
		require.NoError(t, err)
		_, err = w.Write(ctx0, []rowUpdate{{Key: "a", Diff: 1}}).Wait(ctx0)
		require.NoError(t, err)
		return r
	}
	snapshot := func(t *testing.T, c *persist.Client) *persist.Snapshot[string, uint64] {
		_, r, err := persist.CreateOrLoad(ctx0, c, "s", codec.String, codec.Uint64)
		require.NoError(t, err)
		snap, err := r.Snapshot(ctx0)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, snap.Close()) })
		return snap
	}
	maintain := owner(func(t *testing.T, c *persist.Client) call {
		write(t, c)
		return c.Maintain
	})
	streams := follower(func(_ *testing.T, c *persist.ReadClient) call {
		return func(ctx context.Context) error { _, err := c.Streams(ctx); return err }
	})
	in := func(op, prefix string) func(o, name string) bool {
		return func(o, name string) bool { return o == op && strings.HasPrefix(name, prefix) }
	}
	for _, row := range []struct {
		name string
		at   func(op, name string) bool
		call func(t *testing.T, m *disk.Disk) (call, func() error)
	}{
		{"a snapshot", in("read", "/db/blob/data/batch"), owner(func(t *testing.T, c *persist.Client) call {
			snap := snapshot(t, c)
			return func(ctx context.Context) error { _, err := snap.ReadToEnd(ctx); return err }
		})},
		{"a sorted snapshot", in("open", "/db/blob/data/batch"), owner(func(t *testing.T, c *persist.Client) call {
			snap := snapshot(t, c)
			return func(ctx context.Context) (err error) {
				for _, e := range snap.Consolidated(ctx) {
					err = e
				}
				return err
			}
		})},
		{"a listener that reads the log", in("read", "/db/log"), owner(func(t *testing.T, c *persist.Client) call {
			snap, l, err := write(t, c).Listen(ctx0)
			require.NoError(t, err)
			require.NoError(t, snap.Close())
			t.Cleanup(func() { require.NoError(t, l.Close()) })
			write(t, c)
			return func(ctx context.Context) error { _, err := l.Next(ctx); return err }
		})},
		{"Maintain, a batch", in("sync", "/db/blob/tmp"), maintain},
		{"Maintain, the manifest", in("rename", "/db/blob/data/manifest"), maintain},
		{"a follower's Streams, the manifest", in("open", "/db/blob/data/manifest"), streams},
		{"a follower's Streams, the log", in("read", "/db/log"), streams},
		{"a follower's snapshot", in("tryLockByte", "/db/blob/pins"), follower(func(t *testing.T, c *persist.ReadClient) call {
			r, err := persist.Load(ctx0, c, "s", codec.String, codec.Uint64)
			require.NoError(t, err)
			return func(ctx context.Context) error { _, err := r.Snapshot(ctx); return err }
		})},
		{"Open, the lock", in("lock", "/db/blob"), opensToWrite},
		{"Open, the log", in("read", "/db/log/0"), opensToWrite},
		{"Open, the manifest", in("read", "/db/blob/data/manifest"), opensToWrite},
		{"Open, what settles it", in("syncDir", "/db/blob/data"), opensToWrite},
		{"OpenRead, the log", in("read", "/db/log"), opensToRead},
		{"OpenRead, the manifest", in("read", "/db/blob/data/manifest"), opensToRead},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := s.m.Clone()
			call, stop := row.call(t, m)
			reached, letGo := m.Stall(row.at)
			ctx, cancel := context.WithCancel(ctx0)
			answer := make(chan error, 1)
			go func() { answer <- call(ctx) }()
			<-reached
			cancel()
			err := <-answer // while it hangs
			require.ErrorIs(t, err, context.Canceled)
			letGo()
			require.NoError(t, stop())
			openings.wait()
			require.Zero(t, m.Handles(), "files are left open")
			got, _, err := s.own(m, true)
			require.NoError(t, err)
			delete(got, "new")
			require.Equal(t, s.want, got)
		})
	}
}

// Operations that were given up are bounded: who comes when there are too many begins none.
func TestOperationsUnderWayAreBounded(t *testing.T) {
	m := disk.New()
	b, err := blobOn(m)
	require.NoError(t, err)
	_, err = b.Set(ctx0, "key", []byte("value"))
	require.NoError(t, err)
	reached, letGo := m.Stall(func(op, _ string) bool { return op == "read" })
	ctx, cancel := context.WithCancel(ctx0)
	answer := make(chan error, 1)
	get := func() { _, _, err := b.Get(ctx, "key"); answer <- err }
	go get()
	<-reached
	cancel()
	require.ErrorIs(t, <-answer, errNoAnswer)

	require.True(t, b.reads.slots.TryAcquire(maxUnderWay-1))
	require.False(t, b.reads.slots.TryAcquire(1), "what was given up is not under way")
	get()
	err = <-answer
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, errNoAnswer)
	b.reads.slots.Release(maxUnderWay - 1)

	letGo()
	require.NoError(t, b.Close())
	require.Zero(t, m.Handles())
	_, _, err = b.Get(ctx0, "key")
	require.ErrorIs(t, err, storage.ErrClosed)
}
