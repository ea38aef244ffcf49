package part

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// countingOpener has the blobs 0, 1, ... It counts those that are open, and has so many
// descriptors.
type countingOpener struct {
	storage.BlobReader
	blobs       int
	descriptors int64
	open, opens atomic.Int64
}

var errNoDescriptor = errors.New("no descriptor is left")

func (c *countingOpener) Open(_ context.Context, key string) (storage.OpenBlob, error) {
	if i, err := strconv.Atoi(key); err != nil || i >= c.blobs {
		return nil, storage.ErrNotFound
	}
	c.opens.Add(1)
	if c.open.Add(1) > c.descriptors {
		c.open.Add(-1)
		return nil, errNoDescriptor
	}
	return &countedBlob{of: c, contents: "contents of " + key}, nil
}

type countedBlob struct {
	of       *countingOpener
	contents string
	closed   atomic.Bool
}

func (b *countedBlob) Size() int64 { return int64(len(b.contents)) }

func (b *countedBlob) ReadRange(_ context.Context, p []byte, offset int64) error {
	if b.closed.Load() {
		return storage.ErrClosed
	}
	copy(p, b.contents[offset:])
	return nil
}

func (b *countedBlob) Close() error {
	b.closed.Store(true)
	b.of.open.Add(-1)
	return nil
}

// What is read again is open already; what is open is bounded, and closed in the end, whoever
// reads meanwhile.
func TestOpenBlobs(t *testing.T) {
	const blobs = 3 * maxOpenBlobs
	c := &countingOpener{blobs: blobs, descriptors: math.MaxInt64}
	o, err := newOpenBlobs(c)
	require.NoError(t, err)
	read := func(i int) error {
		want := fmt.Sprintf("of %d", i)
		got, err := o.readRange(t.Context(), strconv.Itoa(i), nil, 9, int64(len(want)))
		if err == nil && string(got) != want {
			err = fmt.Errorf("blob %d has %q", i, got)
		}
		return err
	}
	for range 10 {
		require.NoError(t, read(0))
	}
	require.EqualValues(t, 1, c.opens.Load())
	_, err = o.readRange(t.Context(), "absent", nil, 0, 1)
	require.ErrorIs(t, err, storage.ErrNotFound)
	for from, length := range map[int64]int64{0: 1 << 60, 1 << 60: 1, -1: 1, 1: -1, math.MaxInt64: math.MaxInt64} {
		_, err = o.readRange(t.Context(), "0", nil, from, length)
		require.ErrorIs(t, err, storage.ErrInvalidRange)
	}
	require.EqualValues(t, 1, c.open.Load())

	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range blobs {
				i = (i*(g+1) + g) % blobs
				if i%7 == 0 {
					o.close(strconv.Itoa(i))
				}
				if err := read(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	o.kept.CleanUp() // the cache evicts a little later than it adds
	require.LessOrEqual(t, c.open.Load(), int64(maxOpenBlobs))
	require.Positive(t, c.open.Load())
	require.NoError(t, read(1))
	before := c.open.Load()
	o.close("1")
	require.Equal(t, before-1, c.open.Load())
	o.closeAll()
	require.Zero(t, c.open.Load())
	require.NoError(t, read(1))
	require.Zero(t, c.open.Load(), "nothing is kept any more")
}

// If no descriptor is left, those that are kept are given up. If that does not help, the error
// is told.
func TestOpenBlobsGiveUpDescriptors(t *testing.T) {
	c := &countingOpener{blobs: 20, descriptors: 5}
	o, err := newOpenBlobs(c)
	require.NoError(t, err)
	for i := range 20 {
		_, err := o.readRange(t.Context(), strconv.Itoa(i), nil, 0, 1)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, c.open.Load(), int64(5))
	o.kept.InvalidateAll()
	c.descriptors = 0
	_, err = o.readRange(t.Context(), "3", nil, 0, 1)
	require.ErrorIs(t, err, errNoDescriptor)
	o.closeAll()
	require.Zero(t, c.open.Load())
}
