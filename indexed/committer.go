package indexed

import (
	"math"
	"time"

	"github.com/tidemark-go/tidemark/storage"
)

// committer makes commands durable: it turns the queue into groups, appends each group to
// the log, and applies and answers what has become durable. The commit goroutine owns it.
//
// # The way of a command
//
//	queue --take--> next --start--> inFlight --finish--> settle: apply, then answer
//	         |                         |
//	      decided                  the append goroutine
//	     by the plan               writes and flushes
//
// Step by step:
//
//  1. take decides the command against the plan: the state as it will be once everything on
//     its way is durable. The command then waits in the group next, in its turn.
//  2. advance starts the group as soon as no append is outstanding.
//  3. The append goroutine appends all entries of the group at once, with one flush.
//  4. settle applies the entries in order, runs the reads of the group in between, and fills
//     the futures after that.
//
// Reads, refused commands and commands that change nothing have a place in a group and no
// entry. They must wait for their turn: they depend on the commands before them.
//
// # Why groups alternate
//
// A flush takes much longer than a decision. While the log flushes one group, all commands
// that arrive collect in the next one, and share the next flush. So no command waits for a
// timer, a single writer waits for its own flush, and many writers share one. When a flush has
// ended, the next group starts before the last one is applied and answered: the log is
// never idle while there is something to append.
//
// A group ends at Config.MaxGroupBytes, at Config.MaxQueuedCommands, or at what the log
// takes in one append, whatever comes first. What has no room waits in rest.
//
// # The outcomes of an append
//
//	the log says             the commands of the group          the runtime
//	durable                  applied, answered                  goes on
//	no effect                fail with that error               goes on from the applied
//	(ErrNoEffect)                                               state; next is decided again
//	conflict, or closed      fail with ErrStopped               appends no more, ends background
//	(ErrConflict, ErrClosed)                                    work; reads go on
//	anything else            fail with ErrOutcomeUnknown        appends no more; reads go on
//
// Nothing changes in the second and third case. In the last one only another opening can
// tell what became durable. A fifth answer, ErrTooLarge, has no effect either: the group is
// appended again in halves, until a command that is too large is alone and fails alone.
//
// After a failure the plan is wrong, because it counts on commands that did not happen. So
// fail makes a new plan from the applied state, and decides every waiting command again.
//
// # Why another writer corrupts nothing
//
// INVARIANT: at most one append is outstanding, and the position that it expects is the
// last one that the log acknowledged.
//
// So an entry lands directly behind the entries that it was decided against, or not at all.
// A process that was paused, and replaced by another owner meanwhile, does not know the
// entries of that owner. The log is at another position than the one it expects, and
// refuses the append with ErrConflict. With a second append outstanding, the committer
// could not know which position that append has to expect.
type committer struct {
	e    *Engine
	plan *plan
	last storage.SeqNo // newest position that the log acknowledged

	next     *group
	rest     []*request // decided, in order; they come after next, which has no room for them
	inFlight *group
	size     logSize
	most     int64 // bytes that the log takes in one append
	// fewest bounds the entries of a group. split lowers it when the log calls a group too
	// large that seemed to fit; then it grows again.
	fewest   int
	outage   logOutage
	appends  chan *group // to the append goroutine
	appended chan *group // back from it

	stopping bool // the request to stop was taken; no request is taken after it

	buried []StreamID // streams to remove from the plan; guarded by state.mu
}

// group is a run of requests that share one append.
type group struct {
	reqs     []*request
	entries  [][]byte
	bytes    int64 // of the entries
	expected storage.SeqNo

	// Set by the append goroutine.
	positions []storage.SeqNo
	err       error
	took      time.Duration
}

func newCommitter(e *Engine, last storage.SeqNo) *committer {
	c := &committer{
		e: e, plan: newPlan(e.st), last: last, next: &group{}, size: sizeOf(e.log), fewest: math.MaxInt,
		outage:  logOutage{logger: e.logger, metrics: e.metrics},
		appends: make(chan *group, 1), appended: make(chan *group, 1),
	}
	c.most = c.size.max()
	e.st.mu.Lock()
	e.st.onBury = func(id StreamID) { c.buried = append(c.buried, id) }
	e.st.mu.Unlock()
	return c
}
