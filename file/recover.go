package file

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemark-go/tidemark/storage"
)

const (
	tornPrefix = "torn-"
	maxTorn    = 4       // files of torn bytes that are kept
	maxTornLen = 1 << 20 // bytes of one
)

// Recovery says what opening a log had to do.
type Recovery struct {
	// Cut is true if bytes behind the end were cut: the remains of an append that
	// was never acknowledged. After a power cut it may also be a damaged mark, or
	// bytes of the file's previous life; nothing that was acknowledged in any case.
	Cut bool
	// Segment is the file that was cut, and Offset where, in bytes.
	Segment string
	Offset  int64
	// Kept is the file that the cut bytes were copied to (the first MiB of them, if
	// there are more). The last few such files stay until somebody removes them.
	Kept string
}

// Recovery returns what opening the log had to do. The zero value means nothing.
func (l *Log) Recovery() Recovery { return l.recovery }

// recover checks the whole log and makes its end ready for appending.
func (l *Log) recover() error {
	names, err := l.fsys.list(l.dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", l.dir, err)
	}
	// An earlier process may have been killed between a rename and its flush, and
	// what follows builds on these names.
	if err := flushDir(l.fsys, l.dir); err != nil {
		return err
	}
	indexes := segmentIndexes(names)
	if err := checkGaps(l.dir, indexes); err != nil {
		return err
	}
	for _, index := range indexes {
		s, err := openSegment(l.dir, index, l.fsys.openWrite)
		if err != nil {
			return fmt.Errorf("open segment: %w", err)
		}
		l.enter(s)
	}
	if err := l.recoverSegments(l.mu.segs, names); err != nil {
		return err
	}
	// Spares come last: a log that is refused must be left as it is, and some of them
	// are removed.
	free, err := findSpares(l.fsys, l.dir, names)
	if err != nil {
		return err
	}
	l.spares = startSpares(l.fsys, l.dir, free)
	if len(indexes) > 0 {
		return nil
	}
	s, err := l.addSegment(1, 1, l.firstSegment, l.firstSegment)
	if err != nil {
		return err
	}
	l.enter(s)
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

func (l *Log) recoverSegments(segs []*segment, names []string) error {
	for i, s := range segs {
		end, what, err := s.walk()
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
				if err := l.proveNext(s, end.at); err != nil {
					return err
				}
			}
			continue
		}
		if err := l.recoverEnd(s, end, what, names); err != nil {
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

// walk checks every frame of the segment. what says why there is no valid group
// at the end.
func (s *segment) walk() (end segmentEnd, what string, err error) {
	w := newWindow(s)
	var scratch []byte
	end.at = s.start()
	for {
		h, payload, what, err := w.group(end.at, scratch)
		if err != nil || what != "" {
			return end, what, err
		}
		s.note(end.at)
		scratch = payload[:0]
		end.last, end.at = end.at, end.at.after(h)
	}
}

// proveNext writes the end mark of the last segment but one, if rotate was
// killed before it did.
func (l *Log) proveNext(s *segment, at point) error {
	h, whole, ok, err := newWindow(s).mark(at)
	if err != nil || ok && whole && h.kind == kindEnd {
		return err
	}
	return l.flushMark(s, kindEnd, at)
}

// recoverEnd decides what the end of the newest segment means: the end of the
// log, a torn append, or damage to something that was durable.
func (l *Log) recoverEnd(s *segment, end segmentEnd, what string, names []string) error {
	h, whole, marked, err := newWindow(s).mark(end.at)
	if err != nil {
		return err
	}
	if marked && h.kind == kindEnd {
		return missingSegment(l.dir, s.index+1)
	}
	// Nothing is ever written behind the end: not before the end was durable, at
	// which time it is not the end any more. Only the header of a torn group and
	// the two halves of the mark have their place there.
	from, skip := end.at.off, int64(0)
	if group, ok, err := newWindow(s).header(end.at); err != nil {
		return err
	} else if marked || ok && group.kind == kindGroup {
		from += frameAlign
	}
	if marked {
		skip = end.at.off + frameHeaderSize
	}
	beyond, found, err := s.findFrame(from, skip)
	if err != nil {
		return err
	}
	if found {
		return s.damaged(end.at.off, "%s, but a frame at offset %d shows that there was one", what, beyond)
	}
	if whole {
		return nil
	}
	if err := l.keepTorn(s, end.at, names); err != nil {
		return err
	}
	if !marked && end.last.off != 0 {
		if err := s.rewriteGroup(end.last); err != nil {
			return err
		}
	}
	return l.flushMark(s, kindMark, end.at)
}

// rewriteGroup makes the last group durable. It may be valid in the page cache
// only, and no flush would change that if an earlier one has failed: the kernel
// then takes the pages for clean. Writing them again makes them dirty.
func (s *segment) rewriteGroup(at point) error {
	h, ok, err := newWindow(s).header(at)
	if err != nil {
		return err
	}
	if !ok {
		return s.damaged(at.off, "the group changed while it was recovered")
	}
	buf := make([]byte, h.size())
	if err := s.readAt(buf, at.off); err != nil {
		return err
	}
	if _, err := s.f.WriteAt(buf, at.off); err != nil {
		return fmt.Errorf("write last group of segment %s again: %w", s.name, err)
	}
	if err := s.f.datasync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", s.name, err)
	}
	return nil
}

// flushMark writes a mark durably.
func (l *Log) flushMark(s *segment, kind frameKind, at point) error {
	if err := l.writeMark(s, kind, at); err != nil {
		return err
	}
	if err := s.f.datasync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", s.name, err)
	}
	return nil
}

