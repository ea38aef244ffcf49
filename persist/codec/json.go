package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"sync"
)

// JSONOption changes what [JSON] returns.
type JSONOption func(*jsonConfig)

type jsonConfig struct{ typeName string }

// TypeName sets the name of the type in the codec's name: "json(NAME)". Use it to rename
// the Go type of a stream that exists. Or use it to keep two types apart that have the same
// name in two packages.
func TypeName(name string) JSONOption {
	return func(c *jsonConfig) { c.typeName = name }
}

// JSON encodes T as encoding/json does.
//
// The codec's name is json and the name of the type without its packages: "json(Order)",
// "json(map[string]int64)", "json(Box[Order])". A struct without a name is "json(struct)".
// So data stays readable when a type moves to another package. After renaming a type, keep
// the old name with [TypeName].
//
// Equal values encode to equal bytes: fields come in the order of declaration, and map keys
// are sorted. Values that are equal by Go's ==, or by a method Equal, may still have
// different bytes:
//
//   - a nil slice or map is null, an empty one is [] or {};
//   - time.Time is written with its location: use UTC;
//   - floats keep -0 apart from 0, json.Number and json.RawMessage keep their text;
//   - a MarshalJSON method decides for itself.
//
// Numbers in values of interface types, as in JSON[any], are json.Number and keep their
// digits.
//
// Adding, removing or reordering fields changes the bytes of a value. So a value that an
// earlier version of the program wrote would encode to other bytes, and its retraction
// would retract nothing. Decoding therefore refuses all bytes that it would not write
// itself. [Keep] reads them, and retracts them by the bytes that they were read from. The
// codec's name stays the same, so a stream that exists opens with Keep. Values of interface
// types need Keep as well if they are given structs, which are read as maps.
//
// Errors: what encoding/json refuses, such as NaN and channels; strings that are not UTF-8,
// which encoding/json would silently change; in decoding also bytes that the value would
// not encode to.
func JSON[T any](opts ...JSONOption) Codec[T] {
	cfg := jsonConfig{typeName: typeName(reflect.TypeFor[T]())}
	for _, opt := range opts {
		opt(&cfg)
	}
	return jsonCodec[T]{
		named:      named{"json(" + cfg.typeName + ")"},
		interfaces: hasInterface(reflect.TypeFor[T](), map[reflect.Type]bool{}),
	}
}

// qualifier matches what a type's name has beside the type's own name: a package path
// before a name, also within the brackets of a generic type, and the number behind a type
// that is local to a function.
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
		// The name has no fields of a struct: it must stay the same when one is added.
		return t.Kind().String()
	}
}

// replaced is how encoding/json writes a byte that is not UTF-8. It never writes the rune
// U+FFFD itself as an escape.
var replaced = []byte(`\ufffd`)

var errReplaced = errors.New("a string is not valid UTF-8 (use a []byte field)")

type jsonCodec[T any] struct {
	named
	interfaces bool // T has values of interface types
}

// hasInterface reports whether a value of the type may hold one of an interface type.
func hasInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return hasInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if hasInterface(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

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
	v, err := c.DecodeLenient(src)
	if err != nil {
		return v, err
	}
	r := rewriters.Get().(*rewriter) //nolint:errcheck // the pool holds nothing else
	defer rewriters.Put(r)
	//museum:another-version
	if hasReplacement(src) || !r.wouldWrite(src, v) {
		var zero T
		return zero, decodeErrorf(c.name, "%w", errRewritten)
	}
	return v, nil
}

// DecodeLenient is Decode that also accepts what other versions of T have written.
func (c jsonCodec[T]) DecodeLenient(src []byte) (T, error) {
	var v, zero T
	if !c.interfaces {
		if err := json.Unmarshal(src, &v); err != nil {
			return zero, decodeErrorf(c.name, "%w", err)
		}
		return v, nil
	}
	if !json.Valid(src) { // a Decoder would ignore what follows the first value
		return zero, decodeErrorf(c.name, "%w", json.Unmarshal(src, new(json.RawMessage)))
	}
	d := json.NewDecoder(bytes.NewReader(src))
	//museum:digits-lost
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return zero, decodeErrorf(c.name, "%w", err)
	}
	return v, nil
}

// rewriter tells whether encoding/json would write a text for a value. It makes no copy of
// what would be written.
type rewriter struct {
	encoder *json.Encoder
	rest    []byte // the part of the text that is not compared yet
	differs bool
}

var rewriters = sync.Pool{New: func() any {
	r := &rewriter{}
	r.encoder = json.NewEncoder(r)
	return r
}}

func (r *rewriter) wouldWrite(text []byte, v any) bool {
	r.rest, r.differs = text, false
	err := r.encoder.Encode(v)
	same := err == nil && !r.differs && len(r.rest) == 0
	r.rest = nil // it is the caller's
	return same
}

// Write compares what the encoder writes with the text. The encoder ends with a line break,
// which is not in the text.
func (r *rewriter) Write(p []byte) (int, error) {
	text := bytes.TrimSuffix(p, []byte("\n"))
	if bytes.HasPrefix(r.rest, text) {
		r.rest = r.rest[len(text):]
	} else {
		r.differs = true
	}
	return len(p), nil
}

// hasReplacement reports whether text has the escape \ufffd. It does not count one whose
// backslash is itself escaped.
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
