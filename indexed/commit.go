package indexed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/storage"
)

func (c *committer) loop() {
	defer close(c.e.life.committed)
	go c.appendLoop()
	defer func() {
		close(c.appends)
		<-c.appended // closed by the append goroutine as it ends
	}()
	for {
		queue := c.e.queue
		if c.full() {
			queue = nil
		}
		select {
		case r := <-queue:
			c.take(r)
			c.e.metrics.cmdRun.Add(float64(1 + c.drain()))
		case g := <-c.appended:
			c.inFlight = nil
			c.finish(g)
		case <-c.outage.calm.over:
			c.outage.end()
		}
		c.advance()
		if c.stopping && c.inFlight == nil && len(c.next.reqs) == 0 {
			c.shutDown()
			return
		}
	}
}

// appendLoop is the append goroutine. It ends when the committer closes appends.
func (c *committer) appendLoop() {
	defer close(c.appended)
	for g := range c.appends {
		start := time.Now()
		// No context of the engine ends an append: once it has begun, its outcome must be
		// known.
		g.positions, g.err = c.e.log.Append(context.Background(), g.expected, g.entries)
		g.took = time.Since(start)
		c.appended <- g
	}
}

func (c *committer) full() bool {
	return c.stopping || len(c.rest) > 0 || c.next.bytes >= int64(c.e.cfg.MaxGroupBytes) || len(c.next.reqs) >= c.e.cfg.MaxQueuedCommands
}

// drain takes the requests that are in the queue, without waiting, and returns their
// number.
func (c *committer) drain() (taken int) {
	for !c.full() {
		select {
		case r := <-c.e.queue:
			c.take(r)
			taken++
		default:
			return taken
		}
	}
	return taken
}

// take decides a request and adds it to the next group. A refusal also waits for its turn:
// it may depend on an earlier command that fails, and is then decided again.
func (c *committer) take(r *request) {
	if r.stop {
		c.stopping = true
		return
	}
	c.decide(r)
	if len(c.rest) > 0 || !c.fits(r) {
		c.rest = append(c.rest, r)
		return
	}
	c.next.add(r)
}

func (g *group) add(r *request) {
	g.reqs = append(g.reqs, r)
	if r.appends() {
		g.entries = append(g.entries, r.entry)
		g.bytes += int64(len(r.entry))
	}
}

// fits reports whether the next group has room for a request. A group is never more than
// the log takes in one append. An empty group has room for any request, so that a request
// that the log never takes is refused alone.
func (c *committer) fits(r *request) bool {
	n := len(c.next.entries)
	if n == 0 || !r.appends() {
		return true
	}
	//museum:group-beyond-the-log
	return n < c.fewest && c.size.stored(n+1, c.next.bytes+int64(len(r.entry))) <= c.most
}

// takeNext returns the next group, and begins another one with the requests in rest.
func (c *committer) takeNext() *group {
	g := c.next
	c.next = &group{}
	n := 0
	for n < len(c.rest) && c.fits(c.rest[n]) {
		c.next.add(c.rest[n])
		n++
	}
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.rest = nil
	}
	return g
}

func (c *committer) decide(r *request) {
	r.err = nil
	if r.read != nil {
		return
	}
	if err := c.e.life.refused(noCommands); err != nil {
		r.err = err
		return
	}
	if r.isCommand() {
		//museum:idle-for-good
		r.idle, r.err = c.plan.check(r)
		return
	}
	r.ops, r.err = r.plan(c.plan)
	r.entry = nil
	if r.err == nil && len(r.ops) > 0 {
		r.entry = encodeEntry(r.ops)
	}
}

// advance starts the next group if no append is outstanding.
func (c *committer) advance() {
	for c.inFlight == nil && len(c.next.reqs) > 0 {
		g := c.takeNext()
		if len(g.entries) == 0 {
			c.settle(g)
			continue
		}
		c.start(g)
	}
}

