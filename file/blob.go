package file

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

var _ storage.Blob = (*Blob)(nil)

// Blob is a [storage.Blob] in the directory blob of a location on the local disk. Each blob
// has one file, which holds its contents and nothing else. A Blob holds the lock of the
// blobs until it is closed.
//
// Operations on different keys do not wait for each other, except for the flush of the
// directory. A version is a digest of the contents.
type Blob struct {
	config
	blobFiles
	base    string // the parent directory of the data and of the temporary files
	opening *opening
	held    *heldLock
	pinned  pinnedBlobs
	reads   operations
	// names is the directory of the data. It is open from settle on: durability must not need
	// a free descriptor.
	names vfs.Dir
	temps atomic.Uint64 // numbers temporary files
	// makeRoom, if not nil, makes room when the disk is full, and reports whether it could. It
	// is set before the first mutation.
	makeRoom func() bool

	// open is held by every mutation, shared, and by Close. It guards ended.
	open   sync.RWMutex
	closed atomic.Bool           // Close was called: no call begins any more
	ended  bool                  // Close has done its work
	failed atomic.Pointer[error] // why no mutation is possible any more; nil: they are
	// flushes is held while a directory is flushed.
	flushes sync.Mutex

	keys keyLocks[string]
}

// begin starts a mutation. The function that it returns ends the mutation.
func (b *Blob) begin(ctx context.Context) (end func(), err error) {
	// Check before taking the lock: if Close waits for the lock, other calls wait behind Close.
	err = errors.Join(ctx.Err(), b.check())
	if err == nil {
		b.open.RLock()
		if err = b.check(); err != nil {
			b.open.RUnlock()
		}
	}
	if err != nil {
		return nil, storage.NoEffect(err)
	}
	if failed := b.failed.Load(); failed != nil {
		b.open.RUnlock()
		return nil, fmt.Errorf("%w: %w", ErrFailed, *failed)
	}
	//museum:blob-before-the-log
	if err := b.opening.beforeMutation(ctx); err != nil {
		b.open.RUnlock()
		return nil, err
	}
	return b.open.RUnlock, nil
}

// fail ends all mutations for good if a directory could not be flushed. Otherwise a caller
// that reads back a blob that it has set would take the blob for durable.
func (b *Blob) fail(err error) error {
	if errors.Is(err, errFlush) {
		b.failed.CompareAndSwap(nil, &err)
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return err
}

// check fails if the handle was closed.
func (b *Blob) check() error {
	if b.closed.Load() {
		return b.errClosed()
	}
	return nil
}

func (b *Blob) errClosed() error { return fmt.Errorf("blobs %s: %w", b.base, storage.ErrClosed) }

// Get implements [storage.BlobReader].
func (b *Blob) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	var version storage.Version
	data, err := await(ctx, b.reads, func() (data []byte, err error) {
		if err = errors.Join(ctx.Err(), b.check()); err == nil {
			data, version, err = b.get(key)
		}
		return data, err
	}, nil)
	if err != nil {
		return nil, storage.NoVersion, err
	}
	return data, version, nil
}

// GetRange implements [storage.BlobReader].
func (b *Blob) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	return await(ctx, b.reads, func() ([]byte, error) {
		if err := errors.Join(ctx.Err(), b.check()); err != nil {
			return nil, err
		}
		f, err := b.blobFiles.open(key)
		if err != nil {
			return nil, err
		}
		data, err := readBlobRange(f, key, offset, length)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		return data, nil
	}, nil)
}

// List implements [storage.BlobReader]. It holds the matching keys in memory.
func (b *Blob) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		if err := errors.Join(ctx.Err(), b.check()); err != nil {
			yield(storage.BlobInfo{}, err)
			return
		}
		b.all(ctx, prefix, b.reads, b.check)(yield)
	}
}

// Set implements [storage.Blob]. After an error that does not match storage.ErrNoEffect,
// the blob has the old contents or the new ones, as a whole. At a crash the new ones may
// change back to the old ones. If the directory could not be flushed, every further
// mutation fails with ErrFailed.
func (b *Blob) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	return b.mutate(ctx, key, value, nil)
}

