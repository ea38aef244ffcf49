package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

const (
	sparePrefix = "spare-" // complete: filled and flushed, or a segment once
	tempPrefix  = "tmp-"   // being filled; removed when a log is opened
	maxSpares   = 2
	fillChunk   = 1 << 20
)

// spare is a file that can become a segment. All its blocks are allocated and durable. So
// writing into it changes nothing that a journal would have to record. If it was a segment
// once, its exclusive lock is held.
type spare struct {
	name string // path
	f    vfs.File
	size int64
}

// spares keeps files ready to become segments. It prepares the next one in the background,
// so that an append does not wait when it needs a new segment. As long as there are
// truncated segments, it uses their files.
//
// It owns one goroutine, which start starts and close ends.
type spares struct {
	fsys vfs.FS
	dir  string

	wake    chan struct{} // holds one token, which tells the goroutine to look at want
	stopped chan struct{} // closed to end the goroutine
	done    chan struct{} // closed when the goroutine has ended; nil before start

	// filling is held while a file is being filled. So an append that needs a file waits for
	// this one. It is taken before mu.
	filling sync.Mutex
	// giving is held while a file is removed to make room for a blob. So another blob waits
	// for that room. It is taken before mu, which appends take too.
	giving sync.Mutex
	// mu guards free and want. free is in ascending order of sizes. want is the size of the
	// file that should be ready, or 0.
	mu   sync.Mutex
	free []spare
	want int64
}

// newSpares returns spares with files that are ready. It prepares no others before start.
func newSpares(fsys vfs.FS, dir string, free []spare) *spares {
	sort.Slice(free, func(i, j int) bool { return free[i].size < free[j].size })
	return &spares{
		fsys: fsys, dir: dir, free: free,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
}

// start starts the goroutine.
func (p *spares) start() {
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		for {
			select {
			case <-p.stopped:
				return
			case <-p.wake:
				p.fill()
			}
		}
	}()
}

// close ends the goroutine and closes the files. They stay on disk for the next opening.
func (p *spares) close() error {
	close(p.stopped)
	if p.done != nil {
		<-p.done
	}
	p.mu.Lock()
	free := p.free
	p.free = nil
	p.mu.Unlock()
	var errs []error
	for _, s := range free {
		errs = append(errs, s.f.Close())
	}
	return errors.Join(errs...)
}

