package file

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tidemark-go/tidemark/storage"
)

// frameReader reads the frames of a segment through a buffer that grows while it is read in
// sequence. So a poll costs one small read, and a long read costs a few large ones. Large
// groups are read without the buffer, so each byte is read once. One goroutine uses a
// frameReader.
type frameReader struct {
	s    *segment
	off  int64  // offset of buf[0] in the file
	buf  []byte // the bytes that were read, a part of room
	room []byte
	// stop, if not nil, is called between the pieces of a large group. Its error ends the read.
	stop func() error
	// read, if not nil, replaces readAt of the segment. After it has failed, the frameReader
	// is not used any more.
	read func(p []byte, off int64) error
}

const (
	minRead    = 512
	maxRead    = 256 << 10
	largeGroup = maxRead / 4 // bytes of payload
	maxPiece   = 4 << 20     // bytes of a large group that are read at once
)

func newFrameReader(s *segment) *frameReader { return &frameReader{s: s} }

// bytes returns up to n bytes at off, fewer only at the end of the file. They are valid
// until the next call.
func (w *frameReader) bytes(off int64, n int) ([]byte, error) {
	n = int(max(0, min(int64(n), w.s.size-off)))
	if off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:][:n], nil
	}
	want := max(n, minRead)
	// After a long skip the reads are not in sequence: do not grow the buffer.
	if off <= w.off+2*int64(len(w.buf)) {
		want = max(want, min(maxRead, 4*len(w.buf)))
	}
	if len(w.room) < want {
		w.room = make([]byte, want)
	}
	w.off, w.buf = off, w.room[:min(int64(want), w.s.size-off)]
	if err := w.readAt(w.buf, off); err != nil {
		w.buf = nil
		return nil, err
	}
	return w.buf[:n], nil
}

// forget drops the buffered bytes, so that the next call sees the file as it is.
func (w *frameReader) forget() { w.buf = nil }

func (w *frameReader) readAt(p []byte, off int64) error {
	if w.read != nil {
		return w.read(p, off)
	}
	return w.s.readAt(p, off)
}

// readAt fills p from off. A file that ends earlier than its header says was cut while it
// was open: that is damage.
func (s *segment) readAt(p []byte, off int64) error {
	n, err := s.f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return s.damaged(off+int64(n), "the file ends here, want %d bytes", s.size)
	}
	return fmt.Errorf("read %d bytes of segment %s at offset %d: %w", len(p), s.name, off, err)
}

// header returns the frame header at a place. It returns false if there is no valid header
// for position p.next, or if the group and a mark behind it do not fit into the file. err
// is an I/O error.
func (w *frameReader) header(p point) (frameHeader, bool, error) {
	b, err := w.bytes(p.off, frameHeaderSize)
	if err != nil {
		return frameHeader{}, false, err
	}
	h, ok := parseFrameHeader(b, w.s.salt, p.off)
	if !ok || h.first != p.next || h.size() > w.s.size-p.off-markSize {
		return h, false, nil
	}
	return h, true, nil
}

// mark returns the mark at a place. It reports ok if there is one, for position p.next.
func (w *frameReader) mark(p point) (h frameHeader, whole, ok bool, err error) {
	b, err := w.bytes(p.off, markSize)
	if err != nil {
		return frameHeader{}, false, false, err
	}
	h, whole, ok = parseMark(b, w.s.salt, p.off)
	return h, whole, ok && h.first == p.next, nil
}

// group returns the header and the payload of the group at a place. The payload is in
// scratch if that is large enough; otherwise it is newly allocated. what says why there is
// no valid group; it is "" if there is one. err is an I/O error.
//
// A length is used only after two checks: the header has a valid checksum, and the group
// fits into the file.
func (w *frameReader) group(p point, scratch []byte) (h frameHeader, payload []byte, what string, err error) {
	h, ok, err := w.header(p)
	if err != nil {
		return h, nil, "", err
	}
	if !ok || h.kind != kindGroup {
		return h, nil, fmt.Sprintf("no frame that begins with position %s", p.next), nil
	}
	n, off := int(h.length), p.off+frameHeaderSize
	if n < largeGroup {
		b, err := w.bytes(off, n)
		if err != nil {
			return h, nil, "", err
		}
		payload = append(scratch[:0], b...)
		return h, payload, h.checkPayload(payload), nil
	}
	if cap(scratch) >= n {
		payload = scratch[:n]
	} else {
		payload = make([]byte, n)
	}
	begun := copy(payload, w.buf[off-w.off:]) // bytes that were read together with the header
	for begun < n {
		if w.stop != nil {
			if err := w.stop(); err != nil {
				return h, nil, "", err
			}
		}
		piece := payload[begun:min(n, begun+maxPiece)]
		if err := w.readAt(piece, off+int64(begun)); err != nil {
			return h, nil, "", err
		}
		begun += len(piece)
	}
	return h, payload, h.checkPayload(payload), nil
}

// after is the place behind a group.
func (p point) after(h frameHeader) point {
	return point{next: p.next + storage.SeqNo(h.count), off: p.off + h.size()}
}

// findFrame looks for a valid frame header at or after off, on every boundary. There is one
// only if everything before it was durable once. findFrame does not look at the offset
// skip.
func (s *segment) findFrame(ctx context.Context, off, skip int64) (int64, bool, error) {
	w := newFrameReader(s)
	w.room = make([]byte, maxRead)
	for ; off+frameHeaderSize <= s.size; off += maxRead - frameHeaderSize {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		b, err := w.bytes(off, maxRead)
		if err != nil {
			return 0, false, err
		}
		for i := 0; i+frameHeaderSize <= len(b); i += frameAlign {
			if b[i] != 'T' || b[i+1] != 'm' || off+int64(i) == skip {
				continue
			}
			if _, ok := parseFrameHeader(b[i:], s.salt, off+int64(i)); ok {
				return off + int64(i), true, nil
			}
		}
	}
	return 0, false, nil
}
