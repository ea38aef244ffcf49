package indexed

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
)

// The encodings shared by log entries and the manifest: varints, counted byte
// strings and frontiers. docs/format.md describes the messages made of them.

var errTruncatedMessage = errors.New("message ends early")

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendFrontier writes 0 for {}, or 1 and the time.
func appendFrontier(dst []byte, a frontier.Antichain) []byte {
	t, ok := a.Elem()
	if !ok {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	return binary.AppendUvarint(dst, t)
}

// wireReader reads a message and remembers the first error: after one, every
// read returns a zero value, so that callers check once at the end. It never
// allocates more than the message is long.
type wireReader struct {
	buf []byte
	off int
	err error
}

func (r *wireReader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d of %d: %w", r.off, len(r.buf), err)
	}
}

func (r *wireReader) remaining() int { return len(r.buf) - r.off }

func (r *wireReader) byte() byte {
	if r.err != nil {
		return 0
	}
	if r.remaining() < 1 {
		r.fail(errTruncatedMessage)
		return 0
	}
	b := r.buf[r.off]
	r.off++
	return b
}

func (r *wireReader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.buf[r.off:])
	if n <= 0 {
		r.fail(errTruncatedMessage)
		return 0
	}
	r.off += n
	return v
}

// count reads a number of things that take at least minBytes each in what is
// left of the message, which bounds what a caller may allocate for them.
func (r *wireReader) count(minBytes int) int {
	n := r.uvarint()
	if r.err == nil && n > uint64(r.remaining()/minBytes) {
		r.fail(fmt.Errorf("count %d is larger than what follows", n))
		return 0
	}
	return int(n)
}

// bytes returns a part of the message, not a copy.
func (r *wireReader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.remaining() {
		r.fail(errTruncatedMessage)
		return nil
	}
	b := r.buf[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

func (r *wireReader) string() string { return string(r.bytes(r.count(1))) }

func (r *wireReader) frontier() frontier.Antichain {
	switch b := r.byte(); b {
	case 0:
		return frontier.Empty()
	case 1:
		return frontier.At(r.uvarint())
	default:
		r.fail(fmt.Errorf("frontier tag %d", b))
		return frontier.Empty()
	}
}

// end checks that the message was read to its end and returns the first error.
func (r *wireReader) end() error {
	if r.err == nil && r.remaining() != 0 {
		r.fail(fmt.Errorf("%d bytes too many", r.remaining()))
	}
	return r.err
}
