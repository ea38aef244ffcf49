package file

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/storage"
)

// pollLocked finds the present end of the log.
func (r *LogReader) pollLocked(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.stillOpen(); err != nil {
		return err
	}
	if len(r.end.kept) == 0 {
		if found, err := r.jumpLocked(); err != nil || !found {
			return err
		}
	}
	for {
		more, err := r.advanceLocked(ctx, !r.end.searched)
		if err != nil || !more {
			// Every poll searches until one finds no damage, and reports the damage. The first
			// poll alone would not do: Hold drops the error, and a caller may have given up.
			r.end.searched = r.end.searched || err == nil
			r.dropLocked()
			return err
		}
	}
}

// jumpLocked goes to the newest segment. It reports false if there is none.
func (r *LogReader) jumpLocked() (bool, error) {
	for {
		indexes, err := r.list()
		if err != nil || len(indexes) == 0 {
			return false, err
		}
		s, err := r.open(indexes[len(indexes)-1])
		if errors.Is(err, errGone) {
			continue // it was the newest and was truncated, so there are newer ones by now
		}
		if err != nil {
			return false, err
		}
		_ = releaseAll(r.end.kept) // only read
		r.end.kept, r.end.at = []*segment{s}, s.start()
		return true, nil
	}
}

// advanceLocked moves the end within the newest segment, as far as there is proof that
// groups were flushed, or to the next segment. It reports whether a further call may get
// further.
//
// The proof for a group is any valid header behind it. The writer puts a mark there only
// after the flush, and the next group only after the mark.
func (r *LogReader) advanceLocked(ctx context.Context, search bool) (more bool, err error) {
	s := r.end.kept[len(r.end.kept)-1]
	tail := s.follow(ctx, r.end.at)
	if tail.err != nil {
		return false, tail.err
	}
	// Check this before using what was found: if the file has lost its name, what is appended
	// to it belongs to another location.
	if replaced, err := r.replacedLocked(ctx, s, tail); err != nil || replaced {
		return replaced, err
	}
	r.end.at = tail.durable
	r.mu.Lock()
	confirmed := r.mu.confirmed
	r.mu.Unlock()
	//museum:reader-cries-wolf
	if tail.durable.next <= confirmed {
		r.end.at = tail.at // includes the newest group, which has no mark
	}
	if tail.ended || !tail.marked {
		next, err := r.open(s.index + 1)
		if err == nil {
			return true, r.enterLocked(ctx, s, next)
		}
		if !errors.Is(err, errGone) {
			return false, err
		}
		if tail.ended {
			return r.afterGapLocked(s)
		}
	}
	if search {
		return false, s.suspect(ctx, r.end.at, tail)
	}
	if tail.marked {
		return false, nil
	}
	stuck := &r.end.stuck
	if stuck.seg != s || stuck.off != tail.at.off {
		stuck.seg, stuck.off, stuck.polls, stuck.err = s, tail.at.off, 0, nil
	}
	if stuck.polls++; stuck.polls == suspectAfter {
		err := s.suspect(ctx, r.end.at, tail)
		if err != nil && !errors.Is(err, storage.ErrCorrupt) {
			stuck.polls-- // the search has failed, and the next poll repeats it
			return false, err
		}
		stuck.err = err
	}
	return false, stuck.err
}

