package part

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// Ahead reads whole parts in order. While the caller looks at one, it reads some of the
// next ones. It reads the first part only when the caller asks for it, and nothing ahead:
// most snapshots have one part, and a caller that stops after it has read no more than
// that.
//
// If all parts together fit the cache, they are read through the cache. If not, they would
// evict one another, so they are decoded past the cache, into memory that is used again and
// again.
type Ahead struct {
	store *Store
	parts []aheadPart
	bytes int64 // of all parts, in memory
	taken int   // by Next

	// A goroutine of its own reads each part from the second on. All of them have ended
	// when Wait returns.
	started int // parts that are being read, or were read
	reading sync.WaitGroup

	mu   sync.Mutex
	free [][]byte // guarded by mu: memory of parts that were read past the cache

	last []byte // memory of the part that the caller looks at; nil if that is in the cache
}

// Ahead returns an Ahead without parts: see Append.
func (b *Store) Ahead() *Ahead { return &Ahead{store: b} }

// ErrGoexit: a call into a store has ended its goroutine, as a failed assertion of a test
// does. Without this error, a caller that waits for the goroutine would wait for ever.
var ErrGoexit = errors.New("the store ended the goroutine that called it")

// aheadPart is a part that is to be read.
type aheadPart struct {
	part    *Part
	of      fmt.Stringer // for errors
	filter  TimeFilter
	outcome chan partRead
}

type partRead struct {
	cols   Columns
	memory []byte // of cols, if the reader owns it; nil if the cache does
	err    error
}

// maxAhead is how many parts are read ahead at most, over all batches. With fewer
// processors it is as many as there are processors.
const maxAhead = 4

// MaxAheadBatches is the number of batches up to which an ordered read looks ahead, by one
// row group in each batch.
const MaxAheadBatches = 16

// Append adds parts to read. Next returns filter with each of them. Errors name of.
func (r *Ahead) Append(parts []Part, filter TimeFilter, of fmt.Stringer) {
	for i := range parts {
		r.parts = append(r.parts, aheadPart{&parts[i], of, filter, make(chan partRead, 1)})
		r.bytes += int64(parts[i].Bytes)
	}
}

// More reports whether Next has another part to return.
func (r *Ahead) More() bool { return r.taken < len(r.parts) }

// Next returns the next part and its filter. The part before it is not valid any more.
func (r *Ahead) Next(ctx context.Context) (Columns, TimeFilter, error) {
	if err := ctx.Err(); err != nil {
		return Columns{}, TimeFilter{}, err
	}
	if r.last != nil {
		r.mu.Lock()
		r.free = append(r.free, r.last)
		r.mu.Unlock()
		r.last = nil
	}
	p := &r.parts[r.taken]
	if r.taken == 0 {
		r.started = 1
		r.read(ctx, p)
	} else {
		r.start(ctx)
	}
	r.taken++
	select {
	case done := <-p.outcome:
		if done.err != nil {
			return Columns{}, TimeFilter{}, fmt.Errorf("%s: %w", p.of, done.err)
		}
		r.last = done.memory
		return done.cols, p.filter, nil
	case <-ctx.Done():
		return Columns{}, TimeFilter{}, ctx.Err()
	}
}

// start begins to read the part that Next returns, and those that may be read ahead.
func (r *Ahead) start(ctx context.Context) {
	until := min(len(r.parts), r.taken+1+min(maxAhead, runtime.GOMAXPROCS(0)))
	for ; r.started < until; r.started++ {
		p := &r.parts[r.started]
		r.reading.Go(func() { r.read(ctx, p) })
	}
}

func (r *Ahead) read(ctx context.Context, p *aheadPart) {
	done := partRead{err: ErrGoexit}
	defer func() { p.outcome <- done }()
	if done.err = ctx.Err(); done.err == nil {
		if r.store.FitsCache(r.bytes) {
			done.cols, done.err = cached{r.store}.readCached(ctx, p.part)
		} else {
			done.cols, done.memory, done.err = r.store.readPast(ctx, p.part, r.memory)
		}
	}
}

// memory returns memory for a part: memory that is free, or new memory.
func (r *Ahead) memory(size int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, m := range r.free {
		if cap(m) >= size {
			r.free[i] = r.free[len(r.free)-1]
			r.free = r.free[:len(r.free)-1]
			return m
		}
	}
	if n := len(r.free); n > 0 {
		r.free[n-1] = nil // the new memory replaces it: small pieces would pile up
		r.free = r.free[:n-1]
	}
	return make([]byte, size)
}

// Wait returns when all goroutines have ended. REQUIRES: the context that Next was called
// with is done, or More is false.
func (r *Ahead) Wait() { r.reading.Wait() }
