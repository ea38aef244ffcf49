package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// opening is shared by a log and a blob store that are opened together.
//
// An opening has two halves:
//
//	inspect    takes the locks, reads everything, and finds out what must be done
//	settle     does all that writes
//
// Between the two the caller may refuse what was found. An engine does so if log and
// manifest do not go together. Then everything is as it was before.
//
// What the inspection has read need not be durable yet: a name may never have been flushed,
// and a group may be in the page cache only. So nothing may be built on it before it is
// settled. Every mutation settles first, the log and the blobs together, because a blob may
// reflect what is in the log. Reads do not settle. So an opening is complete only when it
// is settled, and before that nobody else may be told what was read.
type opening struct {
	made tracks

	// mu is held while the opening is settled. It is taken after the locks of mutations and
	// before those of flushes. It guards parts and err.
	mu    sync.Mutex
	parts []func(ctx context.Context) error // the steps of settle, the last one first
	err   error                             // why settle has failed, or will not happen
	done  atomic.Bool                       // settle has succeeded
}

// settle does all parts, unless that was done. A failure is final.
func (o *opening) settle(ctx context.Context) error {
	if o.done.Load() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done.Load() || o.err != nil {
		return o.err
	}
	// The blobs come first. Their part takes longer, and mostly changes nothing. So if the
	// context ends during that part, everything is as it was.
	for _, part := range slices.Backward(o.parts) {
		if o.err = part(ctx); o.err != nil {
			return o.err
		}
	}
	o.done.Store(true)
	return nil
}

// beforeMutation settles before a mutation. If that fails, the mutation has no effect.
func (o *opening) beforeMutation(ctx context.Context) error {
	if err := o.settle(ctx); err != nil {
		return storage.NoEffect(fmt.Errorf("%w: the location could not be opened for writing: %w", ErrFailed, err))
	}
	return nil
}

// end says that the opening will not be settled from now on, and why. It reports whether it
// was settled before.
func (o *opening) end(why error) (settled bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = why
	}
	return o.done.Load()
}

// tracks are the directories that an opening has made, in this order. An opening that is
// refused removes them.
type tracks struct {
	mu   sync.Mutex // guards dirs
	dirs []string
}

func (t *tracks) add(dir string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirs = append(t.dirs, dir)
}

// remove removes the directories that are empty. It may be called again when more of them
// are.
func (t *tracks) remove(fsys vfs.FS) { t.removeBelow(fsys, "") }

// removeBelow removes the directories below a directory. "" means all.
func (t *tracks) removeBelow(fsys vfs.FS, above string) {
	if above != "" {
		above += string(filepath.Separator)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var left []string
	for _, dir := range slices.Backward(t.dirs) {
		if !strings.HasPrefix(dir, above) {
			left = append(left, dir)
		} else if err := ignoreNotExist(fsys.Remove(dir)); err != nil {
			left = append(left, dir)
		}
	}
	slices.Reverse(left)
	t.dirs = left
}

// retried is how often an opening begins again. It does so if another opening, which was
// refused meanwhile, has removed the directory that both of them use.
const retried = 16

// lockIn makes a directory and takes the lock in it.
func (o *opening) lockIn(ctx context.Context, c config, dir, location string) (l *heldLock, err error) {
	for range retried {
		if err = ctx.Err(); err != nil {
			return nil, err
		}
		if err = c.makeDir(dir, &o.made); err == nil {
			l, err = takeLock(c.fsys, dir, location, c.lock)
		}
		if err == nil {
			return l, nil
		}
		if !isNotExist(err) && !errors.Is(err, vfs.ErrReplaced) {
			break
		}
	}
	o.made.remove(c.fsys)
	return nil, err
}

// takeBack gives up the lock of an opening that was refused, and leaves everything as it
// was found.
func (o *opening) takeBack(c config, l *heldLock) error {
	// Do this while the lock is held: the next holder relies on the directories that are there.
	o.made.removeBelow(c.fsys, filepath.Dir(l.name))
	err := errors.Join(l.restore(), l.unlock())
	//museum:refusal-that-leaves
	o.made.remove(c.fsys)
	return err
}
