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

// spare is a file that can become a segment: all its blocks are allocated and
// durable, so that writing into it changes nothing that a journal would have to
// record. Its exclusive lock is held where it was a segment once.
type spare struct {
	name string // path
	f    vfs.File
	size int64
}

// spares keeps files ready to become segments, and prepares the next one in the
// background, so that the change of segments does not stall an append. Files
// come from truncated segments, as long as there are any.
//
// It owns one goroutine, started by start and ended by close.
type spares struct {
	fsys vfs.FS
	dir  string

	wake    chan struct{} // holds one token: look at want
	stopped chan struct{} // closed to end the goroutine
	done    chan struct{} // closed when it has ended; nil before start

	// filling is held while a file is being filled, so that an append that needs
	// one waits for that one. It is taken before mu.
	filling sync.Mutex
	// mu guards free, which is in ascending order of sizes, and want, the size of
	// the file that should be ready, or 0.
	mu   sync.Mutex
	free []spare
	want int64
}

// newSpares keeps the files that are free, and prepares none before start.
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

// close ends the goroutine and closes the files, which stay for the next open.
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

// prepare asks for a file of a size to be ready before long. It does not wait.
func (p *spares) prepare(size int64) {
	p.mu.Lock()
	p.want = size
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// fill makes a file ready unless there is one. A failure, a full disk above all,
// is not reported: the append that needs the file will meet it again.
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

// take returns a file of at least need bytes, of size bytes if there is a choice.
// It makes one, if it must, and then is content with less than size.
func (p *spares) take(need, size int64) (spare, error) {
	p.filling.Lock()
	defer p.filling.Unlock()
	p.mu.Lock()
	p.want = 0 // if that has not been met yet, it was for the file asked for here
	for i := len(p.free) - 1; i >= 0 && p.free[i].size >= need; i-- {
		s := p.free[i]
		p.free = p.free[:i]
		// Somebody may have removed it, or copied the location by hard links.
		if n, err := linksOf(s.f, s.name); err == nil && (n == 1 || n == vfs.UnknownLinks) {
			p.mu.Unlock()
			return s, nil
		}
		_ = p.discard(s) // a next opening finds it
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

// create fills a new file with zeros and flushes it, in pieces so that the
// flushes of appends do not queue behind one large one.
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

// add keeps a file for later. Of more than maxSpares the smallest is removed.
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

// giveBack removes the smallest file that is ready, for a blob that finds the disk
// full: with it, history can be released, which makes room for a new segment too. It
// reports whether there was one.
func (p *spares) giveBack() bool {
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

// discard removes a file that is of no use.
func (p *spares) discard(s spare) error {
	return errors.Join(s.f.Close(), p.fsys.Remove(s.name))
}

// findSpares opens the spares that an earlier process left, and finds its unfinished
// files and others that are to be removed. It changes nothing.
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
			// A reader may still hold what this file was: then it must not change.
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

// isSegment reports whether a spare is one of the segments, too. A file that was
// being renamed when the power failed may have both names on file systems without
// a journal, and using it would destroy the segment.
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
