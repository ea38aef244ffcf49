package disk

import (
	"sync"
)

// SetHook has a function called before every operation, instead of the one before; nil: none.
// It may fail the operation: then the operation has no effect, but for a write, half of
// which is done, a flush of a file, which makes it clean and not durable, and a close or an
// unlock, which let go all the same. Whatever else it does happens just before the operation.
//
// op is the operation and name the file or directory: the table of the package has them.
// Calls of the hook follow one another: while it runs, so does no operation. See Meanwhile.
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

// Meanwhile is for a hook that wants to do something with the disk itself: f may call
// operations, and so may others while it runs.
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
