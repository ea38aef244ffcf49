package resources

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
)

// Peak watches the heap of a process at steps of a workload. Several goroutines may use it
// at once.
type Peak struct {
	before int64

	mu      sync.Mutex
	most    int64 // guarded by mu: live bytes after a collection, beyond before
	samples int   // guarded by mu
}

// live is what the last collection found reachable, in bytes.
const live = "/gc/heap/live:bytes"

// Watch returns a watch of the heap. It counts what is in use beyond what is in use now.
func Watch(t testing.TB) *Peak {
	t.Helper()
	return &Peak{before: LiveHeap(t)}
}

// Sample collects garbage, and takes note of what is in use at this step. Call it at fixed
// steps of the work, never by time, so that a run can be repeated.
func (p *Peak) Sample(t testing.TB) int64 {
	t.Helper()
	used := LiveHeap(t) - p.before
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = max(p.most, used)
	p.samples++
	return used
}

// Heap returns the most bytes that a sample has found beyond those at the beginning, and
// the number of samples.
func (p *Peak) Heap() (most int64, samples int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most, p.samples
}

// LiveHeap collects garbage and returns the bytes of the heap that are in use.
func LiveHeap(t testing.TB) int64 {
	t.Helper()
	runtime.GC()
	sample := []metrics.Sample{{Name: live}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		t.Errorf("this version of Go has no metric %s", live)
		return 0
	}
	return int64(sample[0].Value.Uint64())
}
