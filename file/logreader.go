package file

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

var (
	_ storage.LogReader    = (*LogReader)(nil)
	_ storage.LogHolder    = (*LogReader)(nil)
	_ storage.LogConfirmer = (*LogReader)(nil)
)

// LogReader reads the log of a location that another handle may be writing, in this process
// or in another one. It takes no lock that a writer waits for, writes nothing and
// creates nothing. A location that was never created is empty.
//
// It yields only entries that are followed by proof that they were flushed: a mark, or the
// next group. Confirm can give this proof as well. A poll that finds nothing new costs one
// small read, and a check that the file still has its name.
//
// It holds open the newest segment file, and the one where the last Read ended. After Hold
// it also holds the files in between: as many as the held part of the log has segments. A
// held file that the writer truncates keeps its room on disk until the reader lets it go.
type LogReader struct {
	config
	location string
	dir      string // the directory of the segments
	reads    operations

	// end is a lock that is waited for under a context. An operation holds it during the
	// small reads that find the end of the log, even if its caller has given up. So several
	// goroutines share these reads. It is never held while entries are read or yielded. It
	// guards what follows.
	end struct {
		*semaphore.Weighted
		// kept has the open segments, ascending and without gaps, with a reference each. The
		// last one is the newest. kept is empty as long as the log is.
		kept []*segment
		at   point // behind the newest durable group, in the last of kept
		// searched says that the bytes behind the end were searched once, and show no damage.
		searched bool

		// stuck counts how many polls in a row found the log to end at the same invalid
		// bytes. After suspectAfter of them the bytes are searched.
		stuck struct {
			seg   *segment
			off   int64
			polls int
			err   error // the damage that the search has found
		}
	}

	// mu guards what follows. It is never held during I/O.
	mu struct {
		sync.Mutex
		closed    bool
		cursor    cursor // where the last Read ended
		holding   bool   // Hold was called: what is in advance of hold is kept
		hold      storage.SeqNo
		confirmed storage.SeqNo // Confirm has said that entries up to here are durable
	}
}

// suspectAfter is how many polls may find the log to end at the same invalid bytes. Then
// the reader searches the rest of the segment for proof that these bytes are damaged.
// Usually they are a group that is being written. The first poll of a handle searches at
// once.
const suspectAfter = 16

// errGone: the segment was truncated.
var errGone = errors.New("file: segment is gone")

// NewLogReader opens the log of the location dir for reading. It fails for wrong options,
// and for a relative path without a working directory. It does not look at the location:
// reading does.
func NewLogReader(dir string, opts ...Option) (*LogReader, error) {
	cfg, dir, err := locate(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("file: read log %s: %w", dir, err)
	}
	r := &LogReader{config: cfg, location: dir, dir: filepath.Join(dir, logDir), reads: newOperations()}
	r.end.Weighted = semaphore.NewWeighted(1)
	return r, nil
}

// atEnd finds the end of the log and then calls do, in one operation: see await.
func atEnd[T any](ctx context.Context, r *LogReader, do func() (T, error), undo func(T)) (T, error) {
	return await(ctx, r.reads, func() (T, error) {
		var none T
		if err := r.end.Acquire(ctx, 1); err != nil {
			return none, err
		}
		defer r.end.Release(1)
		if err := r.pollLocked(ctx); err != nil {
			return none, err
		}
		return do()
	}, undo)
}

// Bounds implements [storage.LogReader]. Entries that Hold keeps count as part of the log.
func (r *LogReader) Bounds(ctx context.Context) (storage.Bounds, error) {
	return atEnd(ctx, r, r.boundsLocked, nil)
}

func (r *LogReader) boundsLocked() (storage.Bounds, error) {
	if len(r.end.kept) == 0 {
		return storage.Bounds{}, nil
	}
	first := r.end.kept[0].first
	for {
		indexes, err := r.list()
		if err != nil {
			return storage.Bounds{}, err
		}
		if len(indexes) > 0 && indexes[0] < r.end.kept[0].index {
			s, err := r.open(indexes[0])
			if errors.Is(err, errGone) {
				continue // it was truncated just now: the next one is the first
			}
			if err != nil {
				return storage.Bounds{}, err
			}
			first = s.first
			_ = s.release() // only read
		}
		return storage.Bounds{After: first - 1, Last: r.end.at.next - 1}, nil
	}
}

// Read implements [storage.LogReader]. It yields what was durable when it was called. If it
// begins where an earlier Read ended, it costs no more than what is new.
func (r *LogReader) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		pass, err := r.beginRead(ctx, after)
		if err != nil {
			yield(storage.Entry{}, err)
			return
		}
		pass.run(ctx, r.reads, r.stillOpen, yield)
		r.endRead(pass)
	}
}

func (r *LogReader) beginRead(ctx context.Context, after storage.SeqNo) (*reading, error) {
	return atEnd(ctx, r, func() (*reading, error) {
		if len(r.end.kept) == 0 || after+1 >= r.end.at.next {
			return &reading{after: after, last: after}, nil
		}
		segs, err := r.extendLocked(after)
		if err != nil {
			return nil, errors.Join(err, releaseAll(segs))
		}
		r.mu.Lock()
		//museum:segment-change-missed
		pass := newReading(append(segs, r.end.kept...), r.mu.cursor, after, r.end.at.next-1)
		r.mu.Unlock()
		return pass, releaseAll(segs)
	}, func(pass *reading) { _ = pass.release() }) // only read
}

