package mem

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemark-go/tidemark/storage"
)

var (
	_ storage.Blob       = (*Blob)(nil)
	_ storage.BlobReader = (*BlobReader)(nil)
	_ storage.Pinner     = (*BlobReader)(nil)
	_ storage.Opener     = (*Blob)(nil)
	_ storage.Opener     = (*BlobReader)(nil)
)

// Blob is the blob store of a Place, open for writing. Place.OpenBlob makes it.
type Blob struct{ blobView }

// Get returns the whole blob; see storage.BlobReader.
func (b *Blob) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	value, err := b.find(ctx, OpGet, key)
	return bytes.Clone(value.data), value.version, err
}

// GetRange returns the bytes [offset, offset+length) of the blob; see storage.BlobReader.
func (b *Blob) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	value, err := b.find(ctx, OpGetRange, key)
	if err != nil {
		return nil, err
	}
	return cut(value, key, offset, length)
}

// List yields the blobs that exist when the sequence starts, in order; see
// storage.BlobReader.
func (b *Blob) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return b.list(ctx, prefix)
}

// Close gives up the blobs and their lock. It does nothing the second time, and on a handle
// that was taken over. It never fails.
func (b *Blob) Close() error { return b.handle.close() }

// Set stores value under key; see storage.Blob. It blocks only while flushes are held.
//
// Errors: those of storage.Blob; ErrCrashed.
func (b *Blob) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	return b.set(ctx, OpSet, key, value, func() error { return nil })
}

// SetIf stores value under key if the version of the blob is expected; see storage.Blob. It
// blocks only while flushes are held. The condition is checked when the mutation happens.
// So if several are in flight, the first one wins.
//
// Errors: those of storage.Blob; ErrCrashed.
func (b *Blob) SetIf(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
	p := b.handle.place
	return b.set(ctx, OpSetIf, key, value, func() error {
		if version := p.blobs.values[key].version; version != expected {
			return fmt.Errorf("mem: set blob %q of place %q: version is %q, expected %q: %w", key, p.name, version, expected, storage.ErrConflict)
		}
		return nil
	})
}

func (b *Blob) set(ctx context.Context, op Op, key string, value []byte, condition func() error) (storage.Version, error) {
	if key == "" || len(key) > storage.MaxKeySize {
		return storage.NoVersion, storage.NoEffect(fmt.Errorf("mem: %s %.20q: key of %d bytes, want 1 to %d: %w", op, key, len(key), storage.MaxKeySize, storage.ErrInvalidKey))
	}
	if err := b.handle.enter(ctx, op); err != nil {
		return storage.NoVersion, err
	}
	p := b.handle.place
	if err := condition(); err != nil {
		p.mu.Unlock()
		return storage.NoVersion, err
	}
	// Take the version now, so that the mutation has nothing to return.
	stored := blobValue{data: bytes.Clone(value), version: p.blobs.nextVersion()}
	_, err := b.handle.mutate(ctx, op, 1, func(int) error {
		if err := condition(); err != nil {
			return err
		}
		p.blobs.values[key] = stored
		return nil
	})
	if err != nil {
		return storage.NoVersion, err
	}
	return stored.version, nil
}

// Delete removes the blob; see storage.Blob. It blocks only while flushes are held.
//
// Errors: those of storage.Blob; ErrCrashed.
func (b *Blob) Delete(ctx context.Context, key string) error {
	if err := b.handle.enter(ctx, OpDelete); err != nil {
		return err
	}
	p := b.handle.place
	_, err := b.handle.mutate(ctx, OpDelete, 1, func(int) error {
		delete(p.blobs.values, key)
		return nil
	})
	return err
}

// blobView is the reading half of a blob handle.
type blobView struct{ handle *handle }

func (v blobView) list(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		if err := v.handle.enter(ctx, OpList); err != nil {
			yield(storage.BlobInfo{}, err)
			return
		}
		infos := v.handle.place.blobs.list(prefix)
		v.handle.place.mu.Unlock()
		for _, info := range infos {
			if err := v.handle.usable(ctx, OpList); err != nil {
				yield(storage.BlobInfo{}, err)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// find returns a stored value. The caller must not change its bytes.
func (v blobView) find(ctx context.Context, op Op, key string) (blobValue, error) {
	if err := v.handle.enter(ctx, op); err != nil {
		return blobValue{}, err
	}
	defer v.handle.place.mu.Unlock()
	return v.findLocked(op, key)
}

// findLocked is find for callers that have called enter. REQUIRES: place.mu is held.
func (v blobView) findLocked(op Op, key string) (blobValue, error) {
	p := v.handle.place
	value, ok := p.blobs.values[key]
	if !ok {
		return blobValue{}, fmt.Errorf("mem: %s %.40q of place %q: %w", op, key, p.name, storage.ErrNotFound)
	}
	return value, nil
}

func cut(value blobValue, key string, offset, length int64) ([]byte, error) {
	size := int64(len(value.data))
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return nil, fmt.Errorf("mem: %s %q: %d bytes from %d, of %d: %w", OpGetRange, key, length, offset, size, storage.ErrInvalidRange)
	}
	return bytes.Clone(value.data[offset : offset+length]), nil
}

// blobValue is a stored blob. The bytes are never changed.
type blobValue struct {
	data    []byte
	version storage.Version
}

// blobContents is the blob store of a place. Guarded by Place.mu.
type blobContents struct {
	values   map[string]blobValue
	versions uint64 // how many versions have been given out
}

func (c *blobContents) nextVersion() storage.Version {
	c.versions++
	return storage.Version(strconv.FormatUint(c.versions, 10))
}

func (c *blobContents) list(prefix string) []storage.BlobInfo {
	var infos []storage.BlobInfo
	for key, value := range c.values {
		if strings.HasPrefix(key, prefix) {
			infos = append(infos, storage.BlobInfo{Key: key, Size: int64(len(value.data))})
		}
	}
	slices.SortFunc(infos, func(a, b storage.BlobInfo) int { return strings.Compare(a.Key, b.Key) })
	return infos
}
