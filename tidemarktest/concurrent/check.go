package concurrent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidemark-go/tidemark/internal/seed"
)

// Record runs a load on a store and returns its history: writers that ask for commands and
// reads of every kind, listeners that fall behind, go away and resume, compaction all the
// time, restarts of the owner and the followers, and the troubles of the store.
//
// It blocks until the streams are finished and every listener has heard the end. Then it
// stops the runtimes that it opened. It may run in a synctest bubble if the store does.
//
// Errors: persist.ErrInvalid; those of opening and stopping; the context's.
func Record(ctx context.Context, store Store, opts Options) (*History, error) {
	r, err := newRun(ctx, store, opts)
	if err != nil {
		return nil, err
	}
	if err := r.perform(ctx, r.write, r.listen); err != nil {
		return nil, err
	}
	return &r.history, nil
}

// Verify checks everything that a history of [Record] must have: no failures, the tail
// properties ([CheckTails]), [OrderOfCalls] and [Linearizable]. It also checks that enough
// has happened for this to mean something.
//
// Errors: all that were found, joined: the failures; violations, which match ErrViolated;
// ErrVoid.
func Verify(h *History, opts Options) error {
	opts = opts.withDefaults()
	return errors.Join(append(h.Failures[:len(h.Failures):len(h.Failures)],
		CheckTails(h), OrderOfCalls(h), Linearizable(h, opts.CheckTimeout), h.enough(opts))...)
}

// Run records a history of a store, verifies it, and fails the test if anything is wrong.
// The failure says how to repeat it. For a history that is not linearizable, Run writes a
// web page that shows where, and names the page.
//
// Run returns the history for further checks. If the store has nothing but channels and
// timers, Run may be called in a bubble of testing/synctest.
func Run(t testing.TB, store Store, opts Options) *History {
	t.Helper()
	opts, err := opts.seeded()
	if err != nil {
		t.Fatal(err)
	}
	h, err := Record(t.Context(), store, opts)
	if err != nil {
		t.Fatalf("seed %d: %v\nrepeat with: %s", opts.Seed, err, seed.Repeat(t.Name(), opts.Seed))
	}
	t.Logf("seed %d: %s", opts.Seed, h)
	if err := Verify(h, opts); err != nil {
		t.Errorf("seed %d: %v\nrepeat with: %s", opts.Seed, err, seed.Repeat(t.Name(), opts.Seed))
		draw(t, err)
	}
	return h
}

// draw visualizes a history that is not linearizable: in the artifacts of the test if they
// are kept, else in a temporary file.
func draw(t testing.TB, err error) {
	t.Helper()
	var illegal *NotLinearizable
	if !errors.As(err, &illegal) {
		return
	}
	var path string
	if keep := flag.Lookup("test.artifacts"); keep != nil && keep.Value.String() == "true" {
		path = filepath.Join(t.ArtifactDir(), illegal.Stream+".html")
	} else {
		f, err := os.CreateTemp("", "linearizability-*.html")
		if err != nil {
			t.Errorf("cannot draw the history: %v", err)
			return
		}
		path = f.Name()
		_ = f.Close()
	}
	if err := illegal.Visualize(path); err != nil {
		t.Errorf("cannot draw the history: %v", err)
		return
	}
	t.Logf("open %s in a browser", path)
}

// enough reports what is missing for the history to mean something.
func (h *History) enough(opts Options) error {
	done := 0
	kinds := map[string]int{"write": 0, "compare-and-append": 0, "seal": 0, "allowed compaction": 0, "atomic write": 0}
	for i := range h.Commands {
		c := &h.Commands[i]
		if c.Outcome != Done {
			continue
		}
		done++
		switch e := &c.Effects[0]; {
		case len(c.Effects) > 1:
			kinds["atomic write"]++
		case e.Expected != nil:
			kinds["compare-and-append"]++
		case e.Seal != nil:
			kinds["seal"]++
		case e.Since != nil:
			kinds["allowed compaction"]++
		default:
			kinds["write"]++
		}
	}
	var errs []error
	void := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s", ErrVoid, fmt.Sprintf(format, args...)))
	}
	if done*10 < len(h.Commands)*5 {
		void("%d of %d commands were done", done, len(h.Commands))
	}
	if rate := float64(h.Operations) / max(h.Elapsed.Seconds(), 1e-9); rate < float64(opts.MinRate) {
		void("%d operations in %s are %.0f a second, the least is %d", h.Operations, h.Elapsed, rate, opts.MinRate)
	}
	for kind, n := range kinds {
		if n == 0 && opts.Operations >= 200 {
			void("no %s was done", kind)
		}
	}
	if got, want := len(h.Tails), opts.Listeners; got < want {
		void("%d tails of %d listeners", got, want)
	}
	if h.heardLate() == 0 {
		void("no listener ever fell behind")
	}
	return errors.Join(errs...)
}
