package tidemarktest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/tidemark-go/tidemark/persist"
)

// history does the requests of one seed, one after the other. It does not wait for their
// answers unless too many are missing. One goroutine owns it; calls and listeners have
// goroutines of their own.
type history struct {
	ctx     context.Context
	store   Store
	opts    Options
	virtual bool // it runs in a bubble
	gen     *generator

	now      int // number of the request that is being done
	requests []request
	results  []result
	calls    []*call
	begun    atomic.Int64 // calls that have begun
	acked    int          // the calls before this index have their place, and the last of them succeeded
	pending  []*answer    // without an answer yet, in the order they were made
	takings  []*taking    // open snapshots
	all      []*taking    // all that were ever taken
	readings []*reading
	describe []*description
	hearing  []*listening // open listeners
	heard    []*listening // all that there ever were
	readers  []*reader
	life     *life // the last one that began
	alive    bool
	troubles []trouble
	release  func() // not nil while flushes are held
	uncut    func() // not nil while an answer is to be lost
	down     bool

	latency *latency // nil in real time
	judge   judge
	most    int   // the most answers that were missing at once
	err     error // the first violation
}

// result is what became of a request.
type result interface{ outcome() outcome }

// life is a runtime from its opening to its end.
type life struct {
	client  *persist.Client
	streams map[string]*handles
	stopped int // when Stop was called; -1 before
	crashed int // when the store crashed; -1 if it did not
	failed  bool
	// sees is how many of the first calls the runtime has applied at most: it goes on
	// without the calls whose outcome it does not know.
	sees int
}

func (l *life) over() bool { return l.stopped >= 0 || l.crashed >= 0 || l.failed }

type handles struct {
	write *persist.WriteHandle[string, string]
	read  *persist.ReadHandle[string, string]
	err   error
	ready <-chan struct{}
}

// reader is a read-only runtime.
type reader struct {
	client  *persist.ReadClient
	closing bool
}

// trouble is an interval in which a certain failure is legal.
type trouble struct {
	kind     Kind // Down, Cut or Crash
	from, to int  // to is -1 while it lasts
}

func (h *history) trouble(kind Kind) {
	h.troubles = append(h.troubles, trouble{kind: kind, from: h.now, to: -1})
}

func (h *history) endTrouble(kind Kind) {
	for i := range h.troubles {
		if t := &h.troubles[i]; t.kind == kind && t.to < 0 {
			t.to = h.now
		}
	}
}

// troubled says whether there was trouble between the request and its answer.
func (h *history) troubled(a *answer, kinds ...Kind) bool {
	for _, t := range h.troubles {
		for _, k := range kinds {
			if t.kind == k && t.from <= a.answered && (t.to < 0 || t.to >= a.request) {
				return true
			}
		}
	}
	return false
}

// downThroughout says whether the storage was down from the call to the answer.
func (h *history) downThroughout(a *answer) bool {
	for _, t := range h.troubles {
		if t.kind == Down && t.from < a.request && (t.to < 0 || t.to > a.answered) {
			return true
		}
	}
	return false
}

// violate records the first violation, which ends the history.
func (h *history) violate(request int, format string, args ...any) {
	if h.err == nil {
		h.err = &violation{request: request, text: fmt.Sprintf(format, args...)}
	}
}

// patience is how long an answer may take.
func (h *history) patience() time.Duration {
	if h.virtual {
		return time.Hour
	}
	return time.Minute
}

// await blocks until done is closed. If it takes too long, that is a violation.
func (h *history) await(request int, done <-chan struct{}, what string) bool {
	select {
	case <-done:
		return true
	default:
	}
	timer := time.NewTimer(h.patience())
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		h.violate(request, "%s: no answer after %s", what, h.patience())
	case <-h.ctx.Done():
		h.violate(request, "%s: %v", what, h.ctx.Err())
	}
	return false
}

// ask begins something that has an answer. do blocks until the answer is there.
func (h *history) ask(a *answer, do func()) {
	done := make(chan struct{})
	h.begin(a, done)
	go func() { // ends with the answer
		defer close(done)
		do()
		if a.reader != nil || !h.virtual {
			a.hi = int(h.begun.Load())
		}
	}()
	h.quiet()
}

// begin notes something that will have an answer when done is closed.
func (h *history) begin(a *answer, done <-chan struct{}) {
	a.request, a.answered, a.done = h.now, -1, done
	a.lo = len(h.calls)
	if a.reader != nil {
		a.lo = h.acked
	} else {
		a.life = h.life
	}
	a.hi = len(h.calls)
	h.pending = append(h.pending, a)
}

// quiet lets everything happen that can happen now. Afterwards, whatever was begun has its
// place in the order. Only a bubble can tell that.
func (h *history) quiet() {
	if h.virtual {
		synctest.Wait()
	}
}

// sweep notes which answers have come. One moment may bring several, each to a goroutine of
// its own: in a bubble sweep waits for all of them.
func (h *history) sweep() {
	h.quiet()
	left := h.pending[:0]
	for _, a := range h.pending {
		select {
		case <-a.done:
			a.answered = h.now
			if a.life != nil && a.failedWith(persist.ErrOutcomeUnknown) {
				a.life.failed = true
			}
		default:
			left = append(left, a)
		}
	}
	h.pending = left
	for i := h.acked; i < len(h.calls) && h.calls[i].settled(); i++ {
		if h.calls[i].collect() == nil {
			h.acked = i + 1
		}
	}
}

// collect fetches the answer of a call that has one.
func (c *call) collect() error {
	if c.future != nil {
		c.seqno, c.err = c.future.Wait(context.Background())
		c.future = nil
		if errors.Is(c.err, persist.ErrOutcomeUnknown) {
			c.life.failed = true
		}
	}
	return c.err
}

// awaitAll waits for all answers.
func (h *history) awaitAll() {
	for _, a := range h.pending {
		if !h.await(a.request, a.done, "request") {
			return
		}
	}
	h.sweep()
}

// run does the requests of a history and judges them.
func (h *history) run() error {
	defer h.clean()
	h.now = -1
	h.start()
	for i := 0; i < len(h.gen.slots) && h.err == nil; i++ {
		h.create(h.gen.slots[i].name())
	}
	h.awaitAll()
	for h.now = 0; h.now < h.opts.Steps && h.err == nil; h.now++ {
		r := h.gen.next()
		h.requests = append(h.requests, r)
		if h.opts.settles(r.kind) {
			h.awaitAll()
		}
		h.results = append(h.results, h.do(r))
		h.sweep()
		h.most = max(h.most, len(h.pending))
		for len(h.pending) > h.opts.InFlight && h.release == nil && h.err == nil {
			h.await(h.pending[0].request, h.pending[0].done, "request")
			h.sweep()
		}
		if h.opts.Between > 0 {
			h.awaitAll()
			h.pass(h.opts.Between)
		}
	}
	if h.err == nil {
		h.finish()
	}
	if h.err == nil {
		h.judgeAll()
	}
	return h.err
}
