package tidemarktest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-go/tidemark/internal/seed"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Options says what is done in a history. The zero value is a good one.
type Options struct {
	// Seed decides the history. If the environment has TIDEMARK_SEED, that comes first. 0
	// means 1.
	Seed uint64
	// Steps is the number of requests to a store, or of things done around a pipeline.
	// 0 means 200.
	Steps int
	// InFlight is how many requests may be without an answer. Before one more, the history
	// waits for an answer. 0 means 32. A pipeline has no use for it.
	InFlight int
	// Config is that of every runtime. With small limits much happens: see [Small]. With
	// MaxTailBytes writers wait for room, so the store must not have Faults or Hold.
	Config persist.Config
	// Between is the time that passes after each request to a store whose time is virtual:
	// a year shows what only the age of data causes. In real time, and for a pipeline, it
	// has no effect.
	Between time.Duration

	// calm histories wait for all answers before a request that would cut them off. So the
	// outcome of each request follows from the requests alone.
	calm bool
	// trace keeps the trace in the report.
	trace bool
}

// Seeds returns the seeds from 1 to n, for a test of several histories. If the environment
// has TIDEMARK_SEED, it returns that seed alone, to repeat a history that has failed.
func Seeds(n int) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		if only, ok, err := seed.FromEnvironment(); ok && err == nil { // an invalid seed is an error of the run
			yield(only)
			return
		}
		for n := range uint64(max(n, 0)) {
			if !yield(n + 1) {
				return
			}
		}
	}
}

func (o Options) withDefaults() (_ Options, err error) {
	if o.Seed, err = seed.Resolve(o.Seed); err != nil {
		return o, fmt.Errorf("tidemarktest: %w", err)
	}
	if o.Steps < 0 || o.InFlight < 0 || o.Between < 0 {
		return o, fmt.Errorf("tidemarktest: %w: %+v: nothing may be negative; 0 means the default", persist.ErrInvalid, o)
	}
	if o.Steps == 0 {
		o.Steps = 200
	}
	if o.InFlight == 0 {
		o.InFlight = 32
	}
	return o, nil
}

// settles says whether the history waits for all answers before a request.
func (o Options) settles(k Kind) bool {
	if !o.calm {
		return false
	}
	switch k {
	case Down, Up, Stop, Start, OpenReader, FromReader, ListenReader, CloseReader, CloseListener, CloseSnapshot, Read, Pause, Resume:
		return true
	}
	return false
}

// Small is a config with limits that a few updates reach. So every kind of background work
// happens in a short history.
func Small() persist.Config {
	return persist.Config{
		MinStepInterval: time.Millisecond, FlushInterval: 20 * time.Millisecond,
		FlushBytes: 512, PartBytes: 128, MaxLogBytes: 2 << 10, MaxGroupBytes: 256,
		CacheSizeLimit: 4 << 10, ListenerWindowBytes: 400, FollowInterval: 500 * time.Millisecond,
	}
}

// Report is what was done in one history, or in several.
type Report struct {
	// Requests counts the requests, Calls those that a runtime answered, and Succeeded the
	// calls that succeeded.
	Requests, Calls, Succeeded int
	// MostInFlight is the largest number of requests that waited for an answer.
	MostInFlight int
	// Kinds counts the requests of each kind. Pairs counts two kinds that came one after
	// the other.
	Kinds map[Kind]int
	Pairs map[[2]Kind]int

	trace []string
}

// Add adds what another history did.
func (r *Report) Add(other Report) {
	r.Requests += other.Requests
	r.Calls += other.Calls
	r.Succeeded += other.Succeeded
	r.MostInFlight = max(r.MostInFlight, other.MostInFlight)
	if r.Kinds == nil {
		r.Kinds, r.Pairs = make(map[Kind]int), make(map[[2]Kind]int)
	}
	for k, n := range other.Kinds {
		r.Kinds[k] += n
	}
	for p, n := range other.Pairs {
		r.Pairs[p] += n
	}
}

