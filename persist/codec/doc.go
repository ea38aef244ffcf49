// Package codec turns keys and values into bytes and back.
//
// Tidemark stores bytes only. Each stream has a [Codec] for its keys and one for its
// values. Their names are recorded when the stream is created. A handle that brings codecs
// of other names is refused. So a name stands for a type and an encoding for as long as the
// data lives:
//
//	write, read, err := persist.CreateOrLoad(ctx, client, "orders",
//		codec.Uint64, codec.JSON[Order]())
//
// # The codecs
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
// Encodings sort as their values do: bytes.Compare of two encodings is the order of the
// values. A composite sorts as its parts do. Storage sorts by encoded bytes, so a snapshot
// of a stream with such keys comes out in key order. Exceptions are JSON, Proto, Keep of
// one of these, and your own codecs.
//
// # Equal values, equal bytes
//
// Updates of one (key, value) are added up when their encodings are equal, byte for byte.
// If an encoding writes one value in two ways, a row and its retraction stand beside each
// other for ever. The codecs here write equal values in one way. [Float64], [JSON] and
// [Proto] say where Go's == sees it differently.
//
// # Writing a codec
//
// Use [Func], or implement [Codec]. The rules:
//
//   - Choose a short name that says what the bytes are, and not where the Go type lives.
//   - Never change the meaning of a name: give a new encoding a new name.
//   - Refuse bytes that you would not write. If you must read them, do so in a
//     [LenientDecoder].
//
// Test three things: decoding gives back what was encoded, equal values have equal bytes,
// and arbitrary bytes never panic.
package codec
