package file

import (
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// A rename that took effect and failed has made a new segment. A smaller group that
// still fitted into the one before would contradict it, and the location could not be
// opened again.
func TestSegmentRenameThatFailedWithEffect(t *testing.T) {
	l := &lateRename{memFS: newMemFS(), to: ".log"}
	ctx := context.Background()
	log, err := NewLog("/db", withFileSystem(l), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	last := storage.SeqNo(0)
	positions, err := log.Append(ctx, last, [][]byte{make([]byte, MinSegmentSize/2)})
	require.NoError(t, err)
	last = positions[0]
	l.armed = true
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
