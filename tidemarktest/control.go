package tidemarktest

import (
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// control does the requests that are not calls of a runtime.
func (h *history) control(r request) result {
	switch r.kind {
	case CloseSnapshot:
		t := pickOpen(h.takings, r.pick, (*taking).settled)
		if t == nil {
			return skipped{}
		}
		h.closeSnapshot(t)
	case Pause, Resume, CloseListener:
		l := pickOpen(h.hearing, r.pick, func(l *listening) bool { return l.settled() && l.err == nil })
		if l == nil {
			return skipped{}
		}
		if r.kind != CloseListener {
			l.change(func() { l.paused = r.kind == Pause })
			return did{}
		}
		if h.opts.calm {
			l.change(func() { l.paused = false })
			h.hearOut()
		}
		h.closeListener(l)
	case Pass:
		h.pass(r.wait)
	case Stop:
		h.stop()
	case Down:
		if !h.down {
			h.trouble(Down)
		}
		h.setDown(true)
	case Up:
		h.setDown(false)
	case Cut:
		if h.uncut == nil && h.alive {
			h.trouble(Cut)
			h.uncut = h.store.Faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: r.outcome, Parts: r.parts})
		}
	case Hold:
		if h.release == nil && h.alive {
			h.release = h.store.Hold()
		}
	case Release:
		h.letGo()
	case Crash:
		h.crash(r.seed)
	case CloseReader:
		if len(h.readers) == 0 {
			return skipped{}
		}
		h.closeReader(h.readers[r.pick%len(h.readers)])
	}
	return did{}
}

func (h *history) setDown(down bool) {
	h.down = down
	if down {
		h.store.Faults.SetDown()
	} else {
		h.store.Faults.SetUp()
		h.endTrouble(Down)
	}
	for _, l := range h.hearing {
		l.change(func() { l.down = down })
	}
}

func (h *history) letGo() {
	if h.release != nil {
		h.release()
		h.release = nil
	}
}

// pass lets time pass. If it is a second or more, and nothing is in the way, every listener
// that reads must have heard everything.
func (h *history) pass(d time.Duration) {
	if !h.virtual {
		d = min(d, time.Millisecond) // real time is not wasted
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.ctx.Done():
	}
	h.sweep()
	if h.virtual && d >= time.Second && len(h.pending) == 0 && h.calmWeather() {
		h.markAll()
	}
}

// calmWeather says that nothing keeps listeners from hearing everything.
func (h *history) calmWeather() bool {
	return h.alive && !h.down && h.release == nil && h.uncut == nil && !h.life.failed
}

func (h *history) markAll() {
	for _, re := range h.readers {
		if err := re.client.Refresh(h.ctx); err != nil {
			h.violate(h.now, "a reader cannot follow: %v", err)
		}
	}
	h.quiet()
	for _, l := range h.hearing {
		if !l.settled() || l.err != nil || l.isPaused() || l.life != nil && l.life != h.life {
			continue
		}
		l.marks = append(l.marks, mark{request: h.now, calls: len(h.calls), events: l.heard()})
	}
}

// hearOut waits until every listener that reads has heard everything. In real time, only
// the judge knows how much that is.
func (h *history) hearOut() {
	h.awaitAll()
	if !h.calmWeather() {
		return
	}
	if h.virtual {
		h.pass(time.Second)
		return
	}
	h.judge.calls(h)
	for _, l := range h.hearing {
		if h.err != nil || l.err != nil || l.isPaused() {
			continue
		}
		want := h.judge.expected(h, l, len(h.calls))
		enough := func() bool { return len(l.events) >= want || l.end != nil }
		done := make(chan struct{})
		go func() { // ends with await, at the latest with the history's context
			defer close(done)
			_ = l.await(h.ctx, enough)
		}()
		h.await(l.request, done, "a listener of "+l.name+" has not heard everything")
	}
	h.markAll()
}

func (h *history) closeSnapshot(t *taking) {
	h.takings = without(h.takings, t)
	t.closed = true
	if t.err == nil {
		t.open.Wait()
		_ = t.snapshot.Close() // it never fails
	}
}

func (h *history) closeListener(l *listening) {
	h.hearing = without(h.hearing, l)
	if !h.await(l.request, l.done, "listen") || l.err != nil {
		return
	}
	l.close, l.cutShort = true, h.opts.calm && (h.down || l.isPaused())
	_ = l.listener.Close() // it never fails
	l.change(func() { l.paused, l.down = false, false })
	h.await(l.request, l.ended, "a listener that was closed goes on")
	_ = l.snapshot.Close()
}

func (h *history) closeReader(re *reader) {
	if h.opts.calm {
		for _, l := range h.hearing {
			l.change(func() { l.paused = false })
		}
		h.hearOut()
	}
	h.readers = without(h.readers, re)
	re.closing = true
	// Requests to the reader may still be on their way. They fail now.
	if err := re.client.Stop(); err != nil && !h.down && !errors.Is(err, mem.ErrUnavailable) {
		h.violate(h.now, "a reader cannot be stopped: %v", err)
	}
	for _, l := range h.hearing {
		if l.reader == re {
			h.closeListener(l)
		}
	}
}

