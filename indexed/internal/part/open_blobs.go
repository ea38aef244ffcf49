package part

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/tidemark-go/tidemark/storage"
)

// openBlobs keeps the blobs open that were read last, if the store can open blobs. A read by
// key reads a few short pieces of a part: to open the file for each of them would take longer
// than to read it.
type openBlobs struct {
	opener storage.Opener // nil: nothing is kept open
	kept   *otter.Cache[string, *openBlob]
	ended  *atomic.Bool // nothing is kept any more
}

// maxOpenBlobs bounds the blobs that are kept open: each takes a descriptor of the process. A few
// more are open while reads under way add others.
const maxOpenBlobs = 128

// openBlob is an open blob. It is closed when nobody uses it, and it is not kept.
type openBlob struct {
	storage.OpenBlob
	users atomic.Int32 // reads under way, and 1 while it is kept; 0: it is closed
}

func newOpenBlobs(blob storage.BlobReader) (openBlobs, error) {
	opener, ok := blob.(storage.Opener)
	if !ok {
		return openBlobs{}, nil
	}
	kept, err := otter.New(&otter.Options[string, *openBlob]{
		MaximumSize: maxOpenBlobs,
		OnDeletion:  func(e otter.DeletionEvent[string, *openBlob]) { e.Value.done() },
		Executor:    func(fn func()) { fn() }, // see newCache
		Logger:      quietLogger{},
	})
	if err != nil {
		return openBlobs{}, fmt.Errorf("tidemark: open blobs: %w", err)
	}
	return openBlobs{opener, kept, new(atomic.Bool)}, nil
}

// use begins a use of the blob. It returns false if the blob was closed.
func (o *openBlob) use() bool {
	for {
		n := o.users.Load()
		if n == 0 {
			return false
		}
		if o.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// done ends a use of the blob.
func (o *openBlob) done() {
	if o.users.Add(-1) == 0 {
		_ = o.Close() // it was only read
	}
}

// readRange returns a range of a blob that never changes. The result lies in room, if it fits:
// see storage.OpenBlob. It takes no memory for bytes that the blob does not have.
func (o openBlobs) readRange(ctx context.Context, key string, room []byte, offset, length int64) ([]byte, error) {
	b, err := o.open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer b.done()
	if size := b.Size(); offset < 0 || length < 0 || offset > size || length > size-offset {
		return nil, fmt.Errorf("%d bytes from byte %d on, of %d: %w", length, offset, size, storage.ErrInvalidRange)
	}
	if length > math.MaxInt/2 { // as in package file
		return nil, fmt.Errorf("%d bytes at once: %w", length, storage.ErrTooLarge)
	}
	data := slices.Grow(room[:0], int(length))[:length]
	return data, b.ReadRange(ctx, data, offset)
}

// open returns an open blob, and begins a use of it.
func (o openBlobs) open(ctx context.Context, key string) (*openBlob, error) {
	if b, ok := o.kept.GetIfPresent(key); ok && b.use() {
		return b, nil
	}
	f, err := o.opener.Open(ctx, key)
	if err != nil && ctx.Err() == nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrClosed) {
		// Perhaps the process has no descriptor left: those that are kept are given up.
		o.kept.InvalidateAll()
		f, err = o.opener.Open(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	b := &openBlob{OpenBlob: f}
	b.users.Store(2) // it is kept, and used
	if _, added := o.kept.SetIfAbsent(key, b); !added {
		b.done() // another reader was faster: this blob is not kept
	} else if o.ended.Load() {
		o.close(key)
	}
	return b, nil
}

// closeAll closes what is kept open, for good.
func (o openBlobs) closeAll() {
	if o.opener != nil {
		o.ended.Store(true)
		o.releaseAll()
	}
}

// releaseAll closes what is kept open, once no read uses it.
func (o openBlobs) releaseAll() {
	if o.opener != nil {
		o.kept.InvalidateAll()
	}
}

// close closes a blob, once no read uses it.
func (o openBlobs) close(key string) {
	if o.opener != nil {
		o.kept.Invalidate(key)
	}
}
