package storagetest

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a testing.TB that remembers a failure instead of reporting it.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	messages []string
	failed   bool
	skipped  bool
	cleanups []func()
}

// observe runs a check and returns what became of it. A panic is a failure.
func observe(t testing.TB, check func(testing.TB)) *recorder {
	r := &recorder{TB: t}
	run := func(f func()) {
		done := make(chan struct{})
		go func() { // FailNow ends the goroutine
			defer close(done)
			defer func() {
				if panicked := recover(); panicked != nil {
					r.Errorf("panic: %v", panicked)
				}
			}()
			f()
		}()
		<-done
	}
	run(func() { check(r) })
	for _, cleanup := range slices.Backward(r.cleanups) {
		run(cleanup)
	}
	return r
}

func (r *recorder) Helper() {}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) FailNow() {
	r.mu.Lock()
	r.failed = true
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any) {
	r.mu.Lock()
	r.skipped = true
	r.messages = append(r.messages, fmt.Sprint(args...))
	r.mu.Unlock()
	runtime.Goexit()
}

// requireCaught checks that each of the named checks fails.
func requireCaught(t *testing.T, checks map[string]func(testing.TB), names []string) {
	t.Helper()
	for _, name := range names {
		require.Contains(t, checks, name)
		r := observe(t, checks[name])
		require.True(t, r.failed, "%s did not notice (skipped: %v)", name, r.skipped)
		require.NotEmpty(t, r.messages, "a failure without a message")
	}
}

// requireAllCaught checks that no check is left that nothing has made fail: it
// could not fail at all, for all we know.
func requireAllCaught(t *testing.T, checks map[string]func(testing.TB), caught map[string]bool) {
	t.Helper()
	for name := range checks {
		require.True(t, caught[name], "no fault makes %s fail", name)
	}
}
