package persist

import "github.com/tidemark-go/tidemark/indexed"

// Outage is a time in which an operator keeps trying to write: see WriteHandle.Outage.
type Outage = indexed.Outage

// Outage is for operators that keep trying while the storage refuses their commands
// without effect: it tells of that in the metrics and in the log of the runtime, until the
// outage is ended. A handle that carries an error has none, and returns nil.
func (w *WriteHandle[K, V]) Outage(operator string, cause error) *Outage {
	if w.Err() != nil {
		return nil
	}
	return w.writer.Outage(operator, w.id, w.name, cause)
}
