package mem

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/tidemark-go/tidemark/storage"
)

// BlobReader reads the blobs of a Place. Place.OpenBlobReader makes it.
type BlobReader struct {
	blobView

	// pins holds the pins of this reader, by key, the newest pin of a key last. Guarded by
	// place.mu.
	pins map[string][]*pin
}

type pin struct{ value blobValue }

// Pin keeps the present contents of the blob readable through this reader, until release is
// called or the reader is closed. While a key is pinned, Get and GetRange return what its
// newest pin kept, even if the blob was replaced.
//
// Errors: those of storage.Pinner.
func (r *BlobReader) Pin(ctx context.Context, key string) (release func(), err error) {
	if err := r.handle.enter(ctx, OpPin); err != nil {
		return nil, err
	}
	defer r.handle.place.mu.Unlock()
	value, err := r.findLocked(OpPin, key)
	if err != nil {
		return nil, err
	}
	kept := &pin{value}
	r.pins[key] = append(r.pins[key], kept)
	return func() { r.unpin(key, kept) }, nil
}

func (r *BlobReader) unpin(key string, kept *pin) {
	p := r.handle.place
	p.mu.Lock()
	defer p.mu.Unlock()
	left := slices.DeleteFunc(r.pins[key], func(other *pin) bool { return other == kept })
	if len(left) == 0 {
		delete(r.pins, key)
	} else {
		r.pins[key] = left
	}
}

// Get returns the whole blob, as it was pinned if this reader has pinned it; see
// storage.BlobReader.
func (r *BlobReader) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	value, err := r.findPinned(ctx, OpGet, key)
	return bytes.Clone(value.data), value.version, err
}

// GetRange returns the bytes [offset, offset+length) of what Get returns; see
// storage.BlobReader.
func (r *BlobReader) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	value, err := r.findPinned(ctx, OpGetRange, key)
	if err != nil {
		return nil, err
	}
	return cut(value, key, offset, length)
}

// List yields the blobs that exist when the sequence starts, in order; see
// storage.BlobReader. It does not yield a deleted blob, even if this reader has pinned it.
func (r *BlobReader) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return r.list(ctx, prefix)
}

// Close gives up the reader and its pins. A second call does nothing. Close never fails.
func (r *BlobReader) Close() error { return r.handle.close() }

// findPinned is find that looks at the pins of this reader first.
func (r *BlobReader) findPinned(ctx context.Context, op Op, key string) (blobValue, error) {
	if err := r.handle.enter(ctx, op); err != nil {
		return blobValue{}, err
	}
	defer r.handle.place.mu.Unlock()
	if pins := r.pins[key]; len(pins) > 0 {
		return pins[len(pins)-1].value, nil
	}
	return r.findLocked(op, key)
}
