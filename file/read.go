package file

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/storage"
)

// cursor is a place in the log that a handle remembers between two reads: the beginning of
// a frame. It has a reference to its segment.
type cursor struct {
	seg *segment
	at  point
}

func (c cursor) acquire() cursor {
	c.seg.acquire()
	return c
}

func (c cursor) release() error {
	if c.seg == nil {
		return nil
	}
	return c.seg.release()
}

// reading is one pass over entries that are known to be durable. So a frame that does not
// decode is damage.
type reading struct {
	segs        []*segment // ascending, without gaps; a reference each
	i           int        // the segment being read
	at          point      // the frame being read, in segs[i]
	after, last storage.SeqNo
	ahead       ahead
}

// newReading prepares to read the positions after < p <= last. It takes references to the
// segments of segs that hold them. c is a cursor of the same handle, or the zero value.
// REQUIRES: segs[0].first <= after+1, if there is anything to be read.
func newReading(segs []*segment, c cursor, after, last storage.SeqNo) *reading {
	r := &reading{after: after, last: last}
	if after >= last {
		return r
	}
	for len(segs) > 1 && segs[1].first <= after+1 {
		segs = segs[1:]
	}
	r.at = segs[0].seek(after + 1)
	if c.seg == segs[0] && c.at.next <= after+1 && c.at.next > r.at.next {
		r.at = c.at
	}
	for _, s := range segs {
		r.segs = append(r.segs, s.acquire())
	}
	return r
}

// cursor returns the place of the reading, without a reference of its own.
func (r *reading) cursor() cursor {
	if len(r.segs) == 0 {
		return cursor{}
	}
	return cursor{seg: r.segs[r.i], at: r.at}
}

func (r *reading) release() error {
	var errs []error
	for _, s := range r.segs {
		errs = append(errs, s.release())
	}
	return errors.Join(errs...)
}

// run yields the entries. Before every frame it calls check, whose error ends the reading.
// Its reads of the disk are operations: see await.
func (r *reading) run(ctx context.Context, reads operations, check func() error, yield func(storage.Entry, error) bool) {
	r.ahead.reads = reads
	defer r.ahead.wait(ctx)
	var w *frameReader
	for {
		err := ctx.Err()
		if err == nil {
			err = check()
		}
		if err != nil {
			yield(storage.Entry{}, err)
			return
		}
		if len(r.segs) == 0 || r.at.next > r.last {
			return
		}
		if w == nil {
			w = newFrameReader(r.segs[r.i])
			w.stop, w.read = ctx.Err, w.s.readUnder(ctx, reads)
		}
		if r.i+1 < len(r.segs) && r.at.next >= r.segs[r.i+1].first {
			if err := checkChain(r.at.next, r.segs[r.i+1]); err != nil {
				yield(storage.Entry{}, err)
				return
			}
			r.i++
			r.at, w = r.segs[r.i].start(), nil
			continue
		}
		more, err := r.frame(ctx, w, yield)
		if err != nil {
			yield(storage.Entry{}, err)
			return
		}
		if !more {
			return
		}
	}
}

// frame reads one frame and yields the entries of it that were asked for. It reports false
// if the consumer has ended the iteration.
func (r *reading) frame(ctx context.Context, w *frameReader, yield func(storage.Entry, error) bool) (bool, error) {
	h, ok, err := w.header(r.at)
	if err != nil {
		return false, err
	}
	ok = ok && h.kind == kindGroup
	if ok && r.at.after(h).next <= r.after+1 {
		w.s.note(r.at)
		r.at = r.at.after(h)
		return true, nil
	}
	early := r.ahead.take(ctx, w.s, r.at)
	if ok {
		r.ahead.start(ctx, w.s, r.at, h, r.last)
	}
	h, payload, what, err := early.group(ctx, w, r.at)
	if err == nil && what != "" {
		// Read the group once more from the disk before calling it damage.
		w.forget()
		h, payload, what, err = w.group(r.at, nil)
	}
	if err != nil {
		return false, err
	}
	if what != "" {
		return false, w.s.damaged(r.at.off, "%s, but the log goes on to %s", what, r.last)
	}
	w.s.note(r.at)
	for pos := r.at.next; len(payload) > 0; pos++ {
		var entry []byte
		entry, payload, _ = nextEntry(payload) // group has checked the whole payload
		if pos > r.after && !yield(storage.Entry{SeqNo: pos, Data: entry}, nil) {
			return false, nil
		}
	}
	r.at = r.at.after(h)
	return true, nil
}

// readUnder returns readAt as an operation. The operation has a reference of its own,
// because a caller that has given up releases the segment.
func (s *segment) readUnder(ctx context.Context, reads operations) func(p []byte, off int64) error {
	return func(p []byte, off int64) error {
		if err := reads.slots.Acquire(ctx, 1); err != nil {
			return err
		}
		s.acquire()
		_, err := awaitBegun(ctx, reads, func() (struct{}, error) { return struct{}{}, errors.Join(s.readAt(p, off), s.release()) }, nil)
		return err
	}
}

// checkChain checks that a segment begins with the position at which the one before it
// ended.
func checkChain(next storage.SeqNo, s *segment) error {
	if next != s.first {
		return s.damaged(0, "want a segment that begins with position %s, found %s: files were exchanged", next, s.first)
	}
	return nil
}

func errTruncated(dir string, after, first storage.SeqNo) error {
	return fmt.Errorf("read log %s after position %s: it begins with %s now: %w", dir, after, first, storage.ErrTruncated)
}
