package file_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// small are segments that change every few appends.
var small = file.SegmentSize(file.MinSegmentSize, 2*file.MinSegmentSize)

// TestStorageCycles: logs, blobs and their readers, closed and abandoned half-way in
// every state: a file being prepared, a segment that was truncated under a reader, a
// blob that is pinned, an iteration that was broken off.
func TestStorageCycles(t *testing.T) {
	dir := t.TempDir()
	payload := [][]byte{bytes.Repeat([]byte("x"), file.MinSegmentSize/3)}
	ctx := t.Context()
	resources.TierCycles(t, "logs and blobs, opened and closed", func() {
		log, err := file.NewLog(dir, small)
		require.NoError(t, err)
		reader, err := file.NewLogReader(dir)
		require.NoError(t, err)
		bounds, err := log.Bounds(ctx)
		require.NoError(t, err)
		last := bounds.Last
		for range 8 { // so that files are made, left, and made into segments again
			at, err := log.Append(ctx, last, payload)
			require.NoError(t, err)
			last = at[0]
		}
		for _, r := range []storage.LogReader{log, reader} {
			for _, err := range r.Read(ctx, bounds.After) {
				require.NoError(t, err)
				break
			}
		}
		require.NoError(t, log.Truncate(ctx, last))
		require.NoError(t, reader.Close())
		require.NoError(t, log.Close())

		blob, err := file.NewBlob(dir)
		require.NoError(t, err)
		pins, err := file.NewBlobReader(dir)
		require.NoError(t, err)
		_, err = blob.Set(ctx, "key", payload[0])
		require.NoError(t, err)
		_, err = pins.Pin(ctx, "key") // and never released: closing the reader does it
		require.NoError(t, err)
		require.NoError(t, blob.Delete(ctx, "key"))
		_, _, err = pins.Get(ctx, "key")
		require.NoError(t, err, "the file is open still")
		require.NoError(t, pins.Close())
		require.NoError(t, blob.Close())
	})
}

// TestFailedOpenCycles: whatever an open finds wrong, no file stays open and no lock
// held.
func TestFailedOpenOfFilesCycles(t *testing.T) {
	ctx := t.Context()
	open := func(dir string) error {
		c, err := file.Open(ctx, dir, persist.Config{}, small)
		if err == nil {
			err = c.Stop()
		}
		return err
	}
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  error
	}{
		"locked": {func(t *testing.T, dir string) {
			c, err := file.Open(ctx, dir, persist.Config{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.Stop()) })
		}, persist.ErrLocked},
		"blobs locked": {func(t *testing.T, dir string) {
			b, err := file.NewBlob(dir)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, b.Close()) })
		}, persist.ErrLocked},
		"damaged segment": {func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
			require.NoError(t, err)
			require.NotEmpty(t, all)
			b, err := os.ReadFile(all[0])
			require.NoError(t, err)
			copy(b, "nonsense nonsense")
			require.NoError(t, os.WriteFile(all[0], b, 0o644))
		}, persist.ErrCorrupt},
		"damaged manifest": {func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "blob", "data", "manifest*"))
			require.NoError(t, err)
			require.NotEmpty(t, all)
			for _, name := range all {
				require.NoError(t, os.Truncate(name, 3))
			}
		}, persist.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c, err := file.Open(ctx, dir, persist.Config{}, small)
			require.NoError(t, err)
			w, _, err := persist.CreateOrLoad(ctx, c, "s", codec.String, codec.String)
			require.NoError(t, err)
			_, err = w.Write(ctx, []persist.Update[string, string]{{Key: "k", Diff: 1}}).Wait(ctx)
			require.NoError(t, err)
			require.NoError(t, c.Maintain(ctx))
			require.NoError(t, c.Stop())
			tt.spoil(t, dir)
			resources.TierCycles(t, "failed opens of files", func() {
				require.ErrorIs(t, open(dir), tt.want)
				if errors.Is(tt.want, persist.ErrCorrupt) {
					c, err := file.OpenRead(ctx, dir, persist.Config{})
					if err == nil { // a reader may not need what is damaged
						err = c.Stop()
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, persist.ErrCorrupt)
				}
			})
		})
	}
	t.Run("not a directory", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(name, nil, 0o644))
		resources.TierCycles(t, "failed opens of files", func() { require.Error(t, open(name)) })
	})
	t.Run("cancelled", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, open(dir))
		ended, cancel := context.WithCancel(ctx)
		cancel()
		resources.TierCycles(t, "failed opens of files", func() {
			_, err := file.Open(ended, dir, persist.Config{})
			require.ErrorIs(t, err, context.Canceled)
			_, err = file.OpenRead(ended, dir, persist.Config{})
			require.ErrorIs(t, err, context.Canceled)
		})
		require.NoError(t, open(dir), "the lock was given back")
	})
}

// TestFollowerCycles: followers come and go while the owner replaces what they have
// pinned; the files they had open are closed, also of snapshots that nobody closed.
func TestFollowerCycles(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	cfg := persist.Config{FlushInterval: -1, PartBytes: 256, CacheSizeLimit: 1, FollowInterval: time.Millisecond}
	upper := uint64(0)
	resources.TierCycles(t, "followers, opened and closed", func() {
		// The owner is a part of the cycle: how many files it has open goes up and down.
		c, err := file.Open(ctx, dir, cfg, small)
		require.NoError(t, err)
		w, _, err := persist.CreateOrLoad(ctx, c, "s", codec.String, codec.String)
		require.NoError(t, err)
		follower, err := file.OpenRead(ctx, dir, cfg)
		require.NoError(t, err)
		r, err := persist.Load(ctx, follower, "s", codec.String, codec.String)
		require.NoError(t, err)
		_, err = r.Snapshot(ctx)
		require.NoError(t, err)
		_, l, err := r.Listen(ctx)
		require.NoError(t, err)
		upper++
		w.Write(ctx, []persist.Update[string, string]{{Key: "k", Time: upper - 1, Diff: 1}})
		w.Seal(ctx, upper)
		_, err = w.AllowCompaction(ctx, frontier.At(upper-1)).Wait(ctx)
		require.NoError(t, err)
		_, err = l.Next(ctx)
		require.NoError(t, err)
		require.NoError(t, c.Maintain(ctx))
		require.NoError(t, follower.Stop())
		require.NoError(t, c.Stop())
	})
}
