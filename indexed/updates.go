package indexed

import "github.com/tidemark-go/tidemark/indexed/internal/part"

// Types of package part that clients of the engine use.
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

// AddTyped appends one update to a builder. The encoders append key and value directly to
// the columns.
//
// Errors: the encoder's; ErrTooLarge; ErrInvalid for an encoder that does not append. After
// ErrInvalid the builder must be reset.
func AddTyped[K, V any](b *ColumnsBuilder, kc Encoder[K], vc Encoder[V], key K, val V, time uint64, diff int64) error {
	return part.AddTyped(b, kc, vc, key, val, time, diff)
}

// AppendRow appends the encodings of a key and a value to dst, and returns a row that
// refers to the result.
//
// Errors: those of AddTyped. After an error dst has its old contents, unless the encoder
// has changed them in place.
func AppendRow[K, V any](dst []byte, kc Encoder[K], vc Encoder[V], key K, val V) (Row, []byte, error) {
	return part.AppendRow(dst, kc, vc, key, val)
}

// EncodeKey returns the encoding of a key.
//
// Errors: the encoder's; ErrInvalid names an encoder that does not append.
func EncodeKey[K any](kc Encoder[K], key K) ([]byte, error) { return part.EncodeKey(kc, key) }
