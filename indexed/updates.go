package indexed

import "github.com/tidemark-go/tidemark/indexed/internal/part"

// What clients of the engine see of encoded updates. Package part below defines it.
type (
	// Columns is an immutable run of encoded updates.
	Columns = part.Columns
	// ColumnsBuilder collects updates for Columns.
	ColumnsBuilder = part.ColumnsBuilder
	// Row is one encoded update.
	Row = part.Row
	// Encoder is the encoding half of a codec.
	Encoder[T any] = part.Encoder[T]
)

// AddTyped appends one update whose key and value are encoded straight into the columns of
// a builder.
//
// Errors: the encoder's; ErrTooLarge; ErrInvalid for an encoder that does not append, after
// which the builder must be reset.
func AddTyped[K, V any](b *ColumnsBuilder, kc Encoder[K], vc Encoder[V], key K, val V, time uint64, diff int64) error {
	return part.AddTyped(b, kc, vc, key, val, time, diff)
}

// AppendRow appends the encodings of a key and a value to dst. The row refers to what is
// returned.
//
// Errors: as AddTyped. What dst had is then as it was, unless the encoder has changed it in
// place.
func AppendRow[K, V any](dst []byte, kc Encoder[K], vc Encoder[V], key K, val V) (Row, []byte, error) {
	return part.AppendRow(dst, kc, vc, key, val)
}