// keepTorn copies what lies behind the end to a file of its own, if there is
// anything, before it is overwritten. The copy is a courtesy: a full disk must
// not keep the log from being opened, so a copy that fails is only reported.
func (l *Log) keepTorn(s *segment, at point, names []string) error {
	torn := make([]byte, min(maxTornLen, s.size-at.off))
	h, ok, err := newWindow(s).header(at)
	if err != nil {
		return err
	}
	if ok && h.kind == kindGroup {
		torn = torn[:min(int64(len(torn)), h.size())]
	}
	if err := s.readAt(torn, at.off); err != nil {
		return err
	}
	if torn = bytes.TrimRight(torn, "\x00"); len(torn) == 0 {
		return nil
	}
	l.recovery = Recovery{Cut: true, Segment: s.name, Offset: at.off}
	name := fmt.Sprintf("%s%s-%010d", tornPrefix, strings.TrimSuffix(segmentName(s.index), segmentSuffix), at.off)
	err = l.writeTorn(name, torn, names)
	if err == nil {
		l.recovery.Kept = filepath.Join(l.dir, name)
		if err := flushDir(l.fsys, l.dir); err != nil {
			return err
		}
	}
	l.logger.Warn("cut the torn tail of the log: an append that was never acknowledged",
		"segment", s.name, "offset", at.off, "bytes", len(torn), "kept", l.recovery.Kept, "error", err)
	return nil
}

func (l *Log) writeTorn(name string, torn []byte, names []string) error {
	if err := l.makeRoomForTorn(name, names); err != nil {
		return err
	}
	name = filepath.Join(l.dir, name)
	f, err := l.fsys.create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(torn, 0); err == nil {
		err = f.sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, l.fsys.remove(name))
	}
	return nil
}

// makeRoomForTorn removes the oldest files of torn bytes, and one with this name,
// which a recovery that was killed has left.
func (l *Log) makeRoomForTorn(name string, names []string) error {
	var torn []string
	for _, n := range names {
		if strings.HasPrefix(n, tornPrefix) && n != name {
			torn = append(torn, n)
		}
	}
	slices.Sort(torn)
	for len(torn) >= maxTorn {
		if err := l.fsys.remove(filepath.Join(l.dir, torn[0])); err != nil {
			return err
		}
		torn = torn[1:]
	}
	if slices.Contains(names, name) {
		if err := l.fsys.remove(filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	return nil
}
