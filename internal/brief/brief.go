// Package brief writes keys and values of users into the text of errors. They are quoted,
// so that the text has one line, and bounded, so that a large key does not make a large
// error.
package brief

import (
	"fmt"
	"strconv"
)

// Max is how many bytes of a key or value an error has at most.
const Max = 64

// Bytes returns the bytes quoted. If there are more than Max, it quotes the first Max, and
// says how many there are.
func Bytes[T []byte | string](b T) string {
	if len(b) <= Max {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%q... (%d bytes)", string(b[:Max]), len(b))
}

// Value returns a value as the verb %v prints it, quoted and bounded.
func Value(v any) string {
	switch v := v.(type) {
	case string:
		return Bytes(v)
	case []byte:
		return Bytes(v)
	}
	return Bytes(fmt.Append(nil, v))
}
