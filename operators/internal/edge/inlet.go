package edge

import "sync"

// Inlet is the open input of an operator. The operator reads C until the upstream closes
// it. An operator that gives up before calls Drain.
type Inlet struct {
	C     <-chan any
	c     chan any
	start func()

	mu struct {
		sync.Mutex
		started bool
		used    bool // an upstream has the channel, and will close it
		over    bool // the operator does not read it any more
	}
}

// NewInlet returns an inlet. start is called once, in a goroutine of its own, by the first
// call of In or Start.
func NewInlet(start func()) *Inlet {
	c := make(chan any)
	return &Inlet{C: c, c: c, start: start}
}

// In returns the channel of the inlet, the same one every time.
func (i *Inlet) In() chan<- any {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.mu.used {
		i.mu.used = true
		if i.mu.over {
			go i.discard()
		}
	}
	i.startLocked()
	return i.c
}

// Start starts the operator, as the first call of In does.
func (i *Inlet) Start() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.startLocked()
}

func (i *Inlet) startLocked() {
	if !i.mu.started {
		i.mu.started = true
		go i.start()
	}
}

// Drain discards what comes until the upstream closes the inlet, so that no sender hangs on
// an operator that has ended. If no upstream has the inlet, Drain returns at once. When an
// upstream comes later, a goroutine does the same for it.
func (i *Inlet) Drain() {
	i.mu.Lock()
	i.mu.over = true
	used := i.mu.used
	i.mu.Unlock()
	if used {
		i.discard()
	}
}

func (i *Inlet) discard() {
	for range i.c {
		continue
	}
}
