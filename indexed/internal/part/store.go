package part

import (
	"context"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// Store reads parts of batches, through a cache of what it has decoded. Several goroutines
// may use a Store at once.
type Store struct {
	blob       storage.BlobReader
	metrics    Metrics
	open       openBlobs
	cache      cache
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
	var err error
	if b.cache, err = newCache(cfg.CacheBytes, m); err != nil {
		return nil, err
	}
	if b.open, err = newOpenBlobs(blob); err != nil {
		return nil, err
	}
	return b, nil
}

// Cached returns how many bytes and how many parts are in the cache.
func (b *Store) Cached() (bytes, parts int64) {
	return int64(b.cache.WeightedSize()), int64(b.cache.EstimatedSize())
}

// Held returns what a read of several batches may hold of them: see Config.HeldBytes.
func (b *Store) Held() int { return b.heldBytes }

// readPart returns a part, from the cache if it is there.
func (b *Store) readPart(ctx context.Context, p *Part) (*Columns, error) {
	return fetched(ctx, b.cache, cacheKey{p.Key, wholePiece}, func(ctx context.Context) (*Columns, error) {
		cols, err := b.fetch(ctx, p, newMemory)
		return &cols, err
	})
}

// FitsCache reports whether so many bytes of parts fit into the cache together.
func (b *Store) FitsCache(bytes int64) bool { return b.cache.fits(bytes) }

// has reports whether a part is in the cache.
func (b *Store) has(p *Part) bool { return b.cache.has(p) }

// readPast returns a part without adding it to the cache. If the part was not in the cache,
// it also returns the memory of the part, which the function memory has given.
func (b *Store) readPast(ctx context.Context, p *Part, memory func(size int) []byte) (Columns, []byte, error) {
	if cols, ok := present[*Columns](b.cache, cacheKey{p.Key, wholePiece}); ok {
		return *cols, nil, nil
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
	b.metrics.Misses.Inc()
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
	if p.Directory.Len > 0 {
		return decodeWhole(data, p, memory)
	}
	cols, err := decodePart(data, p, memory)
	if err != nil {
		return Columns{}, wire.Unreadable(p.Key, err)
	}
	return cols, nil
}

// directoryOf returns the directory of a part that has one.
func (b *Store) directoryOf(ctx context.Context, p *Part) (*directory, error) {
	key := cacheKey{p.Key, directoryPiece}
	if d, ok := present[*directory](b.cache, key); ok {
		return d, nil
	}
	return fetched(ctx, b.cache, key, func(ctx context.Context) (*directory, error) {
		b.metrics.Misses.Inc()
		r := p.Directory
		data, err := b.fetchRange(ctx, p, r.At, int64(r.Len), nil)
		if err != nil {
			return nil, err
		}
		//museum:unchecked-directory
		if sum := xxhash.Sum64(data); sum != r.Sum {
			return nil, storage.Corruptf(p.Key, r.At, "xxhash64 of the directory is %016x, expected %016x", sum, r.Sum)
		}
		d, err := decodeDirectory(data, p)
		if err != nil {
			return nil, wire.Unreadable(p.Key, err)
		}
		return d, nil
	})
}

// fetchRange reads a range of a part from the store. The result lies in room, if it fits. After
// an error room must not be used again: see storage.OpenBlob.
func (b *Store) fetchRange(ctx context.Context, p *Part, offset, length int64, room []byte) (data []byte, err error) {
	if b.open.opener == nil {
		data, err = b.blob.GetRange(ctx, p.Key, offset, length)
	} else {
		data, err = b.open.readRange(ctx, p.Key, room, offset, length)
	}
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

// Forget removes a part from the cache, and closes its blob.
func (b *Store) Forget(key string) {
	b.cache.forget(key)
	b.open.close(key)
}

// Release closes the blob of a part, if it is open. A read that comes later opens it again.
func (b *Store) Release(key string) { b.open.close(key) }

// ReleaseAll closes all blobs that are open. A read that comes later opens them again.
func (b *Store) ReleaseAll() { b.open.releaseAll() }

// Close closes all blobs that are open. A read that comes later closes what it opens.
func (b *Store) Close() { b.open.closeAll() }