// Void returns why histories of a store did too little to mean anything. Fewer than 60 in
// 100 calls succeeded; or a kind of request that the store can be given never came, or a
// pair of kinds. It takes about 100,000 requests to see all pairs.
func (r *Report) Void(store Store) error {
	if 100*r.Succeeded < 60*r.Calls {
		return fmt.Errorf("tidemarktest: void: %d of %d calls succeeded, want 60 in 100", r.Succeeded, r.Calls)
	}
	for _, a := range store.kinds(false) {
		if r.Kinds[a] == 0 {
			return fmt.Errorf("tidemarktest: void: no request to %s in %d", a, r.Requests)
		}
		for _, b := range store.kinds(false) {
			if r.Pairs[[2]Kind{a, b}] == 0 {
				return fmt.Errorf("tidemarktest: void: no request to %s after one to %s in %d", b, a, r.Requests)
			}
		}
	}
	return nil
}

// Run compares one random history of a store with the [Model], and fails the test when they
// differ. The failure says how to repeat it, what was done last, and where they differ. A
// store whose time is virtual runs in a bubble of testing/synctest.
func Run(t *testing.T, store Store, opts Options) Report {
	t.Helper()
	var report Report
	var err error
	inBubble(t, store.Virtual, func(t *testing.T) {
		report, err = check(t.Context(), store, opts, store.Virtual)
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, repeat(t, opts))
	}
	return report
}

// repeat returns the line that says how to repeat a failure.
func repeat(t *testing.T, opts Options) string {
	opts, _ = opts.withDefaults()
	return "repeat with: " + seed.Repeat(t.Name(), opts.Seed)
}

func inBubble(t *testing.T, virtual bool, test func(*testing.T)) {
	if virtual {
		synctest.Test(t, test)
	} else {
		test(t)
	}
}

// Check is [Run] without a test, in real time. It is for programs that test a store for as
// long as they are told to.
//
// Errors: what differs from the model; the context's.
func Check(ctx context.Context, store Store, opts Options) (Report, error) {
	return check(ctx, store, opts, false)
}

func check(ctx context.Context, store Store, opts Options, virtual bool) (Report, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return Report{}, err
	}
	if err := store.usable(opts); err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	store.Virtual = virtual
	h := &history{ctx: ctx, store: store, opts: opts, virtual: virtual, gen: newGenerator(opts.Seed, store, opts.calm)}
	if virtual && store.Faults != nil {
		h.latency = &latency{of: time.Duration(opts.Seed%4) * time.Millisecond}
		store.Faults.SetDelay(h.latency.delay)
	}
	err = h.run()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("tidemarktest: %w", cause)
	} else if err != nil {
		err = fmt.Errorf("tidemarktest: seed %d: %w\nthe last requests:\n%s", opts.Seed, err, strings.Join(h.last(25), "\n"))
	}
	return h.report(), err
}

// violation is a difference from the model.
type violation struct {
	request int
	text    string
}

func (v *violation) Error() string { return fmt.Sprintf("request %d: %s", v.request, v.text) }

// last returns the requests up to a few after the one at fault, or the newest, and what
// became of them.
func (h *history) last(n int) (lines []string) {
	var v *violation
	fault := len(h.results) - 1
	if errors.As(h.err, &v) && v.request >= 0 {
		fault = min(v.request+8, fault)
	}
	for i := max(0, fault+1-n); i <= fault; i++ {
		lines = append(lines, fmt.Sprintf("    %s -> %s", h.requests[i], h.outcome(i).text(storage.SeqNo.String)))
	}
	return lines
}

// outcome is the outcome of a request, or says that it has none yet.
func (h *history) outcome(i int) outcome {
	if a, ok := h.results[i].(interface{ settled() bool }); ok && !a.settled() {
		return outcome{class: "no answer"}
	}
	return h.results[i].outcome()
}

func (h *history) report() Report {
	r := Report{Requests: len(h.results), MostInFlight: h.most, Kinds: make(map[Kind]int), Pairs: make(map[[2]Kind]int)}
	for i := range h.results {
		k := h.requests[i].kind
		r.Kinds[k]++
		if i > 0 {
			r.Pairs[[2]Kind{h.requests[i-1].kind, k}]++
		}
		o := h.outcome(i)
		if !k.isControl() && k != Stop && o.class != nothing {
			r.Calls++
			if o.class == succeeded {
				r.Succeeded++
			}
		}
	}
	if h.opts.trace {
		r.trace = h.trace()
	}
	return r
}
