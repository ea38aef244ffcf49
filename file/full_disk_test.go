package file

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// On a disk that is full to the last byte history can be released: a spare segment
// makes room for the edit of the manifest that lets go of files.
func TestFullDiskReleasesHistory(t *testing.T) {
	m := disk.New()
	ctx := t.Context()
	cfg := persist.Config{FlushInterval: -1, MinStepInterval: 1 << 40}
	c, err := Open(ctx, "/db", cfg, withFileSystem(m), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()
	w, r, err := persist.CreateOrLoad(ctx, c, "s", codec.Bytes, codec.Unit)
	require.NoError(t, err)
	write := func(w *persist.WriteHandle[[]byte, struct{}], size int) error {
		_, err := w.Write(ctx, []persist.Update[[]byte, struct{}]{{Key: make([]byte, size), Time: 1, Diff: 1}}).Wait(ctx)
		return err
	}
	for range 20 { // several segments, and then their files as spares
		require.NoError(t, write(w, 3000))
	}
	require.NoError(t, c.Maintain(ctx))
	require.NotEmpty(t, m.Names(sparePrefix))
	other, _, err := persist.CreateOrLoad(ctx, c, "other", codec.Bytes, codec.Unit)
	require.NoError(t, err)
	require.NoError(t, write(other, 100))

	full := func() {
		m.Alone(func() { m.Capacity = m.Used() })
	}
	full()
	destroyed, err := c.Destroy(ctx, "s")
	require.NoError(t, err)
	require.True(t, destroyed)
	require.NoError(t, c.Maintain(ctx))
	_, err = r.Snapshot(ctx)
	require.ErrorIs(t, err, persist.ErrDestroyed)
	var free int
	m.Alone(func() { free = m.Capacity - m.Used() })
	require.Greater(t, free, MinSegmentSize/2, "what was released is free")
	for range 10 { // new segments among them
		require.NoError(t, write(other, 1000))
	}

	// Without a spare the disk is full for blobs too, which changes nothing: what the
	// log takes is readable, and when there is room all goes on.
	for len(m.Names(sparePrefix)) > 0 {
		full()
		require.NoError(t, write(other, 3000))
		_ = c.Maintain(ctx)
	}
	full()
	err = write(other, 100)
	if err == nil {
		err = c.Maintain(ctx)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, err, storage.ErrNoEffect)
	m.Alone(func() { m.Capacity = 0 })
	require.NoError(t, write(other, 100))
	require.NoError(t, c.Maintain(ctx))
}

// Two blobs find the disk full, and there is one spare segment. Each tries again with the
// room that it leaves, also the one that finds it taken.
func TestRoomThatAnotherBlobMade(t *testing.T) {
	m := disk.New()
	ctx := t.Context()
	b, err := NewBlob("/db", withFileSystem(m))
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	m.Alone(func() { m.Capacity = m.Used() })
	b.makeRoom = func() bool { return false }
	_, err = b.Set(ctx, "k", make([]byte, 100))
	require.ErrorIs(t, err, syscall.ENOSPC)
	b.makeRoom = func() bool {
		m.Alone(func() { m.Capacity = 0 }) // the other one has just removed it
		return false
	}
	_, err = b.Set(ctx, "k", make([]byte, 100))
	require.NoError(t, err)
}
