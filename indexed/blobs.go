package indexed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// blobs reads batch parts through a cache of decoded ones, evicted by how often
// and how lately they were used. Several readers of one part fetch it once.
type blobs struct {
	blob       storage.BlobReader
	metrics    readMetrics
	cache      *otter.Cache[string, Columns]
	groupBytes int // see partConfig; those of another opening may be others
	heldBytes  int
}

// readMetrics count what is read.
type readMetrics struct {
	hits, misses, evictions  prometheus.Counter // of the cache
	fetchedBytes, readErrors prometheus.Counter
}

func newBlobs(blob storage.BlobReader, cfg partConfig, m readMetrics) (*blobs, error) {
	b := &blobs{blob: blob, metrics: m, groupBytes: cfg.groupBytes(), heldBytes: cfg.heldBytes()}
	maximum := uint64(math.MaxInt64)
	if cfg.cacheBytes >= 0 {
		maximum = uint64(cfg.cacheBytes)
	}
	cache, err := otter.New(&otter.Options[string, Columns]{
		MaximumWeight: maximum,
		Weigher: func(_ string, c Columns) uint32 {
			return uint32(min(int64(c.Size())+cacheEntryOverhead, math.MaxUint32))
		},
		StatsRecorder: cacheStats{m: m},
		// Work of the cache runs on the goroutine that causes it: it owns none.
		Executor: func(fn func()) { fn() },
		Logger:   quietLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("tidemark: blob cache: %w", err)
	}
	b.cache = cache
	return b, nil
}

// cached returns what is in the cache: bytes, and how many parts.
func (b *blobs) cached() (bytes, parts int64) {
	return int64(b.cache.WeightedSize()), int64(b.cache.EstimatedSize())
}

const cacheEntryOverhead = 256

// readPart returns a part, from the cache if it is there.
func (b *blobs) readPart(ctx context.Context, p *part) (Columns, error) {
	for mine := false; ; {
		cols, err := b.cache.Get(ctx, p.key, otter.LoaderFunc[string, Columns](
			func(ctx context.Context, _ string) (Columns, error) {
				mine = true
				return b.fetch(ctx, p, newMemory)
			}))
		if err == nil {
			return cols, nil
		}
		// The fetch may have been another reader's, and ended with that reader's context.
		if !mine && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		return Columns{}, err
	}
}

// fitsCache reports whether so many bytes of parts can be in the cache together.
func (b *blobs) fitsCache(bytes int64) bool { return uint64(bytes) <= b.cache.GetMaximum() }

// has reports whether a part is in the cache.
func (b *blobs) has(p *part) bool {
	_, ok := b.cache.GetEntryQuietly(p.key)
	return ok
}

// readPast returns a part that is not put into the cache. If it was not there either, its
// memory is that which the function gave, and is returned as well.
func (b *blobs) readPast(ctx context.Context, p *part, memory func(size int) []byte) (Columns, []byte, error) {
	if cols, ok := b.cache.GetIfPresent(p.key); ok {
		return cols, nil, nil
	}
	cols, err := b.fetch(ctx, p, memory)
	return cols, cols.buf, err
}

func newMemory(size int) []byte { return make([]byte, size) }

// fetch reads and checks a part from the store, and decodes it into memory.
func (b *blobs) fetch(ctx context.Context, p *part, memory func(size int) []byte) (Columns, error) {
	if err := checkReadable(p.key, p.bytes); err != nil {
		return Columns{}, err
	}
	data, _, err := b.blob.Get(ctx, p.key)
	if err := b.fetched(p, data, err); err != nil {
		return Columns{}, err
	}
	if int64(len(data)) != p.size {
		return Columns{}, storage.Corruptf(p.key, -1, "%d bytes, expected %d", len(data), p.size)
	}
	if err := checkSum(p, xxhash.Sum64(data)); err != nil {
		return Columns{}, err
	}
	cols, err := decodePart(data, p, memory)
	if err != nil {
		return Columns{}, wire.Unreadable(p.key, err)
	}
	return cols, nil
}

// fetchRange reads some bytes of a part from the store.
func (b *blobs) fetchRange(ctx context.Context, p *part, offset, length int64) ([]byte, error) {
	data, err := b.blob.GetRange(ctx, p.key, offset, length)
	if err := b.fetched(p, data, err); err != nil {
		return nil, err
	}
	return data, nil
}

// fetched counts what the store has returned, and says what its error means.
func (b *blobs) fetched(p *part, data []byte, err error) error {
	switch {
	case err == nil:
		b.metrics.fetchedBytes.Add(float64(len(data)))
		return nil
	case errors.Is(err, storage.ErrNotFound):
		err = errGone(p.key, err)
	case errors.Is(err, storage.ErrInvalidRange):
		err = storage.Corruptf(p.key, -1, "shorter than the %d bytes that it had: %w", p.size, err)
	default:
		err = unreadError{fmt.Errorf("read blob %s: %w", p.key, err)}
	}
	b.metrics.readErrors.Inc()
	return err
}

func checkSum(p *part, sum uint64) error {
	if sum != p.sum {
		return storage.Corruptf(p.key, -1, "xxhash64 of the file is %016x, expected %016x", sum, p.sum)
	}
	return nil
}

// unreadError: the store could not read a part, now.
type unreadError struct{ error }

func (e unreadError) Unwrap() error { return e.error }

// errGone says that a part is lost.
func errGone(key string, err error) error {
	return storage.Corruptf(key, -1, "the manifest names this blob, but it is gone: %w", err)
}

func (b *blobs) forget(key string) { b.cache.Invalidate(key) }

// cacheStats feeds the cache's own counts into the metrics.
type cacheStats struct{ m readMetrics }

var _ stats.Recorder = cacheStats{}

func (s cacheStats) RecordHits(n int)                { s.m.hits.Add(float64(n)) }
func (s cacheStats) RecordMisses(n int)              { s.m.misses.Add(float64(n)) }
func (s cacheStats) RecordEviction(uint32)           { s.m.evictions.Inc() }
func (s cacheStats) RecordLoadSuccess(time.Duration) {}
func (s cacheStats) RecordLoadFailure(time.Duration) {}

// quietLogger drops the cache's messages: what they report is returned as well.
type quietLogger struct{}

func (quietLogger) Warn(context.Context, string, error)  {}
func (quietLogger) Error(context.Context, string, error) {}