func without[T comparable](from []T, what T) []T {
	var left []T
	for _, t := range from {
		if t != what {
			left = append(left, t)
		}
	}
	return left
}

// stop stops the runtime, if one is running. What was called before has its place in the
// order.
func (h *history) stop() {
	if h.opts.calm && h.alive {
		for _, l := range h.hearing {
			l.change(func() { l.paused = false })
		}
		h.hearOut()
	}
	h.letGo()
	if h.life.stopped < 0 {
		h.life.stopped = h.now
	}
	h.end(false)
}

func (h *history) crash(seed uint64) {
	if h.release == nil && !h.alive {
		return
	}
	h.store.Crash(seed)
	h.release = nil
	if h.life.crashed < 0 {
		h.life.crashed = h.now
	}
	h.end(true)
	for len(h.readers) > 0 {
		h.closeReader(h.readers[0])
	}
}

// end sees a runtime to its end. Then every request to it has its answer, and its listeners
// have ended.
func (h *history) end(crashed bool) {
	client := h.life.client
	stopped := make(chan struct{})
	var err error
	go func() { // ends when the runtime has stopped
		defer close(stopped)
		err = client.Stop()
	}()
	if !h.await(h.now, stopped, "stop") {
		return
	}
	if err != nil && !crashed && !h.down && h.alive && !h.life.failed {
		h.violate(h.now, "stop: %v", err)
	}
	h.alive = false
	if h.uncut != nil {
		h.uncut()
		h.uncut = nil
	}
	for _, a := range h.pending {
		if a.life == h.life {
			h.await(a.request, a.done, "the runtime has stopped, but a request")
		}
	}
	h.sweep()
	h.endTrouble(Cut)
	for _, l := range h.hearing {
		if l.life != h.life {
			continue
		}
		l.change(func() { l.paused = false })
		if l.err == nil && !h.down { // while the storage is down, it may have to read first
			h.await(l.request, l.ended, "the runtime has stopped, but a listener of "+l.name)
		}
		h.closeListener(l)
	}
}

// start opens the next runtime, and finds out which of the commands with an unknown outcome
// have happened.
func (h *history) start() result {
	o := &opening{}
	client, err := h.store.Open(h.ctx, h.opts.Config)
	o.err = err
	switch {
	case h.alive && err == nil:
		h.violate(h.now, "a second runtime was opened while the first was running")
		_ = client.Stop()
		return o
	case h.alive:
		o.refused = errors.Is(err, persist.ErrLocked)
		if !o.refused && (!h.down || !errors.Is(err, mem.ErrUnavailable)) {
			h.violate(h.now, "a second runtime was refused with: %v", err)
		}
		return o
	case err != nil:
		if !h.down || !errors.Is(err, mem.ErrUnavailable) {
			h.violate(h.now, "the store cannot be opened: %v", err)
		}
		return o
	}
	for len(h.takings) > 0 { // of the runtime before
		h.await(h.takings[0].request, h.takings[0].done, "snapshot")
		h.closeSnapshot(h.takings[0])
	}
	h.life = &life{client: client, streams: make(map[string]*handles), stopped: -1, crashed: -1, sees: math.MaxInt}
	h.alive = true
	h.sweep()
	h.judge.settle(h)
	return o
}

// finish ends a history: all troubles end, everything is answered and heard, writing works,
// and a last opening finds what there was.
func (h *history) finish() {
	if h.opts.settles(Up) { // as before a request for Up: what failed must not depend on speed
		h.awaitAll()
	}
	if h.down {
		h.setDown(false)
	}
	if h.uncut != nil || h.release != nil || h.life.failed {
		h.stop()
	}
	if !h.alive {
		h.start()
	}
	if h.err != nil {
		return
	}
	h.awaitAll()
	if h.life.failed {
		h.stop()
		h.start()
	}
	for _, l := range h.hearing {
		l.change(func() { l.paused = false })
	}
	for _, name := range slices.Sorted(maps.Keys(h.life.streams)) {
		if d, err := h.life.client.Description(h.ctx, name); err == nil && !d.Upper.IsEmpty() {
			r := request{n: h.now, kind: Seal, command: Command{{Stream: name, Seal: &d.Upper}}}
			h.requests, h.results = append(h.requests, r), append(h.results, h.mutate(r))
		}
	}
	h.hearOut()
	h.stop()
	h.start()
	h.stop()
	for len(h.readers) > 0 {
		h.closeReader(h.readers[0])
	}
}

// clean leaves nothing open, whatever has happened.
func (h *history) clean() {
	if h.store.Faults != nil {
		h.store.Faults.SetUp()
	}
	h.letGo()
	if h.life != nil {
		_ = h.life.client.Stop()
	}
	for _, re := range h.readers {
		_ = re.client.Stop()
	}
	for _, a := range h.pending {
		<-a.done
	}
	for _, l := range h.heard {
		if l.listener != nil {
			_ = l.listener.Close()
		}
		l.change(func() { l.paused, l.down = false, false })
		<-l.ended
	}
	for _, t := range h.all {
		if t.snapshot != nil {
			t.open.Wait()
			_ = t.snapshot.Close()
		}
	}
}
