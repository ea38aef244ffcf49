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

// Log is a [storage.Log] in the directory log of a location on the local disk. It holds the
// lock of the log until it is closed.
//
// Each Append costs one write and one flush of a file that does not grow. Reading does not
// disturb appending: it takes no lock that is held during I/O.
//
// Until Close a Log holds:
//
//   - one open file for each segment: the size of the log divided by the segment size;
//   - two files that are ready to become segments;
//   - three files for the directory and the lock;
//   - a goroutine that prepares segments.
//
// A long Read holds up to 16 MiB that it has read ahead, and a goroutine for each of up to
// four groups.
type Log struct {
	config
	dir     string // the directory of the segments
	opening *opening
	held    *heldLock
	names   vfs.Dir // dir, kept open: durability must not need a free descriptor
	spares  *spares
	reads   operations
	found   found  // what the inspection has found and settle must do
	first   string // the segment that this opening makes, if the log had none
	// beside, if not nil, fails if the blobs of the location are not where they were. It is
	// set before the first mutation.
	beside   func() error
	recovery Recovery

	// appending is held during an Append and during Close, and guards write. truncating is
	// held during a Truncate and during Close. Lock order: appending, truncating, mu.
	appending sync.Mutex
	write     struct {
		off      int64     // where the next group goes in the newest segment
		buf      []byte    // for encoding, reused
		marked   bool      // the mark at off may not be durable yet
		prepared bool      // the segment after this one was asked for
		looked   time.Time // when the place of the location was checked last
	}
	truncating sync.Mutex
	flushing   sync.Mutex // held while the directory is flushed; taken before mu

	// mu guards what readers need. It is never held during I/O.
	mu struct {
		sync.Mutex
		segs   []*segment    // ascending, without gaps, a reference each; empty only before settle
		last   storage.SeqNo // newest durable position
		failed error         // why nothing can be appended any more
		closed bool
		cursor cursor // where the last Read ended
	}

	closing  sync.Once
	closeErr error
}

// NewLog opens the log of the location dir for writing and creates what is missing. It
// checks every frame of the log, and cuts a torn tail that was never acknowledged (see
// [Log.Recovery]). It keeps the log locked until Close.
//
// If NewLog refuses the log, it leaves everything as it was. If the disk fails while an
// existing log is settled, the finished steps stay, as after a crash: see [Open].
//
// If there is no log, the first Append or Truncate makes it. Without one, Close leaves
// nothing behind. So a caller that finds that this log and the blobs do not go together may
// close both.
//
// The log has the directory dir/log to itself, and a Blob has dir/blob. So both may be
// given the same dir.
//
// Errors: storage.LockedError if another handle has the log open, in this process or
// another; storage.CorruptError for damage, which is left as it is; ErrNewerFormat; those
// of the file system.
func NewLog(dir string, opts ...Option) (*Log, error) {
	ctx := context.Background()
	l, err := openLog(ctx, dir, opts, new(opening))
	if err != nil {
		return nil, err
	}
	if len(l.mu.segs) == 0 {
		return l, nil // there are no entries that must be durable before they are read
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

// letGo closes everything that is open, without the lock.
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

// Bounds implements [storage.LogReader]. Positions are dense. After moves when a whole
// segment is truncated.
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

// Read implements [storage.LogReader]. It yields what was durable when it was called, even
// if the log is truncated meanwhile. If it begins where an earlier Read ended, it costs no
// more than what is new.
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

// beginRead collects the segments to be read, with a reference each.
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

// endRead releases the references, and remembers the place for the next Read.
func (l *Log) endRead(r *reading) {
	l.mu.Lock()
	var old cursor
	if c := r.cursor(); c.seg != nil && !l.mu.closed {
		old, l.mu.cursor = l.mu.cursor, c.acquire()
	}
	l.mu.Unlock()
	// These references were only read through, so closing the files loses nothing, and no
	// caller waits for the errors.
	_ = old.release()
	_ = r.release()
}

// Close makes the end of the log durable and gives up the lock. It waits for an Append or
// Truncate under way. A Read under way ends with ErrClosed. Close waits for the reads of
// the disk that are under way, including those whose caller has given up because the disk
// did not answer.
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
			// Nothing was appended to this segment: an append waits until everything is
			// settled. Remove it while the lock is held: afterwards another opening may use it.
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
