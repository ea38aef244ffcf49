package concurrent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// run is one load on one store.
//
// perform starts all goroutines and waits for them: writers, listeners, maintain (rounds of
// maintenance) and trouble (restarts, crashes, outages). None of them holds a lock while it
// waits, with one exception: a lock is held while a follower is opened.
type run struct {
	Options
	store     Store
	streams   []string
	clock     atomic.Int64 // ticks
	issued    atomic.Int64 // operations asked for
	owner     *owner
	followers []*follower
	known     []frontiers // of each stream, as far as writers have heard

	plan     []Trouble     // what is to happen, in order
	due      chan Trouble  // to the trouble goroutine; has room for the whole plan
	at       map[int64]int // by number of operations, the index of the trouble that is due then
	cancel   context.CancelCauseFunc
	finished chan struct{} // closed when everything was written and the streams are finished

	mu      sync.Mutex
	history History // guarded by mu
	opened  []int64 // guarded by mu; ticks at which the owner had been opened
}

// frontiers are what a writer knows. They may be old: then the writer's command is refused.
type frontiers struct{ upper, since atomic.Uint64 }

// raise makes a number at least t.
func raise(n *atomic.Uint64, t uint64) {
	for old := n.Load(); old < t && !n.CompareAndSwap(old, t); old = n.Load() {
	}
}

func newRun(ctx context.Context, store Store, opts Options) (*run, error) {
	if err := opts.validate(store); err != nil {
		return nil, err
	}
	opts, err := opts.seeded()
	if err != nil {
		return nil, err
	}
	r := &run{Options: opts.withDefaults(), store: store, finished: make(chan struct{}), at: make(map[int64]int)}
	for i := range r.Streams {
		r.streams = append(r.streams, fmt.Sprintf("stream-%d", i))
	}
	r.known = make([]frontiers, r.Streams)
	r.owner = &owner{run: r, broken: make(chan *handles, 1)}
	if store.OpenRead != nil {
		for i := range r.Followers {
			r.followers = append(r.followers, &follower{run: r, name: fmt.Sprintf("follower-%d", i)})
		}
	}
	r.planTroubles()
	if err := r.owner.open(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// perform runs the load. write is the loop of a writer, and ends when takes returns false.
// listen is the loop of a listener, and ends with the stream or the context.
func (r *run) perform(ctx context.Context, write, listen func(ctx context.Context, i int)) error {
	ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	background, stop := context.WithCancel(ctx)
	defer stop()
	var writers, listeners, others sync.WaitGroup
	others.Go(func() { r.maintain(background) })
	others.Go(func() { r.trouble(background) })
	start := time.Now()
	for i := range r.Listeners {
		listeners.Go(func() { listen(ctx, i) })
	}
	for i := range r.Writers {
		writers.Go(func() { write(ctx, i) })
	}
	writers.Wait()
	r.history.Elapsed, r.history.Operations = time.Since(start), r.Operations
	r.finish(ctx)
	close(r.finished)
	silent := time.AfterFunc(r.Patience, func() { r.cancel(ErrSilent) })
	listeners.Wait()
	silent.Stop()
	r.lookOnceMore(ctx)
	stop()
	others.Wait()
	err := r.owner.close()
	for _, f := range r.followers {
		err = errors.Join(err, f.drop(nil))
	}
	if err != nil {
		return fmt.Errorf("concurrent: stop the runtimes: %w", err)
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, ErrSilent) {
		return fmt.Errorf("concurrent: %w", cause)
	}
	if n := len(r.history.Struck); n < len(r.at) {
		r.history.Failures = append(r.history.Failures, fmt.Errorf("%w: of %d troubles only %q struck", ErrVoid, len(r.plan), r.history.Struck))
	}
	r.settle()
	return nil
}

// settle sets the return of each command of unknown outcome to the tick at which the
// outcome was decided: when the location had been opened again. It marks the reads of the
// owner before that.
func (r *run) settle() {
	type span struct{ from, to int64 }
	var detached []span
	for i := range r.history.Commands {
		if c := &r.history.Commands[i]; c.Outcome == Unknown {
			c.Return = r.decided(c.Return)
			detached = append(detached, span{c.Call, c.Return})
		}
	}
	for read := range r.history.reads() {
		for _, s := range detached {
			read.Detached = read.Detached || !read.Follower && read.Return > s.from && read.Call < s.to
		}
	}
}

// decided returns the first tick after another one at which the location had been opened.
func (r *run) decided(after int64) int64 {
	for _, tick := range r.opened {
		if tick > after {
			return tick
		}
	}
	return never
}

func (r *run) tick() int64 { return r.clock.Add(1) }

// rng returns the random numbers of one goroutine.
func (r *run) rng(kind string, i int) *rand.Rand {
	var salt uint64
	for _, b := range []byte(kind) {
		salt = salt*131 + uint64(b)
	}
	return rand.New(rand.NewPCG(r.Seed, salt<<16+uint64(i)))
}

// sleep waits, unless the context ends before.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// upTo returns a random time of at most d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d) + 1))
}

// takes reports whether there is one more operation to ask for.
func (r *run) takes(ctx context.Context) bool {
	n := r.issued.Add(1)
	if i, ok := r.at[n]; ok {
		r.due <- r.plan[i]
	}
	return n <= int64(r.Operations) && ctx.Err() == nil
}

// expected reports whether a client has to live with an error.
func (r *run) expected(err error) bool {
	for _, known := range []error{
		persist.ErrStopped, persist.ErrOutcomeUnknown, persist.ErrLagged, persist.ErrClosed, storage.ErrNoEffect,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return r.store.Expected != nil && r.store.Expected(err)
}

// fail records an error that no client must get.
func (r *run) fail(what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.history.Failures) < 10 {
		r.history.Failures = append(r.history.Failures, fmt.Errorf("%s: %w", what, err))
	}
}

// failed records an error unless it is expected.
func (r *run) failed(what string, err error) {
	if !r.expected(err) {
		r.fail(what, err)
	}
}

func (r *run) addCommand(c Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Commands = append(r.history.Commands, c)
}

func (r *run) addRead(read Read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Reads = append(r.history.Reads, read)
}

func (r *run) addTail(t Tail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Tails = append(r.history.Tails, t)
}

// OutcomeOf returns what the answer to a command means: the error of its future, or nil. It
// does not know every error. It returns NoEffect for an error that it does not know, and
// for the error of a context that ended while the answer was awaited. Such a command may
// take effect all the same: set Unknown.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, persist.ErrOutcomeUnknown):
		return Unknown
	case errors.Is(err, persist.ErrUpperMismatch), errors.Is(err, persist.ErrSealed),
		errors.Is(err, persist.ErrSealRegression), errors.Is(err, persist.ErrSinceRegression):
		return Refused
	default:
		return NoEffect
	}
}