func (r *LogReader) endRead(pass *reading) {
	r.mu.Lock()
	var old cursor
	if c := pass.cursor(); c.seg != nil && !r.mu.closed {
		old, r.mu.cursor = r.mu.cursor, c.acquire()
	}
	r.mu.Unlock()
	_ = old.release() // only read
	_ = pass.release()
}

func (r *LogReader) stillOpen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return fmt.Errorf("reader of log %s: %w", r.dir, storage.ErrClosed)
	}
	return nil
}

// Hold implements [storage.LogHolder]. It opens the segments in question that are still
// there. From then on every Read and Bounds opens new segments before the writer can
// truncate them, if the two are called often enough. A segment that comes and goes between
// two calls is lost, and Read then reports storage.ErrTruncated.
func (r *LogReader) Hold(ctx context.Context, after storage.SeqNo) {
	r.mu.Lock()
	r.mu.holding, r.mu.hold = true, after
	r.mu.Unlock()
	// If a segment cannot be held, the Read that misses it reports that.
	_, _ = atEnd(ctx, r, func() (none struct{}, err error) {
		if len(r.end.kept) > 0 {
			segs, _ := r.extendLocked(after)
			r.end.kept = append(segs, r.end.kept...)
			r.dropLocked()
		}
		return none, nil
	}, nil)
}

// Confirm implements [storage.LogConfirmer]. It is for the state after a power cut. The cut
// may take the mark behind the newest group, and leave something that was written because
// that group was durable.
func (r *LogReader) Confirm(through storage.SeqNo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.confirmed = max(r.mu.confirmed, through)
}

// Close implements [storage.LogReader]. It waits for reads under way, including those whose
// caller has given up because the disk did not answer.
func (r *LogReader) Close() error {
	defer r.reads.wait()
	r.mu.Lock()
	last := r.mu.cursor
	r.mu.closed, r.mu.cursor = true, cursor{}
	r.mu.Unlock()
	_ = r.end.Acquire(context.Background(), 1) // the context never ends
	defer r.end.Release(1)
	err := errors.Join(last.release(), releaseAll(r.end.kept))
	r.end.kept, r.end.stuck.seg = nil, nil
	return err
}

func releaseAll(segs []*segment) error {
	var errs []error
	for _, s := range segs {
		errs = append(errs, s.release())
	}
	return errors.Join(errs...)
}

// dropLocked gives up the segments that neither Hold nor the next poll needs.
func (r *LogReader) dropLocked() {
	r.mu.Lock()
	holding, hold := r.mu.holding, r.mu.hold
	r.mu.Unlock()
	kept := r.end.kept
	for len(kept) > 1 && (!holding || kept[1].first <= hold+1) {
		_ = kept[0].release() // only read
		kept = kept[1:]
	}
	r.end.kept = kept
}

// extendLocked opens the segments before kept that hold positions in advance of after. It
// begins with the newest, because the writer removes the oldest first. The references
// belong to the caller, even if there is an error.
func (r *LogReader) extendLocked(after storage.SeqNo) (segs []*segment, err error) {
	oldest := r.end.kept[0]
	for oldest.first > after+1 {
		s := r.lastRead(oldest.index - 1)
		if s != nil {
			// The segment is open already.
		} else if s, err = r.open(oldest.index - 1); errors.Is(err, errGone) {
			return segs, r.explainGone(oldest, after)
		} else if err != nil {
			return segs, err
		}
		segs = append([]*segment{s}, segs...)
		oldest = s
	}
	return segs, nil
}

// lastRead returns the segment where the last Read ended, with a reference, if that segment
// has the given index. Otherwise it returns nil.
func (r *LogReader) lastRead(index uint64) *segment {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.mu.cursor; c.seg != nil && c.seg.index == index && !c.seg.replaced.Load() {
		return c.seg.acquire()
	}
	return nil
}

// explainGone returns the error that explains why the segment before oldest is missing.
func (r *LogReader) explainGone(oldest *segment, after storage.SeqNo) error {
	indexes, err := r.list()
	if err != nil {
		return err
	}
	if len(indexes) > 0 && indexes[0] < oldest.index-1 {
		return missingSegment(r.dir, oldest.index-1)
	}
	return errTruncated(r.dir, after, oldest.first)
}

// list returns the indexes of the segments: none if the directory does not exist.
func (r *LogReader) list() ([]uint64, error) {
	names, err := r.fsys.List(r.dir)
	if err != nil && !isNotExist(err) {
		return nil, fmt.Errorf("read log %s: %w", r.dir, err)
	}
	return segmentIndexes(names), nil
}

// open opens a segment in such a way that the writer will not overwrite it: see
// removeSegment. errGone means that the segment was truncated, or does not exist yet.
func (r *LogReader) open(index uint64) (*segment, error) {
	open := func(name string) (vfs.File, error) {
		f, err := r.fsys.Open(name)
		if err != nil {
			return nil, err
		}
		if err := f.TryLock(false); errors.Is(err, vfs.ErrHeld) {
			return nil, errors.Join(errGone, f.Close())
		}
		// On systems without such locks the writer overwrites no file.
		return f, nil
	}
	for attempt := 0; ; attempt++ {
		s, err := openSegment(r.dir, index, open)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, errGone) || isNotExist(err):
			return nil, errGone
		case attempt < 2 && errors.Is(err, storage.ErrCorrupt):
			// The file may have become another segment after we opened it and before we
			// locked it. Then its old name is gone by now.
		default:
			return nil, fmt.Errorf("read log %s: %w", r.dir, err)
		}
	}
}
