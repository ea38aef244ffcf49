// Package codec turns keys and values into bytes and back.
//
// Tidemark stores bytes only. Each stream has a [Codec] for its keys and one for
// its values; their names are recorded when the stream is created, and a handle
// that brings codecs of other names is refused. So a name stands for a type and
// an encoding for as long as the data lives:
//
//	write, read, err := persist.CreateOrLoad(ctx, client, "orders",
//		codec.Uint64, codec.JSON[Order]())
//
// # What there is
//
//	codec            name                      bytes
//	--------------   ------------------------  ----------------------------------------
//	Unit             unit                      none
//	Bool             bool                      1: 00 false, 01 true
//	String           string                    UTF-8
//	Bytes            bytes                     as they are
//	Uint32, Uint64   uint32, uint64            4 or 8, big endian
//	Int32, Int64     int32, int64              4 or 8, big endian, sign bit flipped
//	Float64          float64                   8, big endian, in IEEE 754 total order
//	Time             time                      12: seconds as int64, nanoseconds as uint32
//	Pair(a, b)       pair(A,B), pair(A:n,B)    a, delimited or n bytes long, then b
//	Option(c)        option(C)                 00, or 01 and then c
//	Result(v, e)     result(V,E)               00 and then v, or 01 and then e
//	JSON[T]()        json(T)                   as encoding/json writes it
//	Proto[T]()       proto(full.Name)          protobuf wire format, deterministic
//	Keep(c)          as c                      as c, or as they were read
//	Func(name, ...)  name                      your own
//
// All but JSON, Proto, what is kept of them and your own sort as their values do: bytes.Compare of two encodings
// is the order of the values, and a composite sorts as its parts do. Storage sorts
// by encoded bytes, so a snapshot of a stream with such keys comes out in key order.
//
// # Equal values, equal bytes
//
// Updates of one (key, value) are added up when their encodings are equal, byte
// for byte. An encoding that writes one value in two ways leaves a row and its
// retraction standing beside each other for ever. The codecs here keep that rule,
// and [Float64], [JSON] and [Proto] say where Go's == sees it differently.
//
// # Writing a codec
//
// Use [Func], or implement [Codec]. Choose a short name that says what the bytes
// are and not where the Go type lives, and never change what a name means: give a
// new encoding a new name. Refuse bytes that you would not write, and read them by
// [LenientDecoder] if at all. Test that decoding gives back what was encoded, that
// equal values have equal bytes, and that arbitrary bytes never panic.
package codec
