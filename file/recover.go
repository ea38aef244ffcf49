package file

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tidemark-go/tidemark/storage"
)

// Recovery says what the opening of a log had to do.
type Recovery struct {
	// Cut is true if bytes behind the end were cut: the remains of an append that was never
	// acknowledged. After a power cut they may also be a damaged mark, or bytes of an earlier
	// life of the file. In no case was anything of them acknowledged.
	Cut bool
	// Segment is the file that was cut, and Offset the place of the cut, in bytes.
	Segment string
	Offset  int64
	// Kept is the file that the cut bytes were copied to: all of them, or the first MiB. The
	// last few such files stay until somebody removes them.
	Kept string
}

// Recovery returns what the opening of the log had to do. The zero value means nothing.
func (l *Log) Recovery() Recovery { return l.recovery }

// found is what an inspection has found, and what settle must do about it.
type found struct {
	names    []string // all names in the directory
	torn     *tornEnd // an end that must be repaired; nil: none
	unproved *point   // where the last segment but one must get its end mark; nil: it has one
	surplus  []string // files that must be removed
}

// tornEnd is an end of the log without a whole mark.
type tornEnd struct {
	end    segmentEnd
	marked bool // one half of the mark is valid
}

// inspect checks the whole log and finds its end. It changes nothing.
func (l *Log) inspect(ctx context.Context) error {
	var err error
	if l.names, err = l.fsys.OpenDir(l.dir); err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	names, err := l.fsys.List(l.dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", l.dir, err)
	}
	l.found.names = names
	indexes := segmentIndexes(names)
	if err := checkGaps(l.dir, indexes); err != nil {
		return err
	}
	for _, index := range indexes {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := openSegment(l.dir, index, l.fsys.OpenWrite)
		if err != nil {
			return fmt.Errorf("open segment: %w", err)
		}
		l.enter(s)
	}
	if err := l.inspectSegments(ctx, l.mu.segs); err != nil {
		return err
	}
	free, surplus, err := findSpares(ctx, l.fsys, l.dir, names)
	if err != nil {
		return err
	}
	l.spares, l.found.surplus = newSpares(l.fsys, l.dir, free), surplus
	return nil
}

// checkGaps checks that no segment between two others is missing.
func checkGaps(dir string, indexes []uint64) error {
	for i, index := range indexes {
		if want := indexes[0] + uint64(i); index != want {
			return missingSegment(dir, want)
		}
	}
	return nil
}

func missingSegment(dir string, index uint64) error {
	return storage.Corruptf(filepath.Join(dir, segmentName(index)), -1, "the segment file is missing, and others show that it was there")
}

func (l *Log) inspectSegments(ctx context.Context, segs []*segment) error {
	for i, s := range segs {
		end, what, err := s.walk(ctx)
		if err != nil {
			return err
		}
		if i+1 < len(segs) {
			if end.at.next < segs[i+1].first {
				return s.damaged(end.at.off, "%s, but the next segment begins with %s", what, segs[i+1].first)
			}
			if err := checkChain(end.at.next, segs[i+1]); err != nil {
				return err
			}
			if i+2 == len(segs) {
				if err := l.inspectProof(s, end.at); err != nil {
					return err
				}
			}
			continue
		}
		//museum:append-behind-a-torn-tail
		if err := l.inspectEnd(ctx, s, end, what); err != nil {
			return err
		}
		l.write.off, l.write.marked = end.at.off, false
		l.mu.last = end.at.next - 1
	}
	return nil
}

// segmentEnd is where the valid frames of a segment end.
type segmentEnd struct {
	at   point // behind the last valid group
	last point // the last valid group; off is 0 if there is none
}

// walk checks every frame of the segment. what says why there is no valid group at the end.
func (s *segment) walk(ctx context.Context) (end segmentEnd, what string, err error) {
	w := newFrameReader(s)
	//museum:deaf-opening/2
	w.stop = ctx.Err
	var scratch []byte
	end.at = s.start()
	for {
		//museum:deaf-opening
		if err := ctx.Err(); err != nil {
			return end, "", err
		}
		h, payload, what, err := w.group(end.at, scratch)
		if err != nil || what != "" {
			return end, what, err
		}
		s.note(end.at)
		scratch = payload[:0]
		end.last, end.at = end.at, end.at.after(h)
	}
}

// inspectProof looks for the end mark of the last segment but one. It is missing if the
// process was killed in rotate, before the mark.
func (l *Log) inspectProof(s *segment, at point) error {
	h, whole, ok, err := newFrameReader(s).mark(at)
	if err == nil && (!ok || !whole || h.kind != kindEnd) {
		l.found.unproved = &at
	}
	return err
}

// inspectEnd decides what the end of the newest segment means: the end of the log, a torn
// append, or damage to something that was durable.
func (l *Log) inspectEnd(ctx context.Context, s *segment, end segmentEnd, what string) error {
	h, whole, marked, err := newFrameReader(s).mark(end.at)
	if err != nil {
		return err
	}
	if marked && h.kind == kindEnd {
		return missingSegment(l.dir, s.index+1)
	}
	// Nothing is ever written behind the end of the log before that end is durable, and then
	// the end moves. So no valid header lies behind it. There are two exceptions: the header
	// of a torn group, and the two halves of the mark, belong at the end itself.
	from, skip := end.at.off, int64(0)
	if group, ok, err := newFrameReader(s).header(end.at); err != nil {
		return err
	} else if marked || ok && group.kind == kindGroup {
		from += frameAlign
	}
	if marked {
		skip = end.at.off + frameHeaderSize
	}
	beyond, found, err := s.findFrame(ctx, from, skip)
	if err != nil {
		return err
	}
	//museum:damage-cuts-the-log
	if found {
		return s.damaged(end.at.off, "%s, but a frame at offset %d shows that there was one", what, beyond)
	}
	if !whole {
		l.found.torn = &tornEnd{end, marked}
	}
	return nil
}
