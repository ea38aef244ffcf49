package codec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Tuple is two values, ordered by the first and then by the second.
type Tuple[A, B any] struct {
	First  A
	Second B
}

// Pair encodes a [Tuple] so that encodings sort by the first component and then by the
// second, each as its own codec sorts it. For more components nest pairs to the right,
// which costs least: Pair(a, Pair(b, c)).
//
// A first component that always has the same size, such as [Uint64] or a pair of such, is
// written as it is. Its size becomes part of the name: "pair(uint64:8,string)". Any other
// first component is delimited, as in "pair(string,string)":
//
//	first, with each 00 written as 00 FF | 00 01 | second
func Pair[A, B any](a Codec[A], b Codec[B]) Codec[Tuple[A, B]] {
	p := pairCodec[A, B]{first: inner(a), second: inner(b)}
	if w, ok := fixedWidth(a); ok {
		p.firstWidth = w
		p.name = fmt.Sprintf("pair(%s:%d,%s)", a.Name(), w, b.Name())
	} else {
		p.firstWidth = -1
		p.name = fmt.Sprintf("pair(%s,%s)", a.Name(), b.Name())
	}
	return p
}

// The delimiter must sort before every byte that can follow in a longer first component, and
// also before an escaped 00. So both begin with 00, and 01 < FF.
const (
	escape     = 0x00
	escapedNul = 0xFF
	endOfFirst = 0x01
)

var errNoDelimiter = errors.New("no delimiter after the first component")

type pairCodec[A, B any] struct {
	named
	first      Codec[A]
	second     Codec[B]
	firstWidth int // bytes; -1 when the first component is delimited
}

func (c pairCodec[A, B]) Append(dst []byte, v Tuple[A, B]) ([]byte, error) {
	start := len(dst)
	out, err := c.first.Append(dst, v.First)
	if err != nil {
		return dst, encodeErrorf(c.name, "first: %w", err)
	}
	if c.firstWidth < 0 {
		out = delimit(out, start)
	}
	out, err = c.second.Append(out, v.Second)
	if err != nil {
		return dst, encodeErrorf(c.name, "second: %w", err)
	}
	return out, nil
}

func (c pairCodec[A, B]) Decode(src []byte) (v Tuple[A, B], err error) {
	first, second, err := c.split(src)
	if err != nil {
		return v, decodeErrorf(c.name, "%w", err)
	}
	var out Tuple[A, B]
	if out.First, err = c.first.Decode(first); err != nil {
		return v, decodeErrorf(c.name, "first: %w", err)
	}
	if out.Second, err = c.second.Decode(second); err != nil {
		return v, decodeErrorf(c.name, "second: %w", err)
	}
	return out, nil
}

// split returns the encodings of the two components. They may share memory with src.
func (c pairCodec[A, B]) split(src []byte) (first, second []byte, err error) {
	if c.firstWidth < 0 {
		return undelimit(src)
	}
	if len(src) < c.firstWidth {
		return nil, nil, fmt.Errorf("want at least %d bytes, got %d", c.firstWidth, len(src))
	}
	return slices.Clip(src[:c.firstWidth]), slices.Clip(src[c.firstWidth:]), nil
}

func (c pairCodec[A, B]) fixedWidth() (int, bool) {
	w, ok := fixedWidth(c.second)
	return c.firstWidth + w, ok && c.firstWidth >= 0
}

// fixedWidth returns the size of all encodings of c, if they have one size. Only codecs of
// this package can say so. The reason: the size is part of a pair's format, and must not
// come and go with a method of a type of somebody else.
func fixedWidth(c any) (int, bool) {
	if f, ok := c.(interface{ fixedWidth() (int, bool) }); ok {
		return f.fixedWidth()
	}
	return 0, false
}

// delimit escapes buf[start:] in place and appends the delimiter.
func delimit(buf []byte, start int) []byte {
	nuls := bytes.Count(buf[start:], []byte{escape})
	from := len(buf)
	buf = slices.Grow(buf, nuls+2)[:from+nuls]
	// Begin at the back, so that no byte is overwritten before it was moved.
	for to := len(buf); to > from; {
		from--
		to--
		if buf[from] == escape {
			buf[to] = escapedNul
			to--
		}
		buf[to] = buf[from]
	}
	return append(buf, escape, endOfFirst)
}

// undelimit splits src after the delimiter, and undoes the escapes before it.
func undelimit(src []byte) (first, rest []byte, err error) {
	for at := 0; ; {
		i := bytes.IndexByte(src[at:], escape)
		if i < 0 || at+i+1 == len(src) {
			return nil, nil, errNoDelimiter
		}
		nul, mark := at+i, src[at+i+1]
		switch {
		case mark == endOfFirst && first == nil:
			return slices.Clip(src[:nul]), slices.Clip(src[nul+2:]), nil // nothing was escaped: no copy
		case mark == endOfFirst:
			return slices.Clip(append(first, src[at:nul]...)), slices.Clip(src[nul+2:]), nil
		case mark == escapedNul:
			first = append(first, src[at:nul+1]...)
			at = nul + 2
		default:
			return nil, nil, fmt.Errorf("byte %#02x after 00 at offset %d: want ff or 01", mark, nul)
		}
	}
}
