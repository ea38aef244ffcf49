// Package wire has the encodings that log entries and the manifest share: varints, counted
// byte strings and frontiers, and the errors for stored bytes that cannot be read.
// docs/format.md describes the messages.
//
// Append functions append to a byte slice. A [Reader] reads a message and checks every
// bound.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
)

// ErrTruncated: the message ends in the middle of a value.
var ErrTruncated = errors.New("message ends early")

// AppendString writes the length of a string as a varint, and its bytes.
func AppendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// AppendFrontier writes 0 for {}, or 1 and the time.
func AppendFrontier(dst []byte, a frontier.Antichain) []byte {
	t, ok := a.Elem()
	if !ok {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	return binary.AppendUvarint(dst, t)
}

// Reader reads a message and keeps the first error. After an error every read returns a
// zero value, so a caller checks once at the end. A Reader never allocates more than the
// message is long.
type Reader struct {
	buf []byte
	off int
	err error
}

// NewReader returns a reader of message that begins at offset.
func NewReader(message []byte, offset int) *Reader {
	return &Reader{buf: message, off: offset}
}

// Err returns the first error, nil if there was none.
func (r *Reader) Err() error { return r.err }

// Fail notes an error at the present offset, unless there is an earlier one.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d of %d: %w", r.off, len(r.buf), err)
	}
}

// Remaining returns how many bytes of the message are left.
func (r *Reader) Remaining() int { return len(r.buf) - r.off }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.err != nil {
		return 0
	}
	if r.Remaining() < 1 {
		r.Fail(ErrTruncated)
		return 0
	}
	b := r.buf[r.off]
	r.off++
	return b
}

// Uvarint reads a varint.
func (r *Reader) Uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.buf[r.off:])
	if n <= 0 {
		r.Fail(ErrTruncated)
		return 0
	}
	r.off += n
	return v
}

// Count reads the number of things that follow, of at least minBytes each. More than the
// rest of the message can hold is an error, so a caller may allocate for that many.
func (r *Reader) Count(minBytes int) int {
	n := r.Uvarint()
	if r.err == nil && n > uint64(r.Remaining()/minBytes) {
		r.Fail(fmt.Errorf("count %d is larger than what follows", n))
		return 0
	}
	return int(n)
}

// Bytes returns the next n bytes: a part of the message, not a copy.
func (r *Reader) Bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.Remaining() {
		r.Fail(ErrTruncated)
		return nil
	}
	b := r.buf[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

// Text reads what AppendString has written.
func (r *Reader) Text() string { return string(r.Bytes(r.Count(1))) }

// Frontier reads what AppendFrontier has written.
func (r *Reader) Frontier() frontier.Antichain {
	switch b := r.Byte(); b {
	case 0:
		return frontier.Empty()
	case 1:
		return frontier.At(r.Uvarint())
	default:
		r.Fail(fmt.Errorf("frontier tag %d", b))
		return frontier.Empty()
	}
}

// End checks that the whole message was read, and returns the first error.
func (r *Reader) End() error {
	if r.err == nil && r.Remaining() != 0 {
		r.Fail(fmt.Errorf("%d bytes too many", r.Remaining()))
	}
	return r.err
}
