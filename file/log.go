package file

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"time"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

const logDir = "log"

var _ storage.Log = (*Log)(nil)

// Log is a [storage.Log] in the directory log of a location on the local disk.
// It has the location's log locked until it is closed.
//
// Each Append costs one write and one flush of a file that does not grow.
// Reading does not disturb appending: it takes no lock that is held during I/O.
//
// Holds: one open file for each segment, so the size of the log divided by the
// segment size, two for files that are ready to become segments, three for directory
// and lock; a goroutine that prepares segments; until Close. A long Read holds
// up to 16 MiB that it has read ahead, and a goroutine for each of up to four groups.
type Log struct {
	config
	dir     string // the directory of the segments
	opening *opening
	held    *heldLock
	names   vfs.Dir // dir, open: durability must not depend on a free descriptor
	spares  *spares
	reads   operations
	found   found  // by the inspection, to be settled
	first   string // the segment that this opening makes, if the log had none
	// beside, if it is there, fails if the blobs of the location are not where they
	// were. It is set before the first mutation.
	beside   func() error
	recovery Recovery

	// appending is held during an Append, by Close, and guards write. It is taken
	// before truncating, which is held during a Truncate; both before mu.
	appending sync.Mutex
	write     struct {
		off      int64     // where the next group goes in the newest segment
		buf      []byte    // for encoding, reused
		marked   bool      // the mark at off may not be durable yet
		prepared bool      // the segment after this one was asked for
		looked   time.Time // when the place of the location was
	}
	truncating sync.Mutex
	flushing   sync.Mutex // held while the directory is flushed; before mu

	// mu guards what readers need. It is never held during I/O.
	mu struct {
		sync.Mutex
		segs   []*segment    // ascending, without gaps; a reference each. Empty only before the log is settled
		last   storage.SeqNo // newest durable position
		failed error         // why nothing can be appended any more
		closed bool
		cursor cursor // where the last Read ended
	}

	closing  sync.Once
	closeErr error
}

// NewLog opens the log of the location dir for writing and creates what is
// missing. It checks every frame of the log, cuts a torn tail that was never
// acknowledged (see [Log.Recovery]), and keeps the log locked until Close.
//
// If it refuses the log it leaves everything as it was. If the disk fails while an existing
// log is settled, what was done stays, as after a crash: see [Open]. A log that is not there
// is made by the first Append or Truncate: if that does not come, Close leaves nothing
// behind. So whoever finds that this log and the blobs do not go together may close both.
//
// The log has the directory dir/log to itself, and a Blob the directory
// dir/blob, so that both may be given the same dir.
//
// Errors: storage.LockedError if another handle has it open, in this process or
// another; storage.CorruptError for damage, which is left as it is;
// ErrNewerFormat; those of the file system.
func NewLog(dir string, opts ...Option) (*Log, error) {
	ctx := context.Background()
	l, err := openLog(ctx, dir, opts, new(opening))
	if err != nil {
		return nil, err
	}
	if len(l.mu.segs) == 0 {
		return l, nil // there is nothing that must be durable before it is read
	}
	if err := l.opening.settle(ctx); err != nil {
		return nil, fmt.Errorf("file: open log %s: %w", dir, errors.Join(err, l.Close()))
	}
	return l, nil
}

