package indexed_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// written counts the bytes that go to a log and to blobs.
type written struct{ log, blobs atomic.Int64 }

type countingLog struct {
	storage.Log
	*written
}

func (l countingLog) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	for _, e := range entries {
		l.log.Add(int64(len(e)))
	}
	return l.Log.Append(ctx, expected, entries)
}

type countingBlob struct {
	storage.Blob
	*written
}

func (b countingBlob) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	b.blobs.Add(int64(len(value)))
	return b.Blob.Set(ctx, key, value)
}

func (b countingBlob) SetIf(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
	b.blobs.Add(int64(len(value)))
	return b.Blob.SetIf(ctx, key, value, expected)
}

func openCounting(t testing.TB, place *mem.Place) (*indexed.Engine, *written) {
	log, err := place.OpenLog(storage.LockInfo{})
	require.NoError(t, err)
	blob, err := place.OpenBlob(storage.LockInfo{})
	require.NoError(t, err)
	w := &written{}
	e, err := indexed.OpenStill(t.Context(), countingLog{log, w}, countingBlob{blob, w}, still())
	require.NoError(t, err)
	return e, w
}

// registerMany registers streams as a pipeline does that starts up: many at a time.
func registerMany(t testing.TB, e *indexed.Engine, n int) {
	const workers = 100
	done := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := w; i < n && err == nil; i += workers {
				_, err = e.Register(t.Context(), fmt.Sprintf("stream-%06d", i), "key-codec", "val-codec")
			}
			done <- err
		}()
	}
	for range workers {
		require.NoError(t, <-done)
	}
}

// What a stream writes does not depend on how many others there are.
func TestCostOfASealAmongManyStreams(t *testing.T) {
	const few, many = 200, 10_000
	bytes := map[int][2]int64{}
	for _, n := range []int{few, many} {
		e, w := openCounting(t, mem.NewPlace("many"))
		registerMany(t, e, n)
		require.NoError(t, e.Round(t.Context(), true))
		// So much is worth a full copy, once.
		_, err := e.Register(t.Context(), "one more", "key-codec", "val-codec")
		require.NoError(t, err)
		require.NoError(t, e.Round(t.Context(), true))
		id := indexed.StreamID(150) // an id of two bytes in both
		w.log.Store(0)
		w.blobs.Store(0)
		var c indexed.Command
		c.Write(id, columns(up("a", 1)))
		c.Seal(id, frontier.At(2))
		_, err = e.Submit(t.Context(), &c).Wait(t.Context())
		require.NoError(t, err)
		require.NoError(t, e.Round(t.Context(), true))
		bytes[n] = [2]int64{w.log.Load(), w.blobs.Load()}
		infos, err := e.Streams(t.Context())
		require.NoError(t, err)
		require.Len(t, infos, n+1)
		require.NoError(t, e.Stop())
	}
	require.Equal(t, bytes[few][0], bytes[many][0])
	require.InDelta(t, bytes[few][1], bytes[many][1], 32, "positions take more digits")
	require.Less(t, bytes[many][1], int64(2000))
}

// Opening a location with 10,000 streams, each with a batch; two seconds is too long.
func BenchmarkOpenTenThousandStreams(b *testing.B) {
	place := mem.NewPlace("many")
	e, _ := openCounting(b, place)
	registerMany(b, e, 10_000)
	for id := range indexed.StreamID(10_000) {
		var c indexed.Command
		c.Write(id, columns(up("a", 1)))
		c.Seal(id, frontier.At(2))
		_, err := e.Submit(b.Context(), &c).Wait(b.Context())
		require.NoError(b, err)
	}
	require.NoError(b, e.Round(b.Context(), true))
	require.NoError(b, e.Stop())
	for b.Loop() {
		e, _ := openCounting(b, place)
		require.NoError(b, e.Stop())
	}
}
