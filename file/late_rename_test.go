package file

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

// A rename that took effect and failed has made a new segment. A smaller group that
// still fitted into the one before would contradict it, and the location could not be
// opened again.
func TestSegmentRenameThatFailedWithEffect(t *testing.T) {
	l := &lateRename{Disk: disk.New(), to: ".log"}
	ctx := context.Background()
	log, err := NewLog("/db", withFileSystem(l), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	last := storage.SeqNo(0)
	positions, err := log.Append(ctx, last, [][]byte{make([]byte, MinSegmentSize/2)})
	require.NoError(t, err)
	last = positions[0]
	l.armed.Store(true)
	_, err = log.Append(ctx, last, [][]byte{make([]byte, MinSegmentSize/2)})
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, syscall.EIO)
	require.NotErrorIs(t, err, storage.ErrNoEffect)
	_, err = log.Append(ctx, last, [][]byte{make([]byte, 10)})
	require.ErrorIs(t, err, ErrFailed, "it would fit into the segment before")
	require.NoError(t, log.Close())

	log, err = NewLog("/db", withFileSystem(l), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	bounds, err := log.Bounds(ctx)
	require.NoError(t, err)
	require.Equal(t, last, bounds.Last)
	_, err = log.Append(ctx, last, [][]byte{make([]byte, 10)})
	require.NoError(t, err)
	require.NoError(t, log.Close())
}

// A rename that took effect and failed, and then an error of the clean-up that had no
// effect for certain: that does not hold for the append.
func TestFailedRenameIsNotWithoutEffect(t *testing.T) {
	l := &lateRename{Disk: disk.New(), to: ".log"}
	ctx := context.Background()
	log, err := NewLog("/db", withFileSystem(l), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	positions, err := log.Append(ctx, 0, [][]byte{make([]byte, MinSegmentSize/2)})
	require.NoError(t, err)
	unseen := storage.NoEffect(errors.New("not seen"))
	l.refuses.Store(&unseen)
	l.armed.Store(true)
	for range 2 {
		_, err = log.Append(ctx, positions[0], [][]byte{make([]byte, MinSegmentSize/2)})
		require.ErrorIs(t, err, ErrFailed)
		require.NotErrorIs(t, err, storage.ErrNoEffect)
	}
	require.NoError(t, log.Close())

	l = &lateRename{Disk: disk.New()}
	b, err := NewBlob("/blobs", withFileSystem(l))
	require.NoError(t, err)
	l.refuses.Store(&unseen)
	l.armed.Store(true)
	_, err = b.Set(ctx, "blob", []byte("x"))
	require.ErrorIs(t, err, storage.ErrFailed)
	require.NotErrorIs(t, err, storage.ErrNoEffect)
	require.NoError(t, b.Close())
}

// A truncation whose rename took effect and failed has removed the segment, and goes on.
func TestTruncationThatFailedWithEffect(t *testing.T) {
	l := &lateRename{Disk: disk.New(), from: ".log"}
	ctx := context.Background()
	log, err := NewLog("/db", withFileSystem(l), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	last := storage.SeqNo(0)
	for range 6 {
		positions, err := log.Append(ctx, last, [][]byte{make([]byte, MinSegmentSize/2)})
		require.NoError(t, err)
		last = positions[0]
	}
	l.armed.Store(true)
	require.NoError(t, log.Truncate(ctx, last))
	require.False(t, l.armed.Load(), "the rename did not come")
	bounds, err := log.Bounds(ctx)
	require.NoError(t, err)
	require.Equal(t, last-1, bounds.After)
	positions, err := log.Append(ctx, last, [][]byte{make([]byte, 10)})
	require.NoError(t, err)
	require.NoError(t, log.Close())
	// Only now: until then another spare may be about to take the place of one.
	require.Len(t, l.Names(sparePrefix), maxSpares, "the file whose name was not certain is gone")

	log, err = NewLog("/db", withFileSystem(l), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	bounds, err = log.Bounds(ctx)
	require.NoError(t, err)
	require.Equal(t, positions[0], bounds.Last)
	require.NoError(t, log.Close())
}
