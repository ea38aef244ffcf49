package disk

import "sync"

// SetHook sets the function that is called before every operation, instead of the one that
// was set before; nil: none. It is given the operation and a name: the page of the package
// lists them. While it runs, no operation does; see Meanwhile.
//
// An error of the hook is the error of the operation, which then has no effect, except that
// half of a write is done, that a flush of a file makes it clean and not durable, and that a
// close or an unlock gives up what it should.
func (m *Disk) SetHook(hook func(op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// Alone runs f while no operation is under way, and none begins before it ends. f must call
// no operation.
func (m *Disk) Alone(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// Meanwhile is for a hook that itself needs operations of the disk: f may call them, and so
// may others while f runs.
func (m *Disk) Meanwhile(f func()) {
	m.mu.Unlock()
	defer m.mu.Lock()
	f()
}

// Stall makes the disk hang in the first operation that at is true for, and with it all
// others. reached is closed when it does. letGo ends it, and takes the hook away.
func (m *Disk) Stall(at func(op, name string) bool) (reached <-chan struct{}, letGo func()) {
	stalled, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.SetHook(func(op, name string) error {
		if at(op, name) {
			once.Do(func() { close(stalled) })
			<-gate
		}
		return nil
	})
	return stalled, func() {
		close(gate)
		m.SetHook(nil)
	}
}
