package persist

// OnClose makes the listener call f in the middle of its next Close, before the listener
// beneath it is closed.
func (l *Listener[K, V]) OnClose(f func()) {
	inner := l.open.close
	l.open.close = func() error {
		f()
		return inner()
	}
}

// Finals are the errors that IsRetryable never takes for retryable.
var Finals = finals
