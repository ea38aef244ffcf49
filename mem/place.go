package mem

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/tidemark-go/tidemark/storage"
)

// Place is a location in memory: a log, blobs and a lock. It outlives the handles that are
// opened on it, as a directory outlives processes.
//
// All methods may be called from several goroutines at once. None of them waits for
// storage.
type Place struct {
	name string

	// mu guards everything below, and the fields of handles and flights whose comments say
	// so. It is held for memory operations only, never while waiting.
	mu         sync.Mutex
	log        logContents
	blobs      blobContents
	logWriter  *handle              // nil if nobody has the log open for writing
	blobWriter *handle              // nil if nobody has the blobs open for writing
	readers    map[*handle]struct{} // the open readers
	flushes    *Gate                // not nil while flushes are held
	flights    []*flight            // mutations in flight, in the order of their calls
}

// PlaceOption changes how a Place behaves.
type PlaceOption func(*Place)

// WithGaps makes the log leave gaps between positions, as replicated logs do. The gaps
// depend on seed only. Without this option positions are dense, but no code may rely on
// that.
func WithGaps(seed uint64) PlaceOption {
	return func(p *Place) { p.log.gaps = rand.New(rand.NewPCG(seed, 0)) }
}

// NewPlace returns an empty place. The name appears in errors only.
func NewPlace(name string, options ...PlaceOption) *Place {
	p := &Place{name: name, readers: make(map[*handle]struct{})}
	p.log.holds = make(map[*handle]storage.SeqNo)
	p.blobs.values = make(map[string]blobValue)
	for _, option := range options {
		option(p)
	}
	return p
}

// Name returns the name that the place was made with.
func (p *Place) Name() string { return p.name }

// OpenLog opens the log for writing and takes the lock of the place. If the same owner has
// a log handle open, that handle is fenced: it fails with storage.ErrClosed from then on,
// and its mutations in flight are lost.
//
// Errors: a storage.LockedError if another owner has the log or the blobs open.
func (p *Place) OpenLog(lock storage.LockInfo) (*Log, error) {
	h, err := p.openWriter(&p.logWriter, "log", lock)
	if err != nil {
		return nil, err
	}
	return &Log{logView: logView{h}}, nil
}

// OpenBlob opens the blobs for writing, under the same rules as OpenLog. The log and the
// blobs share the lock of the place, but each of the two is fenced by itself.
//
// Errors: a storage.LockedError if another owner has the log or the blobs open.
func (p *Place) OpenBlob(lock storage.LockInfo) (*Blob, error) {
	h, err := p.openWriter(&p.blobWriter, "blobs", lock)
	if err != nil {
		return nil, err
	}
	return &Blob{blobView: blobView{h}}, nil
}

// OpenLogReader opens a reader of the log. It needs no lock and takes none.
func (p *Place) OpenLogReader() *LogReader {
	return &LogReader{logView: logView{p.openReader("log reader")}}
}

// OpenBlobReader opens a reader of the blobs. It needs no lock and takes none.
func (p *Place) OpenBlobReader() *BlobReader {
	return &BlobReader{blobView: blobView{p.openReader("blob reader")}, pins: make(map[string][]*pin)}
}

func (p *Place) openWriter(slot **handle, what string, lock storage.LockInfo) (*handle, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, holder := range []*handle{p.logWriter, p.blobWriter} {
		if holder != nil && holder.lock.Owner != lock.Owner {
			return nil, &storage.LockedError{Location: p.name, Holder: holder.lock}
		}
	}
	if *slot != nil {
		p.endLocked(*slot, "taken over by a newer handle")
	}
	h := &handle{place: p, what: what, lock: lock}
	*slot = h
	return h, nil
}

func (p *Place) openReader(what string) *handle {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &handle{place: p, what: what}
	p.readers[h] = struct{}{}
	return h
}

// endLocked ends a handle of any kind. Its mutations in flight are lost. REQUIRES: p.mu is
// held.
func (p *Place) endLocked(h *handle, why string) {
	if h.ended != "" {
		return
	}
	h.ended = why
	p.dropFlightsLocked(h)
	switch h {
	case p.logWriter:
		p.logWriter = nil
	case p.blobWriter:
		p.blobWriter = nil
	default:
		delete(p.readers, h)
		p.log.release(h)
	}
}

// handle is one access to a place: from an opening to the end of the handle.
type handle struct {
	place *Place
	what  string
	lock  storage.LockInfo

	// ended says why the handle can no longer be used; "": it can. Guarded by place.mu.
	ended string
}

// enter locks the place for one operation. If it fails, the place is not locked
// and the operation has had no effect.
func (h *handle) enter(ctx context.Context, op Op) error {
	if err := ctx.Err(); err != nil {
		return storage.NoEffect(fmt.Errorf("mem: %s of place %q: %w", op, h.place.name, err))
	}
	h.place.mu.Lock()
	if err := h.usableLocked(op); err != nil {
		h.place.mu.Unlock()
		return err
	}
	return nil
}

// usableLocked returns ErrClosed, with the reason, if the handle has ended. REQUIRES:
// place.mu is held.
func (h *handle) usableLocked(op Op) error {
	if h.ended == "" {
		return nil
	}
	return fmt.Errorf("mem: %s of place %q: this %s handle was %s: %w", op, h.place.name, h.what, h.ended, storage.ErrClosed)
}

// usable is usableLocked for iterators, which do not hold the lock.
func (h *handle) usable(ctx context.Context, op Op) error {
	if err := h.enter(ctx, op); err != nil {
		return err
	}
	h.place.mu.Unlock()
	return nil
}

func (h *handle) close() error {
	h.place.mu.Lock()
	defer h.place.mu.Unlock()
	h.place.endLocked(h, "closed")
	return nil
}
