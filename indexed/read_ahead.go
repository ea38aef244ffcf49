package indexed

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// readAhead reads parts in order, and some of those to come while the caller looks at
// one. The first is read when it is asked for: most snapshots have no more, and who stops
// there has read no more.
//
// If the parts together fit the cache, they are read through it. If they do not, they
// would drive each other out of it, so they are decoded past it, into memory that is used
// for one part after the other.
type readAhead struct {
	reader *blobs
	parts  []partAhead
	bytes  int64 // of all parts, in memory
	taken  int   // by next

	// Each part from the second on is read by a goroutine of its own. All end before wait
	// returns.
	started int // parts that are being read or were
	reading sync.WaitGroup

	mu   sync.Mutex
	free [][]byte // guarded by mu: memory of parts that were read past the cache

	last []byte // memory of the part that the caller looks at, unless that is in the cache
}

// errGoexit is what is left of a call into a store that has ended its goroutine, as
// failed assertions of tests do: who waits for it must not wait for ever.
var errGoexit = errors.New("the store ended the goroutine that called it")

// partAhead is a part that is to be read.
type partAhead struct {
	part    *part
	of      fmt.Stringer // for errors
	filter  timeFilter
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

// maxAheadBatches is how many batches are read ahead at most when they are read in order,
// one row group of each.
const maxAheadBatches = 16

// append adds parts to those that are to be read, of which rows are wanted that a filter
// admits. Errors say whose parts they are.
func (r *readAhead) append(parts []part, filter timeFilter, of fmt.Stringer) {
	for i := range parts {
		r.parts = append(r.parts, partAhead{&parts[i], of, filter, make(chan partRead, 1)})
		r.bytes += int64(parts[i].bytes)
	}
}

// more reports whether next has another part to return.
func (r *readAhead) more() bool { return r.taken < len(r.parts) }

// next returns the next part; the one before is not valid any more.
func (r *readAhead) next(ctx context.Context) (Columns, timeFilter, error) {
	if err := ctx.Err(); err != nil {
		return Columns{}, timeFilter{}, err
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
			return Columns{}, timeFilter{}, fmt.Errorf("%s: %w", p.of, done.err)
		}
		r.last = done.memory
		return done.cols, p.filter, nil
	case <-ctx.Done():
		return Columns{}, timeFilter{}, ctx.Err()
	}
}

// start begins to read parts: this one and as many as may be read ahead of it.
func (r *readAhead) start(ctx context.Context) {
	until := min(len(r.parts), r.taken+1+min(maxAhead, runtime.GOMAXPROCS(0)))
	for ; r.started < until; r.started++ {
		p := &r.parts[r.started]
		r.reading.Go(func() { r.read(ctx, p) })
	}
}

func (r *readAhead) read(ctx context.Context, p *partAhead) {
	done := partRead{err: errGoexit}
	defer func() { p.outcome <- done }()
	if done.err = ctx.Err(); done.err == nil {
		if r.reader.fitsCache(r.bytes) {
			done.cols, done.err = r.reader.readPart(ctx, p.part)
		} else {
			done.cols, done.memory, done.err = r.reader.readPast(ctx, p.part, r.memory)
		}
	}
}

// memory returns room for a part.
func (r *readAhead) memory(size int) []byte {
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

// wait returns when all goroutines have ended. REQUIRES: the context of next is done, or
// there is no more.
func (r *readAhead) wait() { r.reading.Wait() }