func (c *committer) start(g *group) {
	g.expected = c.last
	c.inFlight = g
	c.e.metrics.commitGroup.Observe(float64(len(g.entries)))
	c.appends <- g
}

// finish deals with the outcome of an append: see committer.
func (c *committer) finish(g *group) {
	if g.err == nil && len(g.positions) != len(g.entries) {
		g.err = fmt.Errorf("the log returned %d positions for %d entries", len(g.positions), len(g.entries))
	}
	if g.err == nil {
		c.last = g.positions[len(g.positions)-1]
		c.outage.took()
		c.e.metrics.commitSeconds.Observe(g.took.Seconds())
		c.e.metrics.logBytes.Add(float64(g.bytes))
		if c.fewest < c.e.cfg.MaxQueuedCommands {
			c.fewest *= 2
		} else {
			c.fewest = math.MaxInt
		}
		// Start the next append first: the log works while this group is applied and
		// answered.
		if len(c.next.entries) > 0 {
			c.start(c.takeNext())
			// Yield now. Otherwise the next append waits until every waiter of this group
			// has been answered and scheduled. The append goroutine itself soon waits for
			// the disk.
			runtime.Gosched()
		}
		c.settle(g)
		return
	}
	//museum:group-beyond-the-log/2
	if errors.Is(g.err, storage.ErrTooLarge) && len(g.entries) > 1 {
		c.split(g)
		return
	}
	c.fail(g)
}

// split puts a group that the log called too large back, to be appended in groups of half
// as many entries. Nothing has happened, so the decisions hold. A command that is too large
// is alone in the end, and fails alone. After that groups may grow again.
func (c *committer) split(g *group) {
	c.fewest = len(g.entries) / 2
	c.rest = slices.Concat(g.reqs, c.next.reqs, c.rest)
	c.next = &group{}
	c.takeNext()
}

// fail answers the commands that the log did not take. It decides all other requests again,
// because they were decided as if those commands had happened: the next group, and from
// this group the refusals and the commands without an entry. An example of the last is a
// registration of a name that a failed command of the group registers.
func (c *committer) fail(g *group) {
	var answer error // nil: each command has its own
	lost := ""       // why the log takes no command any more; "": it may
	switch {
	case errors.Is(g.err, storage.ErrConflict):
		// Somebody else owns the location now, and alone may delete what is in it.
		lost = "somebody else has its log"
		//museum:paused-owner
		c.e.endBackground(lost, g.err)
	case errors.Is(g.err, storage.ErrClosed):
		lost = "its log was closed"
		c.e.endBackground(lost, g.err)
	case errors.Is(g.err, storage.ErrTooLarge): // says nothing about the health of the log
	case errors.Is(g.err, storage.ErrNoEffect):
		c.outage.refused(len(g.entries), g.err)
		answer = fmt.Errorf("tidemark: %w", notTaken(g.err))
	default:
		//museum:unknown-taken-for-no-effect
		answer = outcomeUnknownError(g.err)
		lost = "its log failed"
	}
	if lost != "" {
		c.e.life.refuse(noCommands, lost, g.err)
		answer = cmp.Or(answer, c.e.life.refused(noCommands))
		c.outage.end()
		c.e.metrics.logOutage.Set(1)
		c.e.logger.Error("append to the log failed: no more commands are accepted", "entries", len(g.entries),
			"expected", uint64(g.expected), "error", g.err)
	}
	failed := &group{}
	var again []*request
	for _, r := range g.reqs {
		if r.appends() {
			r.err = answer
			if answer == nil {
				r.err = c.e.tooLarge(r.ops, notTaken(g.err))
			}
			c.e.metrics.cmdFailed.Inc()
			failed.reqs = append(failed.reqs, r)
		} else {
			//museum:refusal-taken-for-success
			again = append(again, r)
		}
	}
	c.settle(failed)
	if lost != "" {
		c.e.st.endListeners(c.e.life.refused(noCommands))
	}

	c.plan = newPlan(c.e.st)
	c.rest = slices.Concat(again, c.next.reqs, c.rest)
	for _, r := range c.rest {
		c.decide(r)
	}
	c.next = &group{}
	c.takeNext()
}

