package file_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// A follower's snapshot of hundreds of parts needs no descriptor for each of them, and
// stays readable after the owner has deleted them all. Then they go, too.
func TestFollowersSnapshotsNeedFewDescriptors(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	cfg := persist.Config{FlushInterval: -1, PartBytes: 1, CacheSizeLimit: 1}
	owner, err := file.Open(ctx, dir, cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, owner.Close()) }()
	w, _, err := persist.CreateOrLoad(ctx, owner, "s", codec.String, codec.Uint64)
	require.NoError(t, err)
	const parts = 700
	var updates []persist.Update[string, uint64]
	for i := range parts {
		updates = append(updates, persist.Update[string, uint64]{Key: fmt.Sprintf("%04d%s", i, strings.Repeat("x", 2000)), Val: 1, Time: 1, Diff: 1})
	}
	_, err = w.CompareAndAppend(ctx, updates, frontier.At(0), frontier.At(2)).Wait(ctx)
	require.NoError(t, err)
	require.NoError(t, owner.Maintain(ctx))
	pieces := func(where string) int {
		names, err := filepath.Glob(filepath.Join(dir, "blob", where, "*"))
		require.NoError(t, err)
		return len(names)
	}
	require.Greater(t, pieces("data"), 640)

	follower, err := file.OpenRead(ctx, dir, cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, follower.Close()) }()
	r, err := persist.Load(ctx, follower, "s", codec.String, codec.Uint64)
	require.NoError(t, err)
	before := openFiles(t)
	snap, err := r.Snapshot(ctx)
	require.NoError(t, err)
	require.LessOrEqual(t, openFiles(t), before+4)
	require.Less(t, locksOf(t, filepath.Join(dir, "blob", "pins")), 20)
	other, err := r.Snapshot(ctx) // of the same parts
	require.NoError(t, err)
	require.NoError(t, other.Close())

	_, err = owner.Destroy(ctx, "s")
	require.NoError(t, err)
	require.NoError(t, owner.Maintain(ctx))
	require.Greater(t, pieces("pinned"), 640)
	require.Less(t, pieces("data"), 100)
	got, err := snap.ReadToEnd(ctx)
	require.NoError(t, err)
	require.Len(t, got, parts)
	require.LessOrEqual(t, openFiles(t), before+4)

	require.NoError(t, snap.Close())
	w, _, err = persist.CreateOrLoad(ctx, owner, "other", codec.String, codec.Uint64)
	require.NoError(t, err)
	for range 400 { // each blob that is written makes the owner look at a few
		if pieces("pinned") == 0 {
			break
		}
		_, err := w.Write(ctx, updates[:4]).Wait(ctx)
		require.NoError(t, err)
		require.NoError(t, owner.Maintain(ctx))
	}
	require.Zero(t, pieces("pinned"))
}

// A reader may be closed while others pin with it; the race detector watches.
func TestPinsBesideClose(t *testing.T) {
	dir := t.TempDir()
	blob, err := file.NewBlob(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, blob.Close()) }()
	_, err = blob.Set(t.Context(), "k1", []byte("v"))
	require.NoError(t, err)
	for range 20 {
		r, err := file.NewBlobReader(dir)
		require.NoError(t, err)
		var pinning sync.WaitGroup
		begun := make(chan struct{}, 4)
		for range cap(begun) {
			pinning.Go(func() {
				for i := 0; ; i++ {
					release, err := r.Pin(t.Context(), "k1")
					if i == 0 {
						begun <- struct{}{}
					}
					if err != nil {
						assert.ErrorIs(t, err, storage.ErrClosed)
						return
					}
					release()
				}
			})
		}
		for range cap(begun) {
			<-begun
		}
		require.NoError(t, r.Close())
		pinning.Wait()
	}
}

// locksOf counts the locks of a file that the system has in its list.
func locksOf(t *testing.T, name string) (n int) {
	info, err := os.Stat(name)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	all, err := os.ReadFile("/proc/locks")
	require.NoError(t, err)
	n = strings.Count(string(all), fmt.Sprintf(" %02x:%02x:%d ", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino))
	require.Positive(t, n)
	return n
}

func openFiles(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(names)
}
