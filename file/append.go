package file

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/tidemark-go/tidemark/storage"
)

// MaxAppendSize is the limit of one Append: the bytes of its entries and 4 for each entry.
// It bounds the memory that a reader holds at a time.
const MaxAppendSize = 256 << 20

// Append implements [storage.Log].
//
// A full disk is noticed when a segment is made, before anything was written. The error
// then matches storage.ErrNoEffect, and appends succeed again as soon as there is room.
// After any error that does not match storage.ErrNoEffect, every further Append fails with
// ErrFailed.
//
// Cancelling ctx has no effect once writing has begun.
func (l *Log) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	if err := ctx.Err(); err != nil {
		return nil, storage.NoEffect(err)
	}
	l.appending.Lock()
	defer l.appending.Unlock()
	if err := l.opening.beforeMutation(ctx); err != nil {
		return nil, err
	}
	active, last, err := l.writable()
	if err != nil {
		return nil, err
	}
	if expected != last {
		return nil, storage.NoEffect(fmt.Errorf("append to log %s: newest position is %s, expected %s: %w", l.dir, last, expected, storage.ErrConflict))
	}
	if len(entries) == 0 {
		return nil, nil
	}
	size, err := payloadSize(entries)
	if err != nil {
		return nil, storage.NoEffect(fmt.Errorf("append to log %s: %w", l.dir, err))
	}
	if active, err = l.present(ctx, active); err != nil {
		return nil, err
	}
	if l.write.off+frameSize(size)+markSize > active.size {
		if active, err = l.rotate(active, last, frameSize(size)); err != nil {
			return nil, err
		}
	}
	if err := l.writeGroup(active, last, entries); err != nil {
		return nil, l.fail(err)
	}
	positions := make([]storage.SeqNo, len(entries))
	for i := range positions {
		positions[i] = last + storage.SeqNo(i) + 1
	}
	if !l.write.prepared && l.write.off > active.size/2 {
		l.write.prepared = true
		l.spares.prepare(l.nextSize(active))
	}
	return positions, nil
}

var (
	_ storage.LogSizer = (*Log)(nil)
	_ storage.LogSizer = (*LogReader)(nil)
)

// MaxAppend returns the largest StoredBytes that one Append may have: the frame of
// MaxAppendSize bytes. It implements [storage.LogSizer].
func (l *Log) MaxAppend() int64 { return frameSize(MaxAppendSize) }

// StoredBytes returns how many bytes of the log one Append takes, with a number of entries
// and their bytes in all. An Append takes one frame, which overwrites the mark before it.
// StoredBytes implements [storage.LogSizer].
func (l *Log) StoredBytes(entries int, bytes int64) int64 { return storedBytes(entries, bytes) }

// MaxAppend returns what Log.MaxAppend returns. It implements [storage.LogSizer].
func (r *LogReader) MaxAppend() int64 { return frameSize(MaxAppendSize) }

// StoredBytes returns what Log.StoredBytes returns. It implements [storage.LogSizer].
func (r *LogReader) StoredBytes(entries int, bytes int64) int64 { return storedBytes(entries, bytes) }

func storedBytes(entries int, bytes int64) int64 {
	return frameSize(entryHeaderSize*int64(entries) + bytes)
}

// payloadSize is the size of the payload of a group with these entries.
func payloadSize(entries [][]byte) (int64, error) {
	size := int64(0)
	for _, e := range entries {
		size += entryHeaderSize + int64(len(e))
	}
	if size > MaxAppendSize {
		return 0, fmt.Errorf("%d entries of %d bytes in all, the limit is %d: %w", len(entries), size, MaxAppendSize, storage.ErrTooLarge)
	}
	return size, nil
}

// writable returns the newest segment and position, or the reason why nothing can be
// appended. REQUIRES: appending or truncating is held.
func (l *Log) writable() (*segment, storage.SeqNo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, 0, storage.NoEffect(l.errClosed())
	}
	if l.mu.failed != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrFailed, l.mu.failed)
	}
	return l.mu.segs[len(l.mu.segs)-1], l.mu.last, nil
}

// fail stops the log for good. It returns the error for the call that met err.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.failed = err
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

// writeGroup writes entries after last into the segment, makes them durable and then
// readable.
func (l *Log) writeGroup(s *segment, last storage.SeqNo, entries [][]byte) error {
	const keepBuffer = 1 << 20 // bytes; a larger buffer is not kept for the next group
	at := point{next: last + 1, off: l.write.off}
	buf := appendGroup(l.write.buf[:0], s.salt, at.off, at.next, entries)
	if cap(buf) <= keepBuffer {
		l.write.buf = buf
	}
	if _, err := s.f.WriteAt(buf, at.off); err != nil {
		return fmt.Errorf("write %d bytes at offset %d of segment %s: %w", len(buf), at.off, s.name, err)
	}
	//museum:ack-before-flush, flush-tried-again
	if err := s.f.Datasync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", s.name, err)
	}
	end := point{next: at.next + storage.SeqNo(len(entries)), off: at.off + int64(len(buf))}
	s.note(at)
	l.write.off = end.off
	// Do this before the mark is written: readers of the files must not see entries that this
	// handle does not know.
	l.mu.Lock()
	l.mu.last = end.next - 1
	l.mu.Unlock()
	// Without its mark the group is durable, but readers in other processes do not see it. If
	// the manifest reflected the group, they would conclude that the log has lost entries. So
	// the group is not acknowledged. The next opening finds it.
	//museum:ack-behind-a-failed-mark
	return l.writeMark(s, kindMark, end)
}