func notTaken(err error) error {
	return fmt.Errorf("the log did not take the command, which had no effect: %w", err)
}

// settle applies a group in order, runs its reads in between, and then answers.
func (c *committer) settle(g *group) {
	start := time.Now()
	seqnos := make([]storage.SeqNo, len(g.reqs))
	st := c.e.st
	brokenBefore := c.e.life.cause(noState)
	broken := brokenBefore // why no entry is applied any more
	endsBackground := false
	st.mu.Lock()
	positions := g.positions
	// The first entry counts for the bytes that the log adds to the whole group.
	//museum:log-of-frames
	around := c.size.stored(len(g.entries), g.bytes) - g.bytes
	st.holdWakes = true // answer writers first: there may be very many listeners
	for i, r := range g.reqs {
		r.settled = true
		switch {
		case r.read != nil:
			if !r.abandoned {
				r.read(st)
			}
		case r.err != nil:
		case !r.appends():
			seqnos[i] = st.applied
		default:
			seqnos[i] = positions[0]
			positions = positions[1:]
			//museum:broken-state
			if broken == nil {
				if err := st.applyLocked(seqnos[i], r.ops, start); err != nil {
					broken = unreadableEntry(seqnos[i], err)
					const why = "a durable command cannot be applied"
					endsBackground = c.e.life.refuse(noBackground, why, broken)
					//museum:broken-state/2
					c.e.life.refuse(noState, why, broken)
				}
			}
			if broken != nil {
				r.err = outcomeUnknownError(broken)
			}
			c.e.maintenance.meter.add(seqnos[i], int64(len(r.entry))+around)
			around = 0
		}
	}
	wake, wakes := c.e.maintenanceDueLocked(), st.takeWakesLocked()
	for _, id := range c.buried {
		c.plan.forget(id)
	}
	c.buried = nil
	st.mu.Unlock()
	//museum:broken-state/3
	if broken != nil && brokenBefore == nil {
		if endsBackground {
			c.e.tellBackgroundEnded(broken)
		}
		c.e.metrics.logOutage.Set(1)
		c.e.logger.Error("a durable command cannot be applied: no more is accepted", "error", broken)
		st.endListeners(c.e.life.refused(noState))
	}
	if wake {
		c.e.wakeMaintenance()
	}

	m := c.e.metrics
	var writes, records, data int
	var weight, refused int64
	for _, r := range g.reqs {
		weight += r.weight
		if r.weight > 0 {
			writes++
		}
		if r.err != nil {
			// No update of it went to the tail, so its share of MaxTailBytes is free.
			refused += r.weight
			continue
		}
		for k := range r.ops {
			records += r.ops[k].cols.Len()
			data += r.ops[k].cols.DataBytes()
		}
	}
	c.e.inFlight.add(-weight)
	c.e.admission.Release(refused)
	m.cmdWrites.Add(float64(writes))
	m.cmdWriteRecords.Add(float64(records))
	m.cmdWriteData.Add(float64(data))
	for i, r := range g.reqs {
		r.answer(seqnos[i], r.err)
	}
	for _, l := range wakes {
		l.wake()
	}
	m.applySeconds.Add(time.Since(start).Seconds())
}

// shutDown answers what is still in the queue with ErrStopped. It first makes sure that no
// sender is left: see lifecycle.stop.
func (c *committer) shutDown() {
	c.outage.end()
	c.e.life.stop()
	for {
		select {
		case r := <-c.e.queue:
			c.e.inFlight.add(-r.weight)
			c.e.admission.Release(r.weight)
			r.answer(0, stoppedError())
		default:
			c.e.st.endListeners(stoppedError())
			return
		}
	}
}
