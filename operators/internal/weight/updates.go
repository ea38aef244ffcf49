package weight

import "github.com/tidemark-go/tidemark/persist"

// Updates estimates the memory of updates.
type Updates[K, V any] struct {
	keys *Estimator[K]
	vals *Estimator[V]
}

// NewUpdates returns an estimator of updates with such keys and values.
func NewUpdates[K, V any]() *Updates[K, V] { return &Updates[K, V]{New[K](), New[V]()} }

// samples is how many updates Of looks at, where it walks through keys or values.
const samples = 128

// Of returns about the bytes of the updates. Strings and byte slices are counted. If keys
// or values are anything else that refers to memory, Of looks at up to samples updates,
// evenly spread, which stand for all.
func (e *Updates[K, V]) Of(updates []persist.Update[K, V]) int64 {
	const timeAndDiff = 16
	n := int64(len(updates))
	return n*timeAndDiff + sum(e.keys, updates, func(u *persist.Update[K, V]) *K { return &u.Key }) +
		sum(e.vals, updates, func(u *persist.Update[K, V]) *V { return &u.Val })
}

func sum[T, U any](e *Estimator[T], updates []U, part func(*U) *T) int64 {
	n := len(updates)
	switch {
	case e.Flat():
		return int64(n) * e.fixed
	case !e.Walks() || n <= samples:
		var bytes int64
		for i := range updates {
			bytes += e.Of(part(&updates[i]))
		}
		return bytes
	}
	var bytes int64
	for i := range samples {
		bytes += e.Of(part(&updates[i*n/samples]))
	}
	return bytes / samples * int64(n)
}
