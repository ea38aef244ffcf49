package part

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// Ahead reads parts in order, and some of those to come while the caller looks at
// one. The first is read when it is asked for: most snapshots have no more, and who stops
// there has read no more.
//
// If the parts together fit the cache, they are read through it. If they do not, they
// would drive each other out of it, so they are decoded past it, into memory that is used
// for one part after the other.
type Ahead struct {
	store *Store
	parts []aheadPart
	bytes int64 // of all parts, in memory
	taken int   // by Next

	// Each part from the second on is read by a goroutine of its own. All end before Wait
	// returns.
	started int // parts that are being read or were
	reading sync.WaitGroup

	mu   sync.Mutex
	free [][]byte // guarded by mu: memory of parts that were read past the cache

	last []byte // memory of the part that the caller looks at, unless that is in the cache
}

// Ahead returns an empty list of parts to be read.
func (b *Store) Ahead() *Ahead { return &Ahead{store: b} }

// ErrGoexit is what is left of a call into a store that has ended its goroutine, as
// failed assertions of tests do: who waits for it must not wait for ever.
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
	memory []byte // which is the reader's own; nil if the cache has it
	err    error
}

// maxAhead is how many parts are read ahead at most, of one batch or of several. Fewer
// processors read fewer.
const maxAhead = 4

// MaxAheadBatches is how many batches are read ahead at most when they are read in order,
// one row group of each.
const MaxAheadBatches = 16

// Append adds parts to those that are to be read, of which rows are wanted that a filter
// admits. Errors say whose parts they are.
func (r *Ahead) Append(parts []Part, filter TimeFilter, of fmt.Stringer) {
	for i := range parts {
		r.parts = append(r.parts, aheadPart{&parts[i], of, filter, make(chan partRead, 1)})
		r.bytes += int64(parts[i].Bytes)
	}
}

// More reports whether next has another part to return.
func (r *Ahead) More() bool { return r.taken < len(r.parts) }

// Next returns the next part; the one before is not valid any more.
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

// start begins to read parts: this one and as many as may be read ahead of it.
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
			done.cols, done.err = r.store.readPart(ctx, p.part)
		} else {
			done.cols, done.memory, done.err = r.store.readPast(ctx, p.part, r.memory)
		}
	}
}

// memory returns room for a part.
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
		r.free[n-1] = nil // in its place: what is too small would pile up
		r.free = r.free[:n-1]
	}
	return make([]byte, size)
}

// Wait returns when all goroutines have ended. REQUIRES: the context of next is done, or
// there is no more.
func (r *Ahead) Wait() { r.reading.Wait() }
