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

// TypeName sets the name of the type in the codec's name: "json(NAME)". Use it to
// rename the Go type of a stream that exists, or to keep two types apart that are
// called the same in two packages.
func TypeName(name string) JSONOption {
	return func(c *jsonConfig) { c.typeName = name }
}

// JSON encodes T as encoding/json does.
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
// Numbers in values of interface types, as in JSON[any], are json.Number and keep their
// digits.
//
// Adding, removing or reordering fields changes the bytes of a value, too. So a version of a
// program that has a field more would read what an earlier one wrote as values whose
// retractions retract nothing. Decoding refuses such bytes, all that it would not write
// itself. [Keep] reads them, and retracts them by the bytes that they were read from; the
// codec's name stays the same, so that a stream that exists opens with it. Values of
// interface types need it as well where they are given structs, which are read as maps.
//
// Errors: what encoding/json refuses, such as NaN and channels; strings that are not UTF-8,
// which encoding/json would silently change; and in decoding, bytes that encode otherwise.
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

// DecodeLenient is Decode of what other versions of T have written, too.
func (c jsonCodec[T]) DecodeLenient(src []byte) (T, error) {
	var v, zero T
	if !c.interfaces {
		if err := json.Unmarshal(src, &v); err != nil {
			return zero, decodeErrorf(c.name, "%w", err)
		}
		return v, nil
	}
	if !json.Valid(src) { // a Decoder would stop at the end of the first value
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

// rewriter tells whether encoding/json would write a text for a value, without a copy of
// what it would write.
type rewriter struct {
	encoder *json.Encoder
	rest    []byte // of the text
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

// Write compares what the encoder writes. It ends with a line break, which is nowhere else.
func (r *rewriter) Write(p []byte) (int, error) {
	text := bytes.TrimSuffix(p, []byte("\n"))
	if bytes.HasPrefix(r.rest, text) {
		r.rest = r.rest[len(text):]
	} else {
		r.differs = true
	}
	return len(p), nil
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
