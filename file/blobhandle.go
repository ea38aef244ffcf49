package file

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

var (
	_ storage.Opener   = (*Blob)(nil)
	_ storage.Opener   = (*BlobReader)(nil)
	_ storage.OpenBlob = (*blobHandle)(nil)
)

// blobHandle is an open blob. Its file never changes: a blob is replaced by another file.
type blobHandle struct {
	f     vfs.File
	key   string
	size  int64
	reads operations
	check func() error // fails when the handle was closed that has opened the blob
	close func() error

	mu     sync.Mutex // guards what follows
	closed bool
	users  int // reads under way; the last one closes the file of a blob that was closed
}

func newBlobHandle(f vfs.File, key string, reads operations, check, close func() error) (storage.OpenBlob, error) {
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("size of blob %q: %w", key, err), close())
	}
	return &blobHandle{f: f, key: key, size: size, reads: reads, check: check, close: close}, nil
}

// Open implements [storage.Opener]. The blob has a descriptor until it is closed.
func (b *Blob) Open(ctx context.Context, key string) (storage.OpenBlob, error) {
	return await(ctx, b.reads, func() (storage.OpenBlob, error) {
		if err := errors.Join(ctx.Err(), b.check()); err != nil {
			return nil, err
		}
		f, err := b.blobFiles.open(key)
		if err != nil {
			return nil, err
		}
		return newBlobHandle(f, key, b.reads, b.check, f.Close)
	}, closeUnwanted)
}

// Open implements [storage.Opener]. A pinned blob is opened as it was pinned. The blob has a
// descriptor until it is closed.
func (r *BlobReader) Open(ctx context.Context, key string) (storage.OpenBlob, error) {
	return await(ctx, r.reads, func() (storage.OpenBlob, error) {
		p, err := r.use(ctx, key)
		if err != nil {
			return nil, err
		}
		f, err := r.openUse(p, key)
		if err != nil {
			return nil, err
		}
		return newBlobHandle(f, key, r.reads, r.check, func() error { return r.done(p, f) })
	}, closeUnwanted)
}

func closeUnwanted(b storage.OpenBlob) { _ = b.Close() } // it was not read

// Size implements [storage.OpenBlob].
func (o *blobHandle) Size() int64 { return o.size }

// ReadRange implements [storage.OpenBlob]. What the system has in memory is read at once. The
// rest is an operation on the disk, which may hang: see await.
func (o *blobHandle) ReadRange(ctx context.Context, p []byte, offset int64) error {
	err := errors.Join(ctx.Err(), o.check())
	if err == nil {
		err = checkRange(o.key, o.size, offset, int64(len(p)))
	}
	if err == nil {
		err = o.use()
	}
	if err != nil {
		return err
	}
	n, err := o.f.ReadCached(p, offset)
	if err == nil && n == len(p) {
		o.done()
		return nil
	}
	if err = o.reads.slots.Acquire(ctx, 1); err != nil {
		o.done()
		return err
	}
	_, err = awaitBegun(ctx, o.reads, func() (struct{}, error) {
		defer o.done()
		return struct{}{}, readBlobAt(o.f, o.key, p, offset)
	}, nil)
	return err
}

func (o *blobHandle) use() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return fmt.Errorf("read blob %q: it was closed: %w", o.key, storage.ErrClosed)
	}
	o.users++
	return nil
}

func (o *blobHandle) done() {
	o.mu.Lock()
	o.users--
	last := o.closed && o.users == 0
	o.mu.Unlock()
	if last {
		_ = o.close() // it was only read
	}
}

// Close implements [storage.OpenBlob].
func (o *blobHandle) Close() error {
	o.mu.Lock()
	last := !o.closed && o.users == 0
	o.closed = true
	o.mu.Unlock()
	if last {
		return o.close()
	}
	return nil
}
