package codec

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Proto encodes the protobuf message type T, a pointer to a generated struct, in wire
// format. The codec's name has the full protobuf name of the message:
// "proto(acme.orders.v1.Order)".
//
// Map entries are sorted, so equal messages encode to equal bytes within one version of a
// program. Protobuf promises no more than that. A new version of the schema or of the
// protobuf library may write the same message differently. Fields that the schema does not
// know keep the order that they came in, behind the others. So use messages as values
// rather than as keys, and simpler codecs for keys.
//
// Decoding refuses bytes that it would not write itself, as that of [JSON] does: a message
// that was read from them could not retract its row. [Keep] reads them. Fields that were
// added to the schema and are not set change nothing.
//
// Errors: a nil message; a message with an invalid string or without a required field; a T
// that is no generated message type, such as proto.Message itself; in decoding also bytes
// that the message would not encode to.
func Proto[T proto.Message]() Codec[T] {
	message, err := messageType[T]()
	if err != nil {
		return protoCodec[T]{named: named{"proto(invalid)"}, err: err}
	}
	return protoCodec[T]{
		named:   named{fmt.Sprintf("proto(%s)", message.Descriptor().FullName())},
		message: message,
	}
}

var errNilMessage = errors.New("the message is nil")

type protoCodec[T proto.Message] struct {
	named
	message protoreflect.MessageType // nil if err is not
	err     error                    // what is wrong with T
}

// messageType returns the message type of T. A generated type can tell it without a message.
// Other types panic, which becomes an error here.
func messageType[T proto.Message]() (message protoreflect.MessageType, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%T is not a generated message type", *new(T))
		}
	}()
	var zero T
	return zero.ProtoReflect().Type(), nil
}

func (c protoCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	if c.err != nil {
		return dst, encodeErrorf(c.name, "%w", c.err)
	}
	if !v.ProtoReflect().IsValid() {
		return dst, encodeErrorf(c.name, "%w", errNilMessage)
	}
	out, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, v)
	if err != nil {
		return dst, encodeErrorf(c.name, "%w", err)
	}
	return out, nil
}

func (c protoCodec[T]) Decode(src []byte) (T, error) {
	v, err := c.DecodeLenient(src)
	if err != nil {
		return v, err
	}
	same := false
	if err := rewritten(c, v, func(text []byte) { same = bytes.Equal(text, src) }); err != nil || !same {
		var zero T
		return zero, decodeErrorf(c.name, "%w", errRewritten)
	}
	return v, nil
}

// DecodeLenient is Decode that also accepts what other versions of the schema have written.
func (c protoCodec[T]) DecodeLenient(src []byte) (T, error) {
	var zero T
	if c.err != nil {
		return zero, decodeErrorf(c.name, "%w", c.err)
	}
	v, ok := c.message.New().Interface().(T)
	if !ok {
		return zero, decodeErrorf(c.name, "%T makes messages of another type", zero)
	}
	// Lazy decoding would find damage later, and would keep src.
	if err := (proto.UnmarshalOptions{NoLazyDecoding: true}).Unmarshal(src, v); err != nil {
		return zero, decodeErrorf(c.name, "%w", err)
	}
	return v, nil
}
