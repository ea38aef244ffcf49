package persist

import (
	"context"
	"iter"
	"runtime"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
)

// RawSorted yields what Between yields, but encoded. Key and Val are valid until the next
// row is asked for, and must not be changed. Errors, which end the sequence, are those of
// Between without those of decoding.
func (s *Snapshot[K, V]) RawSorted(ctx context.Context, lower, upper frontier.Antichain) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		defer runtime.KeepAlive(s)
		raw(s.inner.Between(ctx, lower, upper), yield)
	}
}

// RawAsOf yields what AsOf yields, but encoded, as RawSorted does.
func (s *Snapshot[K, V]) RawAsOf(ctx context.Context, t uint64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		defer runtime.KeepAlive(s)
		raw(s.inner.AsOf(ctx, t), yield)
	}
}

// raw converts rows to the type of this package. It is called for every row of a pipeline,
// so it does nothing else.
func raw(rows iter.Seq2[indexed.Row, error], yield func(Row, error) bool) {
	rows(func(row indexed.Row, err error) bool {
		if err != nil {
			return yield(Row{}, translate(err))
		}
		return yield(Row(row), nil)
	})
}

// Decoder decodes rows of one stream. One goroutine uses it at a time.
type Decoder[K, V any] struct{ rows *decoder[K, V] }

// Decoder returns a decoder of the handle's stream, for rows that were read raw.
func (r *ReadHandle[K, V]) Decoder() *Decoder[K, V] { return &Decoder[K, V]{r.decoder()} }

// Decode returns the update that a row encodes. It keeps nothing of the row.
//
// Errors: a *DecodeError.
func (d *Decoder[K, V]) Decode(row Row) (Update[K, V], error) {
	return d.rows.decode(row.Key, row.Val, row.Time, row.Diff, false)
}
