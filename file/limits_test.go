package file

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// What is in no slice is refused, and nothing is allocated for it: a size that a program
// with a larger int has written must not end one with a smaller int.
func TestPiecesThatNoSliceHolds(t *testing.T) {
	f := sizedHandle{bytes: math.MaxInt64}
	_, err := readBlob(f, "k")
	require.ErrorIs(t, err, storage.ErrTooLarge)
	require.ErrorContains(t, err, `"k"`)
	_, err = readBlobRange(f, "k", 7, math.MaxInt/2+1)
	require.ErrorIs(t, err, storage.ErrTooLarge)
	_, err = readBlobRange(f, "k", 7, math.MaxInt64-7)
	require.ErrorIs(t, err, storage.ErrTooLarge)

	for length, want := range map[uint32]bool{4: true, MaxAppendSize: true, MaxAppendSize + 1: false, 1 << 31: false, math.MaxUint32: false} {
		var b [frameHeaderSize]byte
		frameHeader{kind: kindGroup, count: 1, length: length, first: 1}.put(b[:], 5, segmentDataStart)
		_, ok := parseFrameHeader(b[:], 5, segmentDataStart)
		require.Equal(t, want, ok, length)
	}
}

// sizedHandle is a file of which nothing but the size is looked at.
type sizedHandle struct {
	vfs.File
	bytes int64
}

func (h sizedHandle) Size() (int64, error) { return h.bytes, nil }
