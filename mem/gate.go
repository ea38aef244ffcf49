package mem

import (
	"context"
	"fmt"
	"sync"
)

// Gate stops operations until it is opened, and counts the operations that come to it. So a
// test knows which operations are under way, without sleeping.
//
// All methods may be called from several goroutines at once.
type Gate struct {
	// release is run once, before the gate opens. It may be nil.
	release func()
	once    sync.Once
	opened  chan struct{} // closed when the gate opens

	mu struct {
		sync.Mutex
		arrived int
		changed chan struct{} // closed and replaced at every arrival
	}
}

func newGate(release func()) *Gate {
	g := &Gate{release: release, opened: make(chan struct{})}
	g.mu.changed = make(chan struct{})
	return g
}

// Wait blocks until n operations have come to the gate since it was made.
//
// Errors: the context's; an error that says how many came, if the gate was opened before n
// had come.
func (g *Gate) Wait(ctx context.Context, n int) error {
	for {
		g.mu.Lock()
		arrived, changed := g.mu.arrived, g.mu.changed
		g.mu.Unlock()
		if arrived >= n {
			return nil
		}
		select {
		case <-changed:
		case <-g.opened:
			return fmt.Errorf("mem: gate opened after %d of %d operations", arrived, n)
		case <-ctx.Done():
			return fmt.Errorf("mem: %d of %d operations came to the gate: %w", arrived, n, ctx.Err())
		}
	}
}

// Open lets the operations at the gate go on, and stops no further ones. A second call does
// nothing.
func (g *Gate) Open() {
	g.once.Do(func() {
		if g.release != nil {
			g.release()
		}
		close(g.opened)
	})
}

// arrive counts an operation. It never blocks.
func (g *Gate) arrive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.arrived++
	close(g.mu.changed)
	g.mu.changed = make(chan struct{})
}

// pass counts an operation and blocks it until the gate opens or ctx ends.
func (g *Gate) pass(ctx context.Context) error {
	g.arrive()
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
