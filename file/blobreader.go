package file

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

var (
	_ storage.BlobReader = (*BlobReader)(nil)
	_ storage.Pinner     = (*BlobReader)(nil)
)

// BlobReader reads the blobs of a location that another handle may be writing, in this
// process or in another one. It takes no lock that a writer waits for, writes nothing and
// creates nothing. A location that was never created has no blobs.
//
// Once a key was pinned, it holds one open file, and locks bytes of that file for what is
// pinned. In two cases it holds one open file for each pinned key instead: on systems other
// than Linux, and in a location that no writer of this version has opened yet.
type BlobReader struct {
	blobFiles
	reads operations
	// pinning is held for a byte while a key with that byte is pinned or unpinned: all pins of
	// these keys share the lock on the byte.
	pinning keyLocks[int64]
	// locking is held while the file pins is opened, and by Close. It is taken before mu.
	locking sync.Mutex

	// mu guards what follows. It is never held during I/O.
	mu     sync.Mutex
	closed bool
	pins   map[string]*pin
	bytes  map[int64]int // how many of the pins depend on the lock on a byte
	locks  vfs.File      // the file pins; nil until a key is pinned
}

// pin is a blob that is kept: by the lock on its byte, or open. An open one is closed when
// nothing uses it any more.
type pin struct {
	f     vfs.File   // the open blob; nil: the lock is held
	id    vfs.FileID // identifies the file of the blob, if f is nil
	users int        // pins and reads under way; guarded by BlobReader.mu
	pins  int        // pins; guarded by BlobReader.mu
}

// NewBlobReader opens the blobs of the location dir for reading. It fails for wrong
// options, and for a relative path without a working directory. It does not look at the
// location: reading does.
func NewBlobReader(dir string, opts ...Option) (*BlobReader, error) {
	cfg, dir, err := locate(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("file: read blobs %s: %w", dir, err)
	}
	return &BlobReader{
		blobFiles: blobFiles{cfg.fsys, filepath.Join(dir, blobDir, blobData)}, reads: newOperations(),
		pins: make(map[string]*pin), bytes: make(map[int64]int),
	}, nil
}

// Get implements [storage.BlobReader].
func (r *BlobReader) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	data, err := r.read(ctx, key, func(f vfs.File) ([]byte, error) { return readBlob(f, key) })
	if err != nil {
		return nil, storage.NoVersion, err
	}
	return data, blobVersion(data), nil
}

// GetRange implements [storage.BlobReader].
func (r *BlobReader) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	return r.read(ctx, key, func(f vfs.File) ([]byte, error) { return readBlobRange(f, key, offset, length) })
}

// read opens a blob and calls want, which reads from it.
func (r *BlobReader) read(ctx context.Context, key string, want func(f vfs.File) ([]byte, error)) ([]byte, error) {
	return await(ctx, r.reads, func() ([]byte, error) {
		p, err := r.use(ctx, key)
		if err != nil {
			return nil, err
		}
		f, err := r.openUse(p, key)
		if err != nil {
			return nil, err
		}
		data, err := want(f)
		if err = errors.Join(err, r.done(p, f)); err != nil {
			return nil, err
		}
		return data, nil
	}, nil)
}

// use returns the pin of a key for one read, or nil if the key is not pinned.
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

// openUse opens the blob for a read: the pinned one, or the one that has the key now if p
// is nil. If openUse fails, it has ended the use of p.
func (r *BlobReader) openUse(p *pin, key string) (f vfs.File, err error) {
	switch {
	case p == nil:
		return r.open(key)
	case p.f != nil:
		return p.f, nil
	}
	if f, err = r.openPinned(p, key); err != nil {
		err = errors.Join(err, r.done(p, nil))
	}
	return f, err
}

// openPinned opens a blob that is kept by a lock. It looks among the blobs first, and then
// among the pinned ones. The writer moves a blob in this direction only, so this order
// misses none.
func (r *BlobReader) openPinned(p *pin, key string) (vfs.File, error) {
	for _, path := range []string{r.path(key), filepath.Join(r.base(), blobPinned, pinnedName(key, p.id))} {
		f, err := r.fsys.Open(path)
		if isNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open blob %q: %w", key, err)
		}
		id, err := f.ID()
		if err == nil && id == p.id {
			return f, nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("open blob %q: %w", key, err)
		}
	}
	return nil, fmt.Errorf("blob %q was replaced while it was pinned: %w", key, storage.ErrNotFound)
}

// base is the directory that has the file pins and the directory of pinned blobs.
func (r *BlobReader) base() string { return filepath.Dir(r.dir) }

// done ends one use of the pin p and of the file f. p is nil if the key is not pinned.
func (r *BlobReader) done(p *pin, f vfs.File) error {
	if p == nil {
		return f.Close()
	}
	r.mu.Lock()
	p.users--
	idle := p.users == 0
	r.mu.Unlock()
	if f != nil && (idle || p.f == nil) {
		return f.Close()
	}
	return nil
}

