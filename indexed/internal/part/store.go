package part

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

// Store reads parts of batches through a cache of decoded parts. The cache evicts by how
// often and how recently a part was used. If several readers want one part at once, it is
// fetched once. Several goroutines may use a Store at once.
type Store struct {
	blob       storage.BlobReader
	metrics    Metrics
	cache      *otter.Cache[string, Columns]
	groupBytes int // see Config; parts of other openings may have other groups
	heldBytes  int
}

// Metrics are the counters of reads.
type Metrics struct {
	Hits, Misses, Evictions  prometheus.Counter // of the cache
	FetchedBytes, ReadErrors prometheus.Counter
}

// NewStore returns a store that reads the parts in blob.
func NewStore(blob storage.BlobReader, cfg Config, m Metrics) (*Store, error) {
	b := &Store{blob: blob, metrics: m, groupBytes: cfg.groupBytes(), heldBytes: cfg.HeldBytes()}
	maximum := uint64(math.MaxInt64)
	if cfg.CacheBytes >= 0 {
		maximum = uint64(cfg.CacheBytes)
	}
	cache, err := otter.New(&otter.Options[string, Columns]{
		MaximumWeight: maximum,
		Weigher: func(_ string, c Columns) uint32 {
			return uint32(min(int64(c.Size())+cacheEntryOverhead, math.MaxUint32))
		},
		StatsRecorder: cacheStats{m: m},
		// The cache owns no goroutine: its work runs on the goroutine that causes it.
		Executor: func(fn func()) { fn() },
		Logger:   quietLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("tidemark: blob cache: %w", err)
	}
	b.cache = cache
	return b, nil
}

// Cached returns how many bytes and how many parts are in the cache.
func (b *Store) Cached() (bytes, parts int64) {
	return int64(b.cache.WeightedSize()), int64(b.cache.EstimatedSize())
}

// Held returns what a read of several batches may hold of them: see Config.HeldBytes.
func (b *Store) Held() int { return b.heldBytes }

const cacheEntryOverhead = 256

// readPart returns a part, from the cache if it is there.
func (b *Store) readPart(ctx context.Context, p *Part) (Columns, error) {
	for mine := false; ; {
		cols, err := b.cache.Get(ctx, p.Key, otter.LoaderFunc[string, Columns](
			func(ctx context.Context, _ string) (Columns, error) {
				mine = true
				return b.fetch(ctx, p, newMemory)
			}))
		if err == nil {
			return cols, nil
		}
		// Another reader may have begun the fetch, and its context may have ended it.
		if !mine && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		return Columns{}, err
	}
}

// FitsCache reports whether so many bytes of parts fit into the cache together.
func (b *Store) FitsCache(bytes int64) bool { return uint64(bytes) <= b.cache.GetMaximum() }

// has reports whether a part is in the cache.
func (b *Store) has(p *Part) bool {
	_, ok := b.cache.GetEntryQuietly(p.Key)
	return ok
}

// readPast returns a part without adding it to the cache. If the part was not in the cache,
// it also returns the memory of the part, which the function memory has given.
func (b *Store) readPast(ctx context.Context, p *Part, memory func(size int) []byte) (Columns, []byte, error) {
	if cols, ok := b.cache.GetIfPresent(p.Key); ok {
		return cols, nil, nil
	}
	cols, err := b.fetch(ctx, p, memory)
	return cols, cols.buf, err
}

func newMemory(size int) []byte { return make([]byte, size) }

// fetch reads a part from the store, checks it and decodes it into memory.
func (b *Store) fetch(ctx context.Context, p *Part, memory func(size int) []byte) (Columns, error) {
	if err := checkReadable(p.Key, p.Bytes); err != nil {
		return Columns{}, err
	}
	data, _, err := b.blob.Get(ctx, p.Key)
	if err := b.fetched(p, data, err); err != nil {
		return Columns{}, err
	}
	if int64(len(data)) != p.Size {
		return Columns{}, storage.Corruptf(p.Key, -1, "%d bytes, expected %d", len(data), p.Size)
	}
	if err := checkSum(p, xxhash.Sum64(data)); err != nil {
		return Columns{}, err
	}
	cols, err := decodePart(data, p, memory)
	if err != nil {
		return Columns{}, wire.Unreadable(p.Key, err)
	}
	return cols, nil
}

// fetchRange reads a range of a part from the store.
func (b *Store) fetchRange(ctx context.Context, p *Part, offset, length int64) ([]byte, error) {
	data, err := b.blob.GetRange(ctx, p.Key, offset, length)
	if err := b.fetched(p, data, err); err != nil {
		return nil, err
	}
	return data, nil
}

// fetched counts what the store has returned, and explains its error.
func (b *Store) fetched(p *Part, data []byte, err error) error {
	switch {
	case err == nil:
		b.metrics.FetchedBytes.Add(float64(len(data)))
		return nil
	case errors.Is(err, storage.ErrNotFound):
		err = ErrGone(p.Key, err)
	case errors.Is(err, storage.ErrInvalidRange):
		err = storage.Corruptf(p.Key, -1, "shorter than the %d bytes that it had: %w", p.Size, err)
	default:
		err = Unread(fmt.Errorf("read blob %s: %w", p.Key, err))
	}
	b.metrics.ReadErrors.Inc()
	return err
}

func checkSum(p *Part, sum uint64) error {
	if sum != p.Sum {
		return storage.Corruptf(p.Key, -1, "xxhash64 of the file is %016x, expected %016x", sum, p.Sum)
	}
	return nil
}

// unreadError says that the store could not read a part at this time.
type unreadError struct{ error }

func (e unreadError) Unwrap() error { return e.error }

// Unread returns an error for a part that the store could not read at this time. Another
// attempt may succeed.
func Unread(err error) error { return unreadError{err} }

// IsUnread reports whether an error is from Unread, or wraps such an error.
func IsUnread(err error) bool { return errors.As(err, new(unreadError)) }

// ErrGone returns the error for a part that is lost.
func ErrGone(key string, err error) error {
	return storage.Corruptf(key, -1, "the manifest names this blob, but it is gone: %w", err)
}

// Forget removes a part from the cache.
func (b *Store) Forget(key string) { b.cache.Invalidate(key) }

// cacheStats feeds the cache's own counts into the metrics.
type cacheStats struct{ m Metrics }

var _ stats.Recorder = cacheStats{}

func (s cacheStats) RecordHits(n int)                { s.m.Hits.Add(float64(n)) }
func (s cacheStats) RecordMisses(n int)              { s.m.Misses.Add(float64(n)) }
func (s cacheStats) RecordEviction(uint32)           { s.m.Evictions.Inc() }
func (s cacheStats) RecordLoadSuccess(time.Duration) {}
func (s cacheStats) RecordLoadFailure(time.Duration) {}

// quietLogger drops the messages of the cache: what they report is also returned as an
// error.
type quietLogger struct{}

func (quietLogger) Warn(context.Context, string, error)  {}
func (quietLogger) Error(context.Context, string, error) {}