// replacedLocked checks whether the newest segment s has another file by now. If another
// location shares the file of a segment, the writer replaces it by a copy. replacedLocked
// then goes on with the copy, and reports true.
func (r *LogReader) replacedLocked(ctx context.Context, s *segment, t tail) (bool, error) {
	//museum:follower-of-a-copy
	if at, err := s.f.IsAt(s.name); err != nil || at {
		if err != nil {
			err = fmt.Errorf("look at segment %s: %w", s.name, err)
		}
		return false, err
	}
	now, err := r.open(s.index)
	if errors.Is(err, errGone) {
		if t.ended {
			return false, nil // truncated
		}
		if again := s.follow(ctx, r.end.at); again.err != nil || again.ended {
			return again.err == nil, again.err // the segment was truncated meanwhile
		}
		// The successor was truncated too, or the location is gone.
		indexes, err := r.list()
		if err != nil || len(indexes) == 0 || indexes[0] <= s.index {
			return false, err
		}
		return r.jumpLocked()
	}
	if err != nil {
		return false, err
	}
	s.replaced.Store(true)
	// An opening that failed may have made the location and removed it again. The segment was
	// then empty.
	empty := s.index == 1 && r.end.at == s.start() && r.end.at == now.start()
	if now.segmentHeader != s.segmentHeader && !empty {
		return false, errors.Join(s.damaged(0, "another segment has taken its place: the location was replaced, open it again"), now.release())
	}
	r.end.kept = append(r.end.kept[:len(r.end.kept)-1:len(r.end.kept)-1], now)
	return true, s.release()
}

// enterLocked goes from the segment s to the next one. That one exists, which proves that s
// is complete.
func (r *LogReader) enterLocked(ctx context.Context, s, next *segment) error {
	tail := s.follow(ctx, r.end.at)
	err := tail.err
	if err == nil && tail.at.next < next.first {
		err = s.damaged(tail.at.off, "no frame that begins with position %s, but the next segment begins with %s", tail.at.next, next.first)
	}
	if err == nil {
		err = checkChain(tail.at.next, next)
	}
	if err != nil {
		return errors.Join(err, next.release())
	}
	r.end.kept = append(r.end.kept, next)
	r.end.at = next.start()
	r.dropLocked()
	return nil
}

// afterGapLocked goes on if the segment after s has existed and is not there. It was
// truncated, or it is missing, which is damage.
func (r *LogReader) afterGapLocked(s *segment) (bool, error) {
	indexes, err := r.list()
	if err != nil {
		return false, err
	}
	if len(indexes) == 0 || indexes[0] <= s.index+1 {
		return false, missingSegment(r.dir, s.index+1)
	}
	return r.jumpLocked()
}

// tail is the end of a segment as another process sees it.
type tail struct {
	durable point // everything before it is proved to be durable
	at      point // behind the last frame with a valid header
	marked  bool  // there is a mark at that place, so durable == at
	ended   bool  // the mark is an end mark: the next segment exists
	err     error
}

// follow goes from frame to frame, by their headers, and returns the end that it finds.
func (s *segment) follow(ctx context.Context, from point) tail {
	w := newFrameReader(s)
	t := tail{durable: from, at: from}
	for fresh := false; ; {
		if t.err = ctx.Err(); t.err != nil {
			return t
		}
		h, ok, err := w.header(t.at)
		if err != nil {
			t.err = err
			return t
		}
		if ok && h.kind == kindGroup {
			t.durable, t.at, fresh = t.at, t.at.after(h), false
			s.note(t.durable)
			continue
		}
		m, _, ok, err := w.mark(t.at)
		if err != nil {
			t.err = err
			return t
		}
		if ok {
			t.durable, t.marked, t.ended = t.at, true, m.kind == kindEnd
			return t
		}
		// These bytes may have been read before the header in front of them. Or the writer is
		// writing a mark or a header, and only half of it is there. Read them once more.
		if fresh {
			return t
		}
		fresh = true
		w.forget()
	}
}

// suspect searches the segment behind its end for proof that the log went on there.
func (s *segment) suspect(ctx context.Context, durable point, t tail) error {
	from, echo := t.at.off, int64(0)
	if t.marked {
		from, echo = from+frameAlign, from+frameHeaderSize
	}
	beyond, found, err := s.findFrame(ctx, from, echo)
	if err != nil || !found {
		return err
	}
	// If a writer is at work, it may have written the proof after the end was found. Then the
	// end has moved by now.
	if again := s.follow(ctx, durable); again.err != nil || again.at != t.at || again.marked != t.marked {
		return again.err
	}
	return s.damaged(t.at.off, "no frame that begins with position %s, but a frame at offset %d shows that there was one", t.at.next, beyond)
}
