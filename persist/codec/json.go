package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
)

// JSONOption changes what [JSON] returns.
type JSONOption func(*jsonConfig)

type jsonConfig struct{ typeName string }

// TypeName sets the name of the type in the codec's name: "json(NAME)". Use it to
// rename the Go type of a stream that exists, or to keep two types apart that are
// called the same in two packages.
func TypeName(name string) JSONOption {
	return func(c *jsonConfig) { c.typeName = name }
}

// JSON encodes T as encoding/json does. Fields may be added and removed between
// versions of a program: decoding ignores what it does not know.
//
// The codec's name is json and the name of the type without its packages, so
// that moving a type to another package does not lock its data out: "json(Order)",
// "json(map[string]int64)", "json(Box[Order])"; a struct without a name is
// "json(struct)". After renaming a type, keep the old name with [TypeName].
//
// Equal values encode to equal bytes: fields come in the order of declaration,
// map keys are sorted. What Go's == or a method Equal calls equal may still differ:
//
//   - a nil slice or map is null, an empty one is [] or {};
//   - time.Time is written with its location: use UTC;
//   - floats keep -0 apart from 0, json.Number and json.RawMessage keep their text;
//   - a MarshalJSON method decides for itself.
//
// Adding, removing or reordering fields changes the bytes of a value, too: to
// retract a row that an earlier version wrote, write the bytes of that version.
//
// Errors: what encoding/json refuses, such as NaN and channels; and strings that
// are not UTF-8, which encoding/json would silently change.
func JSON[T any](opts ...JSONOption) Codec[T] {
	cfg := jsonConfig{typeName: typeName(reflect.TypeFor[T]())}
	for _, opt := range opts {
		opt(&cfg)
	}
	return jsonCodec[T]{name: "json(" + cfg.typeName + ")"}
}

// qualifier is what stands before a type's own name within the name of a generic
// type, or behind it where the type is local to a function.
var qualifier = regexp.MustCompile(`[^\[\]{}(),;*\s]*\.|·\d+`)

func typeName(t reflect.Type) string {
	if t.Name() != "" {
		return qualifier.ReplaceAllString(t.Name(), "")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + typeName(t.Elem())
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Map:
		return "map[" + typeName(t.Key()) + "]" + typeName(t.Elem())
	default:
		// Never the fields of a struct: the name must outlive a new one.
		return t.Kind().String()
	}
}

// replaced is how encoding/json writes a byte that is not UTF-8. It writes the
// rune U+FFFD itself as it is, never as an escape.
var replaced = []byte(`\ufffd`)

var errReplaced = errors.New("a string is not valid UTF-8 (use a []byte field)")

type jsonCodec[T any] struct{ name string }

func (c jsonCodec[T]) Name() string { return c.name }

func (c jsonCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return dst, encodeErrorf(c.name, "%w", err)
	}
	if hasReplacement(text) {
		return dst, encodeErrorf(c.name, "%w", errReplaced)
	}
	return append(dst, text...), nil
}

func (c jsonCodec[T]) Decode(src []byte) (T, error) {
	var v T
	if err := json.Unmarshal(src, &v); err != nil {
		var zero T
		return zero, decodeErrorf(c.name, "%w", err)
	}
	return v, nil
}

// hasReplacement reports whether text has the escape \ufffd: the backslash must
// not itself be escaped.
func hasReplacement(text []byte) bool {
	for {
		i := bytes.Index(text, replaced)
		if i < 0 {
			return false
		}
		backslashes := len(text[:i]) - len(bytes.TrimRight(text[:i], `\`))
		if backslashes%2 == 0 {
			return true
		}
		text = text[i+len(replaced):]
	}
}
