package file

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"

	"github.com/tidemark-go/tidemark/storage"
)

var (
	_ storage.BlobReader = (*BlobReader)(nil)
	_ storage.Pinner     = (*BlobReader)(nil)
)

// BlobReader reads the blobs of a location that somebody else may be writing, in
// another process or in this one. It takes no lock, writes nothing and creates
// nothing; a location that was never created has no blobs.
//
// Holds: one open file for each pinned key.
type BlobReader struct {
	blobFiles

	// mu guards what follows. It is never held during I/O.
	mu     sync.Mutex
	closed bool
	pins   map[string]*pin
}

// pin is a blob kept open. It is closed when nobody uses it.
type pin struct {
	f     handle
	users int // pins and reads under way; guarded by BlobReader.mu
	pins  int // pins; guarded by BlobReader.mu
}

// NewBlobReader opens the blobs of the location dir for reading. It fails for wrong
// options, and for a relative path without a working directory: what is in the location
// is found out by reading.
func NewBlobReader(dir string, opts ...Option) (*BlobReader, error) {
	cfg, dir, err := locate(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("file: read blobs %s: %w", dir, err)
	}
	return &BlobReader{
		blobFiles: blobFiles{cfg.fsys, filepath.Join(dir, blobDir, blobData)},
		pins:      make(map[string]*pin),
	}, nil
}

// Get implements [storage.BlobReader].
func (r *BlobReader) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	p, err := r.use(ctx, key)
	if err != nil {
		return nil, storage.NoVersion, err
	}
	if p == nil {
		return r.get(key)
	}
	data, err := readBlob(p.f, key)
	if err = errors.Join(err, r.done(p)); err != nil {
		return nil, storage.NoVersion, err
	}
	return data, blobVersion(data), nil
}

// GetRange implements [storage.BlobReader].
func (r *BlobReader) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	p, err := r.use(ctx, key)
	if err != nil {
		return nil, err
	}
	if p == nil {
		f, err := r.open(key)
		if err != nil {
			return nil, err
		}
		p = &pin{f: f, users: 1}
	}
	data, err := readBlobRange(p.f, key, offset, length)
	if err = errors.Join(err, r.done(p)); err != nil {
		return nil, err
	}
	return data, nil
}

// use returns the pin of a key for one read, or nil if it is not pinned.
func (r *BlobReader) use(ctx context.Context, key string) (*pin, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, r.errClosed()
	}
	p := r.pins[key]
	if p != nil {
		p.users++
	}
	return p, nil
}

// done ends one use of a pin.
func (r *BlobReader) done(p *pin) error {
	r.mu.Lock()
	p.users--
	idle := p.users == 0
	r.mu.Unlock()
	if idle {
		return p.f.Close()
	}
	return nil
}

// Pin implements [storage.Pinner] by keeping the file open. While a key is
// pinned this reader goes on seeing the contents of the first Pin, also if the
// blob is replaced and pinned again.
func (r *BlobReader) Pin(ctx context.Context, key string) (release func(), err error) {
	p, err := r.use(ctx, key)
	if err != nil {
		return nil, err
	}
	if p == nil {
		f, err := r.open(key)
		if err != nil {
			return nil, err
		}
		p = &pin{f: f, users: 1}
	}
	r.mu.Lock()
	var surplus *pin
	if r.closed {
		surplus, err = p, r.errClosed()
	} else {
		if other := r.pins[key]; other != nil && other != p {
			// Pinned by somebody else meanwhile: join that one.
			other.users++
			surplus, p = p, other
		}
		r.pins[key] = p
		p.pins++
	}
	r.mu.Unlock()
	if surplus != nil {
		err = errors.Join(err, r.done(surplus))
	}
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { r.unpin(key, p) }), nil
}

func (r *BlobReader) unpin(key string, p *pin) {
	r.mu.Lock()
	if p.pins == 0 { // Close was here
		r.mu.Unlock()
		return
	}
	if p.pins--; p.pins == 0 {
		delete(r.pins, key)
	}
	r.mu.Unlock()
	_ = r.done(p) // only read
}

// List implements [storage.BlobReader]. It holds the matching keys in memory.
// Pinned blobs that are deleted are not listed.
func (r *BlobReader) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		if err := errors.Join(ctx.Err(), r.check()); err != nil {
			yield(storage.BlobInfo{}, err)
			return
		}
		r.all(ctx, prefix, r.check)(yield)
	}
}

func (r *BlobReader) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.errClosed()
	}
	return nil
}

func (r *BlobReader) errClosed() error {
	return fmt.Errorf("reader of blobs %s: %w", r.dir, storage.ErrClosed)
}

// Close implements [storage.BlobReader]. It ends all pins.
func (r *BlobReader) Close() error {
	r.mu.Lock()
	r.closed = true
	var idle []handle
	for _, p := range r.pins {
		if p.users -= p.pins; p.users == 0 {
			idle = append(idle, p.f)
		}
		p.pins = 0
	}
	clear(r.pins)
	r.mu.Unlock()
	var errs []error
	for _, f := range idle {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
