package mem

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/storage"
)

// openBlob is a blob that is open for reading.
type openBlob struct {
	handle *handle
	key    string
	value  blobValue
	closed atomic.Bool
}

// Open opens the present contents of the blob; see storage.Opener.
func (b *Blob) Open(ctx context.Context, key string) (storage.OpenBlob, error) {
	value, err := b.find(ctx, OpOpen, key)
	if err != nil {
		return nil, err
	}
	return &openBlob{handle: b.handle, key: key, value: value}, nil
}

// Open opens what Get returns; see storage.Opener.
func (r *BlobReader) Open(ctx context.Context, key string) (storage.OpenBlob, error) {
	value, err := r.findPinned(ctx, OpOpen, key)
	if err != nil {
		return nil, err
	}
	return &openBlob{handle: r.handle, key: key, value: value}, nil
}

// Size implements storage.OpenBlob.
func (o *openBlob) Size() int64 { return int64(len(o.value.data)) }

// ReadRange implements storage.OpenBlob.
func (o *openBlob) ReadRange(ctx context.Context, p []byte, offset int64) error {
	if err := o.handle.usable(ctx, OpGetRange); err != nil {
		return err
	}
	if o.closed.Load() {
		return fmt.Errorf("mem: %s %.40q of place %q: it was opened, and closed: %w", OpGetRange, o.key, o.handle.place.name, storage.ErrClosed)
	}
	data, err := cut(o.value, o.key, offset, int64(len(p)))
	copy(p, data)
	return err
}

// Close implements storage.OpenBlob. It never fails.
func (o *openBlob) Close() error {
	o.closed.Store(true)
	return nil
}