// Pin implements [storage.Pinner]. While a key is pinned, this reader goes on seeing the
// contents of the first Pin after the blob was deleted. If the blob is replaced instead, it
// sees these contents or storage.ErrNotFound, even if the key is pinned again.
func (r *BlobReader) Pin(ctx context.Context, key string) (release func(), err error) {
	return await(ctx, r.reads, func() (func(), error) { return r.pin(ctx, key) }, func(release func()) { release() })
}

func (r *BlobReader) pin(ctx context.Context, key string) (release func(), err error) {
	at := pinByte(key)
	defer r.pinning.lock(at)()
	p, err := r.use(ctx, key)
	if err != nil {
		return nil, err
	}
	if p == nil {
		if p, err = r.keep(key, at); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errors.Join(r.errClosed(), r.done(p, p.f)) // the lock has ended with the reader
	}
	if p.pins++; p.pins == 1 && p.f == nil {
		r.bytes[at]++
	}
	r.pins[key] = p
	r.mu.Unlock()
	return sync.OnceFunc(func() { r.unpin(key, p) }), nil
}

// keep makes a pin of a key that has none: by a lock if that is possible, otherwise by an
// open file.
func (r *BlobReader) keep(key string, at int64) (*pin, error) {
	giveUp := r.lockByte(at)
	f, err := r.open(key)
	if err == nil && giveUp != nil {
		var id vfs.FileID
		if id, err = f.ID(); err != nil {
			err = fmt.Errorf("identify blob %q: %w", key, err)
		}
		if err = errors.Join(err, f.Close()); err == nil {
			return &pin{id: id, users: 1}, nil
		}
	}
	if err != nil {
		if giveUp != nil {
			giveUp()
		}
		return nil, err
	}
	return &pin{f: f, users: 1}, nil
}

// lockByte takes the lock on a byte, and returns a function that gives it up. It returns
// nil if the lock cannot be taken: there are no such locks, or a blob is being deleted.
func (r *BlobReader) lockByte(at int64) (giveUp func()) {
	locks := r.openLocks()
	//museum:descriptor-for-each-part
	if locks == nil || locks.TryLockByte(at, false) != nil {
		return nil
	}
	giveUp = func() { r.unlockByte(locks, at) }
	if is, err := locks.IsAt(filepath.Join(r.base(), blobPins)); err != nil || !is {
		giveUp() // the location was replaced: its writer asks for the locks of another file
		return nil
	}
	return giveUp
}

// unlockByte gives up the lock on a byte, unless the lock keeps other keys.
//
// REQUIRES: pinning is held for the byte.
func (r *BlobReader) unlockByte(locks vfs.File, at int64) {
	r.mu.Lock()
	//museum:released-with-another
	shared := r.bytes[at] > 0
	r.mu.Unlock()
	if !shared {
		_ = locks.UnlockByte(at) // at worst the blob is kept as long as this reader
	}
}

// openLocks returns the file pins, or nil if the file cannot be opened.
func (r *BlobReader) openLocks() vfs.File {
	r.locking.Lock()
	defer r.locking.Unlock()
	r.mu.Lock()
	locks, closed := r.locks, r.closed
	r.mu.Unlock()
	if locks != nil || closed {
		return locks
	}
	locks, err := r.fsys.Open(filepath.Join(r.base(), blobPins))
	if err != nil {
		return nil // no writer of this version has opened the location, or no descriptor is left
	}
	r.mu.Lock()
	r.locks = locks
	r.mu.Unlock()
	return locks
}

// unpin ends one pin of a key. With the last pin it gives up the lock.
func (r *BlobReader) unpin(key string, p *pin) {
	at := pinByte(key)
	defer r.pinning.lock(at)()
	r.mu.Lock()
	if p.pins == 0 { // Close has ended all pins
		r.mu.Unlock()
		return
	}
	p.pins--
	last := p.pins == 0
	if last {
		delete(r.pins, key)
	}
	unlock := last && p.f == nil
	if unlock {
		if r.bytes[at]--; r.bytes[at] == 0 {
			delete(r.bytes, at)
		}
	}
	locks := r.locks
	r.mu.Unlock()
	if unlock {
		r.unlockByte(locks, at)
	}
	_ = r.done(p, p.f) // only read
}

// List implements [storage.BlobReader]. It holds the matching keys in memory. It does not
// list pinned blobs that are deleted.
func (r *BlobReader) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		if err := errors.Join(ctx.Err(), r.check()); err != nil {
			yield(storage.BlobInfo{}, err)
			return
		}
		r.all(ctx, prefix, r.reads, r.check)(yield)
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

// Close implements [storage.BlobReader]. It ends all pins. It waits for reads under way,
// including those whose caller has given up because the disk did not answer.
func (r *BlobReader) Close() error {
	defer r.reads.wait()
	r.locking.Lock()
	defer r.locking.Unlock()
	r.mu.Lock()
	r.closed = true
	var idle []vfs.File
	for _, p := range r.pins {
		if p.users -= p.pins; p.users == 0 && p.f != nil {
			idle = append(idle, p.f)
		}
		p.pins = 0
	}
	clear(r.pins)
	clear(r.bytes)
	if r.locks != nil {
		idle = append(idle, r.locks)
		r.locks = nil
	}
	r.mu.Unlock()
	var errs []error
	for _, f := range idle {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
