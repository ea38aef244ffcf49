package resources

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// Slack is how many more bytes of heap may be in use after all cycles than before. The
// runtime and the pools of the standard library keep them.
const Slack = 1 << 20

// warmUp is how many cycles fill pools and caches that live as long as the process.
const warmUp = 20

// Cycles calls cycle n times, after a few times to warm up. It fails unless goroutines,
// file descriptors and heap are back to what they were, the heap within Slack. A cycle may
// forget to close a thing if the garbage collector gives that thing back.
func Cycles(t testing.TB, n int, cycle func()) {
	t.Helper()
	for range warmUp {
		cycle()
	}
	before := settled(usage{})
	for range n {
		cycle()
	}
	after := settled(before)
	if after.exceeds(before) {
		t.Errorf("after %d cycles there are %s; before there were %s", n, after, before)
	}
}

// Collect collects garbage until done says that forgotten things were given back. It fails
// if they were not after many collections.
func Collect(t testing.TB, done func() bool) {
	t.Helper()
	for range rounds {
		runtime.GC()
		if done() {
			return
		}
		for range 100 {
			runtime.Gosched()
		}
	}
	t.Errorf("what was forgotten is not given back after %d collections", rounds)
}

// usage is what the process uses.
type usage struct {
	goroutines  int
	descriptors int // 0 where they cannot be counted
	heap        int64
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d bytes of heap", u.goroutines, u.descriptors, u.heap)
}

func (u usage) exceeds(limit usage) bool {
	return u.goroutines > limit.goroutines || u.descriptors > limit.descriptors || u.heap > limit.heap+Slack
}

// rounds is how often settled collects garbage before it gives up. Finalizers and cleanups
// run in goroutines of their own, and what they release takes another collection.
const rounds = 60

// settled returns the usage when it does not exceed the limit, or after many collections
// the usage that there is. The zero limit asks for what is left when nothing more is given
// back.
func settled(limit usage) usage {
	var u usage
	for i := range rounds {
		runtime.GC()
		u = current()
		if limit == (usage{}) && i >= 5 || limit != (usage{}) && !u.exceeds(limit) {
			break
		}
		for range 100 {
			runtime.Gosched()
		}
	}
	return u
}

func current() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage{goroutines: runtime.NumGoroutine(), heap: int64(m.HeapAlloc)}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		u.descriptors = len(open)
	}
	return u
}
