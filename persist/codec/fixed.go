package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Unit encodes struct{} as no bytes at all. It is for the values of a stream that has only
// keys.
var Unit Codec[struct{}] = unitCodec

// Bool encodes false as the byte 0 and true as the byte 1.
var Bool Codec[bool] = boolCodec

// Uint32 encodes a uint32 as 4 bytes, big endian. They sort as the numbers do.
var Uint32 Codec[uint32] = uint32Codec

// Uint64 encodes a uint64 as 8 bytes, big endian. They sort as the numbers do.
var Uint64 Codec[uint64] = uint64Codec

// Int32 encodes an int32 as 4 bytes, big endian with the sign bit flipped. They sort as the
// numbers do.
var Int32 Codec[int32] = int32Codec

// Int64 encodes an int64 as 8 bytes, big endian with the sign bit flipped. They sort as the
// numbers do.
var Int64 Codec[int64] = int64Codec

// Float64 encodes every float64 bit for bit, as 8 bytes that sort by the total order of
// IEEE 754: negative NaNs, -Inf, ..., -0, +0, ..., +Inf, positive NaNs. -0 and +0 are two
// different keys here, although they are equal by Go's ==.
var Float64 Codec[float64] = float64Codec

// Time encodes an instant as 12 bytes that sort as instants do: seconds since the year 1 as
// [Int64] encodes them, then nanoseconds as [Uint32] does. Every time.Time has an encoding.
// Instants are decoded in UTC. The encoding has neither the location nor the monotonic
// clock reading. So times for which Equal holds have equal encodings.
var Time Codec[time.Time] = timeCodec

var unitCodec = fixedCodec[struct{}]{
	named: named{"unit"},
	width: 0,
	put:   func(dst []byte, _ struct{}) []byte { return dst },
	get:   func([]byte) (struct{}, error) { return struct{}{}, nil },
}

var boolCodec = fixedCodec[bool]{
	named: named{"bool"},
	width: 1,
	put: func(dst []byte, v bool) []byte {
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	},
	get: func(src []byte) (bool, error) {
		if src[0] > 1 {
			return false, fmt.Errorf("want the byte 0 or 1, got %d", src[0])
		}
		return src[0] == 1, nil
	},
}

var uint32Codec = fixedCodec[uint32]{
	named: named{"uint32"},
	width: 4,
	put:   binary.BigEndian.AppendUint32,
	get:   func(src []byte) (uint32, error) { return binary.BigEndian.Uint32(src), nil },
}

var uint64Codec = fixedCodec[uint64]{
	named: named{"uint64"},
	width: 8,
	put:   binary.BigEndian.AppendUint64,
	get:   func(src []byte) (uint64, error) { return binary.BigEndian.Uint64(src), nil },
}

var int32Codec = fixedCodec[int32]{
	named: named{"int32"},
	width: 4,
	put: func(dst []byte, v int32) []byte {
		return binary.BigEndian.AppendUint32(dst, uint32(v)^signBit32)
	},
	get: func(src []byte) (int32, error) {
		return int32(binary.BigEndian.Uint32(src) ^ signBit32), nil
	},
}

var int64Codec = fixedCodec[int64]{
	named: named{"int64"},
	width: 8,
	put:   appendInt64,
	get:   func(src []byte) (int64, error) { return int64At(src), nil },
}

var float64Codec = fixedCodec[float64]{
	named: named{"float64"},
	width: 8,
	put: func(dst []byte, v float64) []byte {
		// A larger positive number has larger bits. Setting the sign bit puts it after all
		// negative numbers. Their bits run the other way, so all of them are flipped.
		bits := math.Float64bits(v)
		if bits&signBit64 == 0 {
			bits |= signBit64
		} else {
			bits = ^bits
		}
		return binary.BigEndian.AppendUint64(dst, bits)
	},
	get: func(src []byte) (float64, error) {
		bits := binary.BigEndian.Uint64(src)
		if bits&signBit64 != 0 {
			bits &^= signBit64
		} else {
			bits = ^bits
		}
		return math.Float64frombits(bits), nil
	},
}

var timeCodec = fixedCodec[time.Time]{
	named: named{"time"},
	width: 12,
	put: func(dst []byte, v time.Time) []byte {
		// time.Time counts seconds from the year 1 in an int64. Unix moves the origin, and
		// wraps around for the earliest times. Moving the origin back undoes the wrap too.
		dst = appendInt64(dst, v.Unix()+unixFromYearOne)
		return binary.BigEndian.AppendUint32(dst, uint32(v.Nanosecond()))
	},
	get: func(src []byte) (time.Time, error) {
		nanos := binary.BigEndian.Uint32(src[8:])
		if nanos >= uint32(time.Second) {
			return time.Time{}, fmt.Errorf("want less than 1000000000 nanoseconds, got %d", nanos)
		}
		return time.Unix(int64At(src)-unixFromYearOne, int64(nanos)).UTC(), nil
	},
}

const (
	signBit32 = 1 << 31
	signBit64 = 1 << 63
	// unixFromYearOne is the number of seconds from 1 January of the year 1 to 1
	// January 1970, UTC.
	unixFromYearOne = 62135596800
)

func appendInt64(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v)^signBit64)
}

func int64At(src []byte) int64 { return int64(binary.BigEndian.Uint64(src) ^ signBit64) }

// fixedCodec encodes every value in width bytes. get gets exactly width bytes.
type fixedCodec[T any] struct {
	named
	width int
	put   func(dst []byte, v T) []byte
	get   func(src []byte) (T, error)
}

func (c fixedCodec[T]) Append(dst []byte, v T) ([]byte, error) { return c.put(dst, v), nil }

func (c fixedCodec[T]) Decode(src []byte) (T, error) {
	if len(src) != c.width {
		var zero T
		return zero, decodeErrorf(c.name, "want %d bytes, got %d", c.width, len(src))
	}
	v, err := c.get(src)
	if err != nil {
		return v, decodeErrorf(c.name, "%w", err)
	}
	return v, nil
}

func (c fixedCodec[T]) fixedWidth() (int, bool) { return c.width, true }