// SetIf implements [storage.Blob]. It reads the present contents to find their version.
func (b *Blob) SetIf(ctx context.Context, key string, value []byte, expected storage.Version) (storage.Version, error) {
	return b.mutate(ctx, key, value, func() error {
		_, version, err := b.get(key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if version != expected {
			return fmt.Errorf("set blob %q: its version is %q, expected %q: %w", key, version, expected, storage.ErrConflict)
		}
		return nil
	})
}

// mutate sets a blob, if condition allows it. No other mutation of the same key runs
// meanwhile.
func (b *Blob) mutate(ctx context.Context, key string, value []byte, condition func() error) (storage.Version, error) {
	end, err := b.begin(ctx)
	if err != nil {
		return storage.NoVersion, err
	}
	defer end()
	if !validKey(key) {
		return storage.NoVersion, storage.NoEffect(fmt.Errorf("set blob %q: want 1 to %d bytes of key: %w", key, storage.MaxKeySize, storage.ErrInvalidKey))
	}
	defer b.keys.lock(key)()
	if condition != nil {
		if err := condition(); err != nil {
			return storage.NoVersion, storage.NoEffect(err)
		}
	}
	err = b.set(key, value)
	for isFull(err) && b.sweepPinned(math.MaxInt) > 0 {
		err = b.set(key, value)
	}
	for more := b.makeRoom != nil; more && isFull(err); {
		if more = b.makeRoom(); more {
			b.logger.Warn("the disk is full: gave up a spare segment of the log to write a blob", "key", key, "bytes", len(value))
		}
		//museum:room-of-another
		err = b.set(key, value) // also if there is no more: another blob may have left room
	}
	if err != nil {
		return storage.NoVersion, fmt.Errorf("set blob %q: %w", key, b.fail(err))
	}
	b.sweepPinned(sweptAtOnce)
	return blobVersion(value), nil
}

// isFull reports that a write had no effect because there was no room.
func isFull(err error) bool {
	return errors.Is(err, storage.ErrNoEffect) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// set writes a temporary file, flushes it, renames it to its name, and flushes the
// directory.
func (b *Blob) set(key string, value []byte) error {
	fsys := b.config.fsys
	path := b.path(key)
	dir := filepath.Dir(path)
	if dir != b.dir {
		if err := b.makeDirFor(dir); err != nil {
			return err
		}
	}
	// Open the directory first: if no descriptor is left, nothing has happened yet.
	names, done, err := b.openNames(dir)
	if err != nil {
		return storage.NoEffect(err)
	}
	defer done()
	temp := filepath.Join(b.base, blobTemp, strconv.FormatUint(b.temps.Add(1), 10))
	f, err := fsys.Create(temp)
	if err != nil {
		return storage.NoEffect(err)
	}
	if _, err = f.WriteAt(value, 0); err == nil {
		//museum:rename-before-flush
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		// Give the file up, even if only its flush failed: no flush is tried again.
		return storage.NoEffect(errors.Join(err, fsys.Remove(temp)))
	}
	if err := fsys.Rename(temp, path); err != nil {
		removed := fsys.Remove(temp)
		//museum:rename-half-failed
		if removed == nil || errors.Is(err, storage.ErrNoEffect) {
			return err
		}
		// The rename may have taken effect all the same. Nobody must take the blob for durable,
		// so nothing more is written until the next opening.
		return fmt.Errorf("%w %s: %w; and removing %s failed too: %v", errFlush, dir, err, temp, removed) //nolint:errorlint // it may say that it had no effect
	}
	return b.flushing(func() error { return b.flushDir(names, dir) })
}

// openNames opens the directory of a blob. done closes it, if it was opened for this call.
func (b *Blob) openNames(dir string) (names vfs.Dir, done func(), err error) {
	if dir == b.dir {
		return b.names, func() {}, nil
	}
	names, err = b.config.fsys.OpenDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open directory: %w", err)
	}
	return names, func() { _ = names.Close() }, nil // an error of the flush was reported
}

// makeDirFor makes a directory for the end of a long key, durably. The flush covers names
// of other blobs as well.
func (b *Blob) makeDirFor(dir string) error {
	return b.flushing(func() error {
		err := b.makeDir(dir, nil)
		if errors.Is(err, errFlush) {
			return err
		}
		return storage.NoEffect(err)
	})
}

// flushing calls do, which flushes names. Only one flush runs at a time: while one fails,
// another could succeed without having written what the first one dropped. After a failure
// there are no more flushes.
func (b *Blob) flushing(do func() error) error {
	//museum:two-flushes-at-once
	b.flushes.Lock()
	//museum:two-flushes-at-once/2
	defer b.flushes.Unlock()
	if failed := b.failed.Load(); failed != nil {
		return *failed
	}
	err := do()
	if errors.Is(err, errFlush) {
		b.failed.Store(&err)
	}
	return err
}

// Delete implements [storage.Blob]. The blob stays deleted after a crash. Its space is
// given back at once. If a reader has the blob pinned, the space is given back when the
// reader has let it go: by a later mutation, or by Close.
func (b *Blob) Delete(ctx context.Context, key string) error {
	end, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if !validKey(key) {
		return nil // there is none
	}
	defer b.keys.lock(key)()
	path := b.path(key)
	dir := filepath.Dir(path)
	names, done, err := b.openNames(dir)
	if isNotExist(err) {
		return nil // a directory may be removed with the last of its names
	}
	if err != nil {
		return storage.NoEffect(fmt.Errorf("delete blob %q: %w", key, err))
	}
	defer done()
	if err := ignoreNotExist(b.pinned.unlink(key, path)); err != nil {
		return fmt.Errorf("delete blob %q: %w", key, err)
	}
	// Flush even if the blob was not there: an earlier Delete may have failed half-way.
	if err := b.flushing(func() error { return b.flushDir(names, dir) }); err != nil {
		return fmt.Errorf("delete blob %q: %w", key, b.fail(err))
	}
	b.sweepPinned(sweptAtOnce)
	return nil
}

// sweptAtOnce is how many pinned blobs each mutation looks at. It is more than a mutation
// adds.
const sweptAtOnce = 4

// sweepPinned looks at up to most of the blobs that were deleted while a reader had them
// pinned. It removes those that are no longer pinned, and returns how many. Later calls
// look at the others again.
func (b *Blob) sweepPinned(most int) (removed int) {
	removed, err := b.pinned.sweep(most)
	if err != nil {
		b.logger.Warn("cannot remove a deleted blob that was pinned: it is tried again", "directory", b.pinned.dir, "error", err)
	}
	return removed
}

// Close gives up the lock. It waits for mutations and reads under way, including reads
// whose caller has given up because the disk did not answer.
func (b *Blob) Close() error {
	b.closed.Store(true)
	b.open.Lock()
	defer b.open.Unlock()
	if b.ended {
		return nil
	}
	b.ended = true
	defer b.reads.wait()
	settled := b.opening.end(b.errClosed())
	end := b.held.unlock
	if !settled {
		end = func() error { return b.opening.takeBack(b.config, b.held) }
	}
	var err error
	if b.names != nil {
		err = b.names.Close()
	}
	if b.pinned.locks != nil {
		if settled { // a refused opening removes nothing
			b.sweepPinned(math.MaxInt)
		}
		err = errors.Join(err, b.pinned.locks.Close())
	}
	if err = errors.Join(err, end()); err != nil {
		return fmt.Errorf("file: close blobs %s: %w", b.base, err)
	}
	return nil
}

// keyLocks is a lock for each key in use.
type keyLocks[K comparable] struct {
	mu sync.Mutex // guards m
	m  map[K]*keyLock
}

type keyLock struct {
	sync.Mutex
	users int // holder and waiters; guarded by keyLocks.mu
}

// lock waits for the lock of a key and returns the function that gives it up.
func (k *keyLocks[K]) lock(key K) (unlock func()) {
	k.mu.Lock()
	l := k.m[key]
	if l == nil {
		if k.m == nil {
			k.m = make(map[K]*keyLock)
		}
		l = &keyLock{}
		k.m[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.m, key)
		}
	}
}
