package edge

import "sync"

// Inlet is the open input of an operator. The operator reads C until it is closed,
// which its upstream does, or until it gives up and calls Drain.
type Inlet struct {
	C     <-chan any
	c     chan any
	start func()

	mu struct {
		sync.Mutex
		started bool
		used    bool // somebody has the channel, and is going to close it
		over    bool // nobody reads it any more
	}
}

// NewInlet returns an inlet. start is called once, in a goroutine of its own, when
// the inlet is first asked for or started.
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

// Start starts the operator as if the inlet had been asked for.
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

// Drain throws away what comes until the upstream closes the inlet, so that no
// sender hangs on an operator that has ended. It returns at once if the inlet is
// not in use, and then does the same for whoever uses it later.
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