// prepare asks for a file of a size to be ready soon. It does not wait.
func (p *spares) prepare(size int64) {
	p.mu.Lock()
	p.want = size
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// fill makes a file ready unless there is one. It reports no failure, such as a full disk:
// the append that needs the file will meet the same failure.
func (p *spares) fill() {
	p.filling.Lock()
	defer p.filling.Unlock()
	p.mu.Lock()
	size := p.want
	p.want = 0
	ready := len(p.free) > 0 && p.free[len(p.free)-1].size >= size
	p.mu.Unlock()
	if ready || size == 0 {
		return
	}
	if s, err := p.create(size, p.stopped); err == nil {
		_ = p.add(s)
	}
}

// take returns a file of at least need bytes: the largest that is ready, or else a new one.
// It tries to make a new one of size bytes. If that fails, it tries half of that, and so on
// down to need.
func (p *spares) take(need, size int64) (spare, error) {
	p.filling.Lock()
	defer p.filling.Unlock()
	p.mu.Lock()
	p.want = 0 // a request that is still open was for the file that is asked for here
	for i := len(p.free) - 1; i >= 0 && p.free[i].size >= need; i-- {
		s := p.free[i]
		p.free = p.free[:i]
		// The file may have been removed, or the location copied by hard links.
		if n, err := linksOf(s.f, s.name); err == nil && (n == 1 || n == vfs.UnknownLinks) {
			p.mu.Unlock()
			return s, nil
		}
		_ = p.discard(s) // if the file is still there, the next opening finds it
	}
	p.mu.Unlock()
	for {
		s, err := p.create(size, nil)
		if err == nil || size == need {
			return s, err
		}
		size = max(need, size/2)
	}
}

// create fills a new file with zeros and flushes it. It does so in pieces, so that the
// flushes of appends do not wait for one large flush.
func (p *spares) create(size int64, stop <-chan struct{}) (s spare, err error) {
	id := randomName()
	temp := filepath.Join(p.dir, tempPrefix+id)
	s = spare{name: filepath.Join(p.dir, sparePrefix+id), size: size}
	if s.f, err = p.fsys.Create(temp); err != nil {
		return spare{}, fmt.Errorf("make segment: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.f.Close(), p.fsys.Remove(temp))
			s = spare{}
		}
	}()
	zeros := make([]byte, min(size, fillChunk))
	for off := int64(0); off < size; off += int64(len(zeros)) {
		select {
		case <-stop:
			return s, storage.ErrClosed
		default:
		}
		zeros = zeros[:min(int64(len(zeros)), size-off)]
		if _, err = s.f.WriteAt(zeros, off); err == nil {
			//museum:growth-not-flushed
			err = s.f.Sync()
		}
		if err != nil {
			return s, fmt.Errorf("fill segment %s of %d bytes at offset %d: %w", temp, size, off, err)
		}
	}
	if err = p.fsys.Rename(temp, s.name); err != nil {
		return s, fmt.Errorf("make segment: %w", err)
	}
	return s, nil
}

// randomName returns a name that no other file has.
func randomName() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// add keeps a file for later. If there are more than maxSpares, it removes the smallest.
func (p *spares) add(s spare) error {
	p.mu.Lock()
	i := sort.Search(len(p.free), func(i int) bool { return p.free[i].size >= s.size })
	p.free = append(p.free, spare{})
	copy(p.free[i+1:], p.free[i:])
	p.free[i] = s
	var surplus []spare
	if n := len(p.free) - maxSpares; n > 0 {
		surplus = append(surplus, p.free[:n]...)
		p.free = append(p.free[:0], p.free[n:]...)
	}
	p.mu.Unlock()
	for _, s := range surplus {
		if err := p.discard(s); err != nil {
			return err
		}
	}
	return nil
}

// giveBack removes the smallest file that is ready, and reports whether there was one. A
// blob that finds the disk full calls it. With the blob written, history can be released,
// and that makes room for a new segment too. If giveBack returns false, a file that was being
// removed for another blob is gone, and may have left room.
func (p *spares) giveBack() bool {
	p.giving.Lock()
	defer p.giving.Unlock()
	p.mu.Lock()
	if len(p.free) == 0 {
		p.mu.Unlock()
		return false
	}
	s := p.free[0]
	p.free = append(p.free[:0], p.free[1:]...)
	p.mu.Unlock()
	return p.discard(s) == nil
}

// discard closes and removes a file that cannot be used.
func (p *spares) discard(s spare) error {
	return errors.Join(s.f.Close(), p.fsys.Remove(s.name))
}

// findSpares opens the spares that an earlier process left. It returns as surplus the files
// that must be removed, such as unfinished spares. It changes nothing.
func findSpares(ctx context.Context, fsys vfs.FS, dir string, names []string) (free []spare, surplus []string, err error) {
	defer func() {
		if err != nil {
			for _, s := range free {
				err = errors.Join(err, s.f.Close())
			}
			free = nil
		}
	}()
	for _, n := range names {
		if err = ctx.Err(); err != nil {
			return free, surplus, err
		}
		name := filepath.Join(dir, n)
		switch {
		case strings.HasPrefix(n, tempPrefix):
			surplus = append(surplus, name)
		case strings.HasPrefix(n, sparePrefix):
			s := spare{name: name}
			if s.f, err = fsys.OpenWrite(name); err != nil {
				return free, surplus, fmt.Errorf("open spare segment: %w", err)
			}
			free = append(free, s)
			s.size, err = s.f.Size()
			if err != nil {
				return free, surplus, fmt.Errorf("size of spare segment %s: %w", name, err)
			}
			linked, err := isSegment(s, names)
			if err != nil {
				return free, surplus, err
			}
			// A reader may still hold the segment that this file was. Then it must not change.
			if linked || shared(s.f) || len(free) > maxSpares || s.size < MinSegmentSize || s.f.TryLock(true) != nil {
				free = free[:len(free)-1]
				surplus = append(surplus, name)
				if err := s.f.Close(); err != nil {
					return free, surplus, fmt.Errorf("close spare segment: %w", err)
				}
				continue
			}
			free[len(free)-1] = s
		}
	}
	return free, surplus, nil
}

// isSegment reports whether a spare is also one of the segments. If the power fails while a
// file is renamed, file systems without a journal may leave both names. Using such a spare
// would destroy the segment.
func isSegment(s spare, names []string) (bool, error) {
	b := make([]byte, segmentHeaderSize)
	n, err := s.f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read spare segment %s: %w", s.name, err)
	}
	index, ok := headerIndex(b[:n])
	//museum:second-name-of-a-segment
	return ok && slices.Contains(names, segmentName(index)), nil
}
