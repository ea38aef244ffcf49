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

// opening is what a log and a blob store that are opened together share.
//
// Opening has two halves. The first one inspects: it takes the locks and reads,
// and finds out what is to be done. The second one settles: it does all that
// writes. Between the two whoever opens may refuse what was found, as an engine
// does that finds log and manifest not to go together; then all is as it was.
//
// What inspecting believes need not be durable yet: a name that was never flushed, a
// group that is in the page cache only. So nothing may be built on it before it is
// settled: every mutation settles first, of the log and the blobs together, for a
// blob may reflect what is in the log. Reads do not; so an opening is not over, and
// nobody else may be told what was read, before it is settled.
type opening struct {
	made tracks

	// mu is held while the opening is settled. It is taken after the locks of
	// mutations and before those of flushes. It guards parts and err.
	mu    sync.Mutex
	parts []func(ctx context.Context) error // what is to be done: of the log, of the blobs
	err   error                             // why it could not be, or will not
	done  atomic.Bool                       // all of it was
}

// settle does what is to be done, unless that was done. A failure is final.
func (o *opening) settle(ctx context.Context) error {
	if o.done.Load() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done.Load() || o.err != nil {
		return o.err
	}
	// The blobs first: theirs takes longer, and changes nothing for the most part, so that
	// a context that ends then leaves everything as it was.
	for _, part := range slices.Backward(o.parts) {
		if o.err = part(ctx); o.err != nil {
			return o.err
		}
	}
	o.done.Store(true)
	return nil
}

// beforeMutation settles before a mutation, which has no effect if that fails.
func (o *opening) beforeMutation(ctx context.Context) error {
	if err := o.settle(ctx); err != nil {
		return storage.NoEffect(fmt.Errorf("%w: the location could not be opened for writing: %w", ErrFailed, err))
	}
	return nil
}

// end says that nothing is to be settled any more, for the reason given. It reports
// whether everything was.
func (o *opening) end(why error) (settled bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = why
	}
	return o.done.Load()
}

// tracks are the directories that an opening has made, in this order, so that one
// that is refused can take them back.
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

// remove removes the directories, as far as nobody has put something there. It may
// be called again when there is less in them.
func (t *tracks) remove(fsys vfs.FS) { t.removeBelow(fsys, "") }

// removeBelow removes those below a directory; "": all.
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

// retried is how often an opening begins again because another one, which was
// refused meanwhile, has taken back the directory that both of them were in.
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

// takeBack gives up the lock of an opening that was refused, and leaves everything
// as it was found.
func (o *opening) takeBack(c config, l *heldLock) error {
	// Whoever takes the lock next relies on what he finds below it.
	o.made.removeBelow(c.fsys, filepath.Dir(l.name))
	err := errors.Join(l.restore(), l.unlock())
	//museum:refusal-that-leaves
	o.made.remove(c.fsys)
	return err
}
