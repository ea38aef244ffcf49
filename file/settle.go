package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

const (
	tornPrefix = "torn-"
	maxTorn    = 4       // files of torn bytes that are kept
	maxTornLen = 1 << 20 // bytes of one
)

// settle does the work that the inspection has found to be necessary: see opening. Reading
// needs nothing that settle writes. Settle does not change the entries of the log.
func (l *Log) settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err // what follows takes only a few flushes
	}
	// An earlier process may have been killed between a rename and the flush of the name. What
	// follows needs these names to be durable.
	if err := l.flushDir(l.names, l.dir); err != nil {
		return err
	}
	// Remove these files first: one may be a second name of a segment.
	for _, name := range l.found.surplus {
		if err := l.fsys.Remove(name); err != nil {
			return fmt.Errorf("remove a file that is of no use: %w", err)
		}
	}
	segs := l.mu.segs
	if at := l.found.unproved; at != nil {
		s, err := l.own(ctx, segs[len(segs)-2])
		if err != nil {
			return err
		}
		if err := l.flushMark(s, kindEnd, *at); err != nil {
			return err
		}
	}
	if len(segs) > 0 {
		s, err := l.own(ctx, segs[len(segs)-1])
		if err != nil {
			return err
		}
		if torn := l.found.torn; torn != nil {
			if err := l.repairEnd(s, torn); err != nil {
				return err
			}
		}
	}
	l.write.marked = false
	l.spares.start()
	if len(segs) == 0 {
		l.first = filepath.Join(l.dir, segmentName(1))
		s, err := l.addSegment(1, 1, l.firstSegment, l.firstSegment)
		if err != nil {
			return err
		}
		l.enter(s)
	}
	l.found = found{}
	return nil
}

// repairEnd makes the end of the log durable and marks it. Before that it keeps a copy of
// the bytes behind the end.
func (l *Log) repairEnd(s *segment, torn *tornEnd) error {
	if err := l.keepTorn(s, torn.end.at); err != nil {
		return err
	}
	if !torn.marked && torn.end.last.off != 0 {
		if err := s.rewriteGroup(torn.end.last); err != nil {
			return err
		}
	}
	return l.flushMark(s, kindMark, torn.end.at)
}

// rewriteGroup makes the last group durable. The group may be valid in the page cache only.
// If an earlier flush of it has failed, no later flush would write it: the kernel takes the
// pages for clean. Writing them again makes them dirty.
func (s *segment) rewriteGroup(at point) error {
	h, ok, err := newFrameReader(s).header(at)
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
	if err := s.f.Datasync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", s.name, err)
	}
	return nil
}

// flushMark writes a mark and flushes it.
func (l *Log) flushMark(s *segment, kind frameKind, at point) error {
	if err := l.writeMark(s, kind, at); err != nil {
		return err
	}
	if err := s.f.Datasync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", s.name, err)
	}
	return nil
}

// keepTorn copies the bytes behind the end to a file of their own, before they are
// overwritten. It makes no file if there are only zeros. A full disk must not keep the log
// from being opened. So a copy that fails is only logged.
func (l *Log) keepTorn(s *segment, at point) error {
	torn := make([]byte, min(maxTornLen, s.size-at.off))
	h, ok, err := newFrameReader(s).header(at)
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
	err = l.writeTorn(name, torn)
	if err == nil {
		l.recovery.Kept = filepath.Join(l.dir, name)
		if err := l.flushDir(l.names, l.dir); err != nil {
			return err
		}
	}
	about := []any{"segment", s.name, "offset", at.off, "bytes", len(torn), "kept", l.recovery.Kept}
	if err != nil {
		about = append(about, "error", err)
	}
	l.logger.Warn("cut the torn tail of the log: an append that was never acknowledged", about...)
	return nil
}

func (l *Log) writeTorn(name string, torn []byte) error {
	if err := l.makeRoomForTorn(name); err != nil {
		return err
	}
	name = filepath.Join(l.dir, name)
	f, err := l.fsys.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(torn, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, l.fsys.Remove(name))
	}
	return nil
}

// makeRoomForTorn removes the oldest files of torn bytes. It also removes one with this
// name, which a recovery that was killed may have left.
func (l *Log) makeRoomForTorn(name string) error {
	var torn []string
	for _, n := range l.found.names {
		if strings.HasPrefix(n, tornPrefix) && n != name {
			torn = append(torn, n)
		}
	}
	slices.Sort(torn)
	for len(torn) >= maxTorn {
		if err := l.fsys.Remove(filepath.Join(l.dir, torn[0])); err != nil {
			return err
		}
		torn = torn[1:]
	}
	if slices.Contains(l.found.names, name) {
		if err := l.fsys.Remove(filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	return nil
}
