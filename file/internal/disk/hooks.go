package disk

import "sync"

// SetHook sets the function that is called before every operation, and replaces the one
// before it. nil means none. Its arguments are the operation and a name: the documentation
// of the package lists them. No operation runs while the hook runs; see Meanwhile.
//
// If the hook returns an error, the operation returns that error and has no effect. There
// are three exceptions:
//
//   - Half of a write is done.
//   - A flush of a file makes the file clean, but not durable.
//   - A close or an unlock gives up what it should.
func (m *Disk) SetHook(hook func(op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// Alone runs f while no operation is under way. No operation begins before f ends. f must
// call no operation.
func (m *Disk) Alone(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// Meanwhile is for a hook that itself needs operations of the disk. f may call operations,
// and so may other goroutines while f runs.
func (m *Disk) Meanwhile(f func()) {
	m.mu.Unlock()
	defer m.mu.Lock()
	f()
}

// Stall makes the disk hang in the first operation for which at returns true. All other
// operations then hang too. reached is closed when the disk hangs. letGo ends that, and
// removes the hook.
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
