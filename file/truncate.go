package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tidemark-go/tidemark/storage"
)

// Truncate implements [storage.Log]. It removes the segments that have no entries in
// advance of through, but never the newest one. It keeps at most two of their files, to
// become segments again.
//
// It removes one segment at a time, oldest first. Each removal is durable before the next
// begins. So a crash may leave some of the segments, but never a gap. Truncate may run at
// the same time as Append and Read.
func (l *Log) Truncate(ctx context.Context, through storage.SeqNo) error {
	if err := ctx.Err(); err != nil {
		return storage.NoEffect(err)
	}
	l.truncating.Lock()
	defer l.truncating.Unlock()
	if err := l.opening.beforeMutation(ctx); err != nil {
		return err
	}
	_, last, err := l.writable()
	if err != nil {
		return err
	}
	if through > last {
		return storage.NoEffect(fmt.Errorf("truncate log %s through %s: newest position is %s: %w", l.dir, through, last, storage.ErrInvalidTruncation))
	}
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("truncate log %s through %s: %w", l.dir, through, err)
		}
		s, failed := l.oldest(through)
		if failed != nil {
			return fmt.Errorf("%w: %w", ErrFailed, failed)
		}
		if s == nil {
			return nil
		}
		if err := l.removeSegment(s); err != nil {
			return fmt.Errorf("truncate log %s through %s: %w", l.dir, through, err)
		}
	}
}

// oldest returns the oldest segment if it may be removed, otherwise nil.
func (l *Log) oldest(through storage.SeqNo) (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.failed != nil {
		return nil, l.mu.failed
	}
	if segs := l.mu.segs; len(segs) > 1 && segs[1].first-1 <= through {
		return segs[0], nil
	}
	return nil, nil
}

// removeSegment takes the oldest segment out of the log.
//
// A segment is overwritten in place. So its file may be used again only if nobody can still
// be reading it:
//
//   - Readers of this handle are known by their references.
//   - Other readers hold the shared lock on the file. So a writer that gets the exclusive
//     lock has the file for itself. A reader that opens the file later finds it locked, or
//     finds that it is another segment now.
//   - A file that has another name, in a copy of the location, belongs to that location
//     too.
//
// If the file may not be used again, it is unlinked. Readers keep what they have open.
func (l *Log) removeSegment(s *segment) error {
	kept := spare{name: filepath.Join(l.dir, sparePrefix+randomName()), f: s.f, size: s.size}

	reuse := s.size <= l.lastSegment && !shared(s.f) && s.f.TryLock(true) == nil
	var err error
	if reuse {
		err = l.fsys.Rename(s.name, kept.name)
	} else {
		err = l.fsys.Remove(s.name)
	}
	if err != nil {
		_, there := l.fsys.Stat(s.name)
		if errors.Is(err, storage.ErrNoEffect) || !errors.Is(there, fs.ErrNotExist) {
			if reuse {
				err = errors.Join(err, s.f.Unlock())
			}
			return err
		}
		// The name is gone in spite of the error. The flush decides whether that is durable.
	}
	if err := l.flushNames(); err != nil {
		// It is not known whether the segment is gone, so no later segment may be removed.
		return err
	}

	l.mu.Lock()
	l.mu.segs = l.mu.segs[1:]
	old := cursor{}
	if l.mu.cursor.seg == s {
		old, l.mu.cursor = l.mu.cursor, cursor{}
	}
	l.mu.Unlock()
	if err := old.release(); err != nil {
		return err
	}
	// Nobody can take a new reference now.
	if reuse && err == nil && s.refs.Load() == 1 {
		return l.spares.add(kept)
	}
	var removed error
	if reuse {
		// If this fails, the next opening finds the file.
		if removed = l.fsys.Remove(kept.name); errors.Is(removed, fs.ErrNotExist) {
			removed = nil
		}
	}
	return errors.Join(removed, s.release())
}
