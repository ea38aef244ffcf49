package persist

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime"

	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/brief"
)

// View is the contents of a stream as of one time, to be read by keys. It reads what it needs
// from the snapshot that it was made from, and nothing else; it is valid as long as that.
// Several goroutines may use it at once.
//
// Every method yields rows as Snapshot.AsOf does: each (key, value) with its multiplicity as
// the Diff, and the time of the view as the Time, sorted by encoded (key, value). A key may
// have several rows, or none.
//
// Errors of all methods: those of Snapshot.AsOf; and the codec's, for a key that is asked for
// and cannot be encoded.
type View[K, V any] struct {
	of   *Snapshot[K, V]
	time uint64
}

// At returns the contents as of time t. They are complete if t is before Upper. At reads
// nothing; a t before Since is an error of the first read.
func (s *Snapshot[K, V]) At(t uint64) *View[K, V] { return &View[K, V]{s, t} }

// Time returns the time of the view.
func (v *View[K, V]) Time() uint64 { return v.time }

// Get yields the rows of a key.
//
// It reads one page of each batch that may have the key: see docs/keys.md.
func (v *View[K, V]) Get(ctx context.Context, key K) iter.Seq2[Update[K, V], error] {
	encoded, err := v.encode(key)
	if err != nil {
		return refused[K, V](err)
	}
	return v.rows(v.of.inner.Keys(ctx, v.time, func(yield func([]byte, error) bool) { yield(encoded, nil) }))
}

// Range yields the rows with keys from from on and before to, in the order of encoded keys.
// That is the order of the keys if their codec keeps it, as the codecs of package codec for
// numbers, times, strings and composites do.
func (v *View[K, V]) Range(ctx context.Context, from, to K) iter.Seq2[Update[K, V], error] {
	first, err := v.encode(from)
	if err != nil {
		return refused[K, V](err)
	}
	end, err := v.encode(to)
	if err != nil {
		return refused[K, V](err)
	}
	return v.rows(v.of.inner.Range(ctx, v.time, first, end))
}

// Prefix yields the rows whose encoded keys begin with these bytes. No bytes are the beginning
// of every key.
func (v *View[K, V]) Prefix(ctx context.Context, encoded []byte) iter.Seq2[Update[K, V], error] {
	return v.rows(v.of.inner.Range(ctx, v.time, bytes.Clone(encoded), behindPrefix(encoded)))
}

// behindPrefix returns the least key that is greater than all keys with a prefix, or nil if
// there is none.
func behindPrefix(prefix []byte) []byte {
	//museum:prefix-of-ones
	end := bytes.TrimRight(prefix, "\xff")
	if len(end) == 0 {
		return nil
	}
	end = bytes.Clone(end)
	end[len(end)-1]++
	return end
}

// Lookup yields the rows of many keys, in one pass over the batches. The keys must be
// ascending as they are encoded; a key that comes twice counts once. Lookup asks for some
// thousands of keys before it yields the first row.
//
// Errors: also ErrInvalid at a key that is less than the one before it. Rows of keys before it
// were yielded.
func (v *View[K, V]) Lookup(ctx context.Context, keys iter.Seq[K]) iter.Seq2[Update[K, V], error] {
	return v.rows(v.of.inner.Keys(ctx, v.time, func(yield func([]byte, error) bool) {
		var last []byte
		for key := range keys {
			encoded, err := v.encode(key)
			if err == nil && last != nil {
				switch order := bytes.Compare(last, encoded); {
				case order == 0:
					continue
				case order > 0:
					err = v.of.read.invalid("key %s was asked for after a greater one: give Lookup its keys in the order of their encodings", brief.Value(key))
				}
			}
			if !yield(encoded, err) {
				return
			}
			last = encoded
		}
	}))
}

func (v *View[K, V]) encode(key K) ([]byte, error) {
	encoded, err := indexed.EncodeKey(v.of.read.kc, key)
	if err != nil {
		return nil, fmt.Errorf("tidemark: stream %q: encode key %s: %w", v.of.read.shownName(), brief.Value(key), err)
	}
	return encoded, nil
}

func (v *View[K, V]) rows(rows iter.Seq2[indexed.Row, error]) iter.Seq2[Update[K, V], error] {
	return func(yield func(Update[K, V], error) bool) {
		defer runtime.KeepAlive(v.of)
		v.of.rows(rows)(yield)
	}
}

func refused[K, V any](err error) iter.Seq2[Update[K, V], error] {
	return func(yield func(Update[K, V], error) bool) { yield(Update[K, V]{}, err) }
}