// writeMark says on disk that everything before a place is durable. It does not flush the
// mark: the flush of the next group, or of Close, does that. Until then the page cache is
// enough, because it survives the death of this process.
func (l *Log) writeMark(s *segment, kind frameKind, at point) error {
	l.write.marked = true
	var mark [markSize]byte
	putMark(mark[:], kind, s.salt, at.off, at.next)
	if _, err := s.f.WriteAt(mark[:], at.off); err != nil {
		return fmt.Errorf("write mark at offset %d of segment %s: %w", at.off, s.name, err)
	}
	return nil
}

// nextSize is the size of the segment after s.
func (l *Log) nextSize(s *segment) int64 {
	return min(max(2*s.size, l.firstSegment), l.lastSegment)
}

// rotate makes a new newest segment with room for a frame. The order matters. The end mark
// of the old segment is durable proof that the new one exists, so the new one must exist
// durably before it. Nothing is appended to the new segment before that proof is durable,
// so that its loss would be noticed.
func (l *Log) rotate(old *segment, last storage.SeqNo, frame int64) (*segment, error) {
	need := segmentDataStart + frame + markSize
	//museum:successor-not-durable
	s, err := l.addSegment(old.index+1, last+1, max(need, MinSegmentSize), max(need, l.nextSize(old)))
	if err != nil {
		return nil, err
	}
	//museum:successor-not-durable/2
	if err := l.writeMark(old, kindEnd, point{next: last + 1, off: l.write.off}); err != nil {
		return nil, l.fail(errors.Join(err, s.release()))
	}
	//museum:successor-not-durable/3
	if err := old.f.Datasync(); err != nil {
		return nil, l.fail(errors.Join(fmt.Errorf("flush end of segment %s: %w", old.name, err), s.release()))
	}
	l.enter(s)
	return s, nil
}

// enter makes s the newest segment. Reads that begin later include it.
func (l *Log) enter(s *segment) {
	l.write.off, l.write.marked, l.write.prepared = segmentDataStart, false, false
	l.mu.Lock()
	l.mu.segs = append(l.mu.segs[:len(l.mu.segs):len(l.mu.segs)], s)
	l.mu.Unlock()
}

// addSegment makes a spare file the segment with an index, durably. An error matches
// storage.ErrNoEffect if the directory is as it was.
func (l *Log) addSegment(index uint64, first storage.SeqNo, need, size int64) (*segment, error) {
	from, err := l.spares.take(need, size)
	if err != nil {
		//museum:full-disk-is-fatal
		return nil, storage.NoEffect(fmt.Errorf("append to log %s: %w", l.dir, err))
	}
	name := filepath.Join(l.dir, segmentName(index))
	h := segmentHeader{salt: rand.Uint64(), index: index, first: first, size: from.size}
	if err = writeSegmentHeader(from, h); err != nil {
		// The file is given up even if only its flush failed: see ErrFailed.
		err = errors.Join(err, l.spares.discard(from))
		return nil, storage.NoEffect(fmt.Errorf("make segment %s: %w", name, err))
	}
	if err = l.fsys.Rename(from.name, name); err != nil {
		err = fmt.Errorf("make segment %s: %w", name, err)
		//museum:segment-that-is-there
		if removed := l.spares.discard(from); removed != nil && !errors.Is(err, storage.ErrNoEffect) {
			// The rename may have taken effect all the same. A smaller group that still fits
			// into the segment before would contradict the new segment.
			return nil, l.fail(fmt.Errorf("%w; and removing the spare failed too: %v", err, removed)) //nolint:errorlint // it may say that it had no effect
		}
		return nil, storage.NoEffect(err)
	}
	//museum:directory-not-flushed
	if err := l.flushNames(); err != nil {
		return nil, errors.Join(err, from.f.Close())
	}
	return newSegment(name, from.f, h), nil
}

// flushNames makes the names of segments durable. An error stops the log for good.
//
// Only one flush runs at a time. The reason: while one flush fails, another could succeed
// without having written what the first one dropped.
func (l *Log) flushNames() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	failed := l.mu.failed
	l.mu.Unlock()
	if failed != nil {
		return fmt.Errorf("%w: %w", ErrFailed, failed)
	}
	//museum:descriptor-after-the-deed
	if err := l.flushDir(l.names, l.dir); err != nil {
		return l.fail(err)
	}
	return nil
}

// writeSegmentHeader begins a new life of a file: the header has a new salt, so nothing
// that the file holds is valid any more. It then gives up the lock that kept out readers of
// the earlier life.
func writeSegmentHeader(s spare, h segmentHeader) error {
	if _, err := s.f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	//museum:growth-not-flushed/2
	if err := s.f.Datasync(); err != nil {
		return err
	}
	if err := s.f.Unlock(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