// openLog opens the log of a location without changing it: see opening.
func openLog(ctx context.Context, dir string, opts []Option, o *opening) (*Log, error) {
	cfg, dir, err := locate(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("file: open log %s: %w", dir, err)
	}
	l := &Log{config: cfg, dir: filepath.Join(dir, logDir), opening: o, reads: newOperations()}
	if l.held, err = o.lockIn(ctx, cfg, l.dir, dir); err == nil {
		if err = l.inspect(ctx); err != nil {
			err = errors.Join(err, l.letGo(), o.takeBack(cfg, l.held))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("file: open log %s: %w", dir, err)
	}
	o.parts = append(o.parts, l.settle)
	return l, nil
}

// letGo closes whatever is open, but for the lock.
func (l *Log) letGo() error {
	var errs []error
	if l.spares != nil {
		errs = append(errs, l.spares.close())
	}
	l.mu.Lock()
	segs, cur := l.mu.segs, l.mu.cursor
	l.mu.segs, l.mu.cursor = nil, cursor{}
	l.mu.Unlock()
	errs = append(errs, cur.release())
	for _, s := range segs {
		errs = append(errs, s.release())
	}
	if l.names != nil {
		errs = append(errs, l.names.Close())
	}
	return errors.Join(errs...)
}

// Bounds implements [storage.LogReader]. Positions are dense; After moves when a
// whole segment was truncated.
func (l *Log) Bounds(ctx context.Context) (storage.Bounds, error) {
	if err := ctx.Err(); err != nil {
		return storage.Bounds{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return storage.Bounds{}, l.errClosed()
	}
	if len(l.mu.segs) == 0 {
		return storage.Bounds{}, nil
	}
	return storage.Bounds{After: l.mu.segs[0].first - 1, Last: l.mu.last}, nil
}

// Read implements [storage.LogReader]. It yields what was durable when it was
// called, also if the log is truncated meanwhile. Beginning where an earlier
// Read ended costs no more than what is new.
func (l *Log) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		r, err := l.beginRead(after)
		if err != nil {
			yield(storage.Entry{}, err)
			return
		}
		r.run(ctx, l.reads, l.stillOpen, yield)
		l.endRead(r)
	}
}

func (l *Log) stillOpen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return l.errClosed()
	}
	return nil
}

// beginRead collects, with a reference each, the segments to be read.
func (l *Log) beginRead(after storage.SeqNo) (*reading, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, l.errClosed()
	}
	segs := l.mu.segs
	if len(segs) > 0 && after+1 < segs[0].first {
		return nil, errTruncated(l.dir, after, segs[0].first)
	}
	return newReading(segs, l.mu.cursor, after, l.mu.last), nil
}

// endRead gives the references up, and keeps the place for the next Read.
func (l *Log) endRead(r *reading) {
	l.mu.Lock()
	var old cursor
	if c := r.cursor(); c.seg != nil && !l.mu.closed {
		old, l.mu.cursor = l.mu.cursor, c.acquire()
	}
	l.mu.Unlock()
	// Closing files that were only read through these references cannot lose
	// anything, and there is nobody to tell.
	_ = old.release()
	_ = r.release()
}

// Close makes the end of the log durable and gives up the lock. It waits for an
// Append or Truncate under way; a Read under way ends with ErrClosed, and what it is
// reading is waited for, also if its caller has given up because the disk did not answer.
func (l *Log) Close() error {
	l.closing.Do(func() {
		defer l.reads.wait()
		l.mu.Lock()
		l.mu.closed = true
		l.mu.Unlock()
		l.appending.Lock()
		defer l.appending.Unlock()
		l.truncating.Lock()
		defer l.truncating.Unlock()
		if err := l.close(); err != nil {
			l.closeErr = fmt.Errorf("file: close log %s: %w", l.dir, err)
		}
	})
	return l.closeErr
}

// close closes the log while nothing else is under way.
func (l *Log) close() error {
	if !l.opening.end(l.errClosed()) {
		err := l.letGo()
		//museum:segment-left-behind
		if l.first != "" {
			// Nothing was appended to it: an append waits for all to be settled. While the lock
			// is held, for somebody else may go on with it afterwards.
			err = errors.Join(err, ignoreNotExist(l.fsys.Remove(l.first)))
		}
		return errors.Join(err, l.opening.takeBack(l.config, l.held))
	}
	l.mu.Lock()
	active, failed := l.mu.segs[len(l.mu.segs)-1], l.mu.failed
	l.mu.Unlock()
	var err error
	if failed == nil && l.write.marked {
		err = active.f.Datasync()
	}
	return errors.Join(err, l.letGo(), l.held.unlock())
}

func (l *Log) errClosed() error { return fmt.Errorf("log %s: %w", l.dir, storage.ErrClosed) }
