package file

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
)

// A reader pins a blob by a shared lock on one byte of the file pins. The key chooses the
// byte. So ten thousand blobs need one descriptor.
//
// Before the writer removes a blob, it takes the exclusive lock on that byte. If the writer
// cannot have the lock, a reader has the blob pinned. Then the writer moves the file into the
// directory pinned, where the reader finds it. The writer removes it from there once the lock
// is free. docs/format-file.md has the rules, and says why they are enough.
//
// Locks end with the process that holds them, so nothing is kept for a reader that was killed.
// If there is no file pins, or the system has no such locks, readers keep the blobs open
// instead.
const (
	blobPins   = "pins"   // below blobDir: an empty file, whose bytes are locked
	blobPinned = "pinned" // below blobDir: blobs that were deleted while they were pinned
)

// pinRun is how many neighbouring bytes there are for keys that differ in their last number
// alone.
const pinRun = 1 << 20

// pinByte is the offset of the byte of a key. Keys that share a byte are kept until none of
// them is pinned.
//
// The system keeps the locks of a file in a list, and each call walks the list. Locks on
// neighbouring bytes are one entry of the list. Ten thousand bytes that lie apart take
// seconds to lock. So keys that differ in their last number alone, such as the parts of a
// batch, have neighbouring bytes.
func pinByte(key string) int64 {
	end := len(key)
	for end > 0 && !isDigit(key[end-1]) {
		end--
	}
	begin, n := end, int64(0)
	for begin > 0 && isDigit(key[begin-1]) {
		begin--
	}
	for _, digit := range []byte(key[begin:end]) {
		n = (n*10 + int64(digit-'0')) % pinRun
	}
	hash := xxhash.Sum64String(key[:begin] + "#" + key[end:])
	//museum:locks-that-lie-apart
	return int64(hash>>2)/pinRun*pinRun + n //nolint:gosec // 62 bits are left
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// pinnedName is the name in the directory pinned of a file that was deleted while it was
// pinned.
func pinnedName(key string, id vfs.FileID) string {
	return fmt.Sprintf("%016x-%x", pinByte(key), id.Inode)
}

// pinnedByte returns the byte in a name of pinnedName. It reports false for a name that
// pinnedName never makes.
func pinnedByte(name string) (at int64, ok bool) {
	digits, inode, _ := strings.Cut(name, "-")
	at, err := strconv.ParseInt(digits, 16, 64)
	if err != nil {
		return 0, false
	}
	number, err := strconv.ParseUint(inode, 16, 64)
	return at, err == nil && name == fmt.Sprintf("%016x-%x", at, number)
}

// pinnedBlobs is what the writer knows about pins.
type pinnedBlobs struct {
	fsys vfs.FS
	dir  string // the directory pinned; it may not exist
	// locks is the file pins. If it is nil, there is no such file, and nothing is pinned by
	// locks.
	locks vfs.File
	// bytes is held for a byte while the byte is locked. The lock belongs to the handle, so it
	// does not keep goroutines of the writer apart.
	bytes keyLocks[int64]

	mu    sync.Mutex
	names []string // in dir; guarded by mu
}

// inspectPins opens the file pins, if it is there, and finds the blobs that were deleted
// while they were pinned. It changes nothing: see opening.
func (b *Blob) inspectPins() error {
	p := &b.pinned
	p.fsys, p.dir = b.config.fsys, filepath.Join(b.base, blobPinned)
	name := filepath.Join(b.base, blobPins)
	names, err := p.fsys.List(p.dir)
	if ignoreNotExist(err) != nil {
		return fmt.Errorf("list pinned blobs: %w", err)
	}
	p.names = names
	locks, err := p.fsys.OpenWrite(name)
	if isNotExist(err) {
		return nil
	}
	if err != nil { // it is there: readers may have locked it
		return fmt.Errorf("open %s: %w", name, err)
	}
	p.locks = locks
	return nil
}

// settlePins makes the file pins, if it is missing and that is possible. Without it readers
// keep blobs open. So a disk that has no room for the file does no harm.
//
// It comes last in an opening, and nothing fails after it. The reason: the file is not
// taken back. If it were, a reader that had it open would lock a file that no writer asks
// any more.
func (b *Blob) settlePins(context.Context) error {
	p := &b.pinned
	if p.locks == nil {
		name := filepath.Join(b.base, blobPins)
		locks, err := p.fsys.Create(name)
		if err != nil {
			if _, there := p.fsys.Stat(name); there == nil {
				return fmt.Errorf("make %s: %w", name, err) // readers may have locked it
			}
			b.logger.Warn("cannot make the file by which readers pin blobs: they keep files open instead", "file", name, "error", err)
			return nil
		}
		p.locks = locks
	}
	if err := p.locks.TryLockByte(0, true); err == nil {
		_ = p.locks.UnlockByte(0) // at worst, readers keep the file open
	} else if errors.Is(err, errors.ErrUnsupported) {
		// Readers have no such locks either.
		_ = p.locks.Close() // nothing was written to it
		p.locks = nil
	}
	b.sweepPinned(len(p.names))
	return nil
}

// unlink takes a blob out of the directory of blobs: it removes the blob, or moves it into
// the directory pinned.
func (p *pinnedBlobs) unlink(key, path string) error {
	free, err := p.ifFree(pinByte(key), func() error { return p.fsys.Remove(path) })
	if free {
		return err
	}
	// The blob is pinned, or that is not known. In the second case sweep reports the error.
	f, err := p.fsys.Open(path)
	if err != nil {
		return err
	}
	id, err := f.ID()
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("identify %s: %w", path, err)
	}
	if err := p.fsys.Mkdir(p.dir); err != nil && !errors.Is(err, iofs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	name := pinnedName(key, id)
	p.mu.Lock()
	p.names = append(p.names, name) // before the rename, which may have an effect although it fails
	p.mu.Unlock()
	return p.fsys.Rename(path, filepath.Join(p.dir, name))
}

// ifFree calls do if no key of a byte is pinned, and reports whether it did. Nobody can pin
// these keys while do runs. If it is not known whether a key is pinned, ifFree returns
// false and an error.
func (p *pinnedBlobs) ifFree(at int64, do func() error) (free bool, err error) {
	//museum:deletes-what-is-pinned
	if p.locks == nil {
		return true, do()
	}
	defer p.bytes.lock(at)()
	switch err := p.locks.TryLockByte(at, true); {
	case errors.Is(err, vfs.ErrHeld):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("lock byte %d of the file %s: %w", at, blobPins, err)
	}
	err = do()
	_ = p.locks.UnlockByte(at) // at worst, readers keep the file open
	return true, err
}

// sweep looks at up to most of the blobs that were deleted while they were pinned, the
// oldest first. It removes those that are no longer pinned, and returns how many. The
// others come last the next time.
func (p *pinnedBlobs) sweep(most int) (removed int, err error) {
	p.mu.Lock()
	//museum:pinned-for-ever
	most = min(most, len(p.names))
	names := p.names[:most:most]
	p.names = p.names[most:]
	p.mu.Unlock()
	var errs []error
	for _, name := range names {
		at, ok := pinnedByte(name)
		if !ok {
			continue // not ours
		}
		free, err := p.ifFree(at, func() error { return ignoreNotExist(p.fsys.Remove(filepath.Join(p.dir, name))) })
		if free && err == nil {
			removed++
			continue
		}
		errs = append(errs, err)
		p.mu.Lock()
		p.names = append(p.names, name)
		p.mu.Unlock()
	}
	return removed, errors.Join(errs...)
}
