package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tidemark-go/tidemark/storage"
)

// Truncate implements [storage.Log]. It removes the segments all of whose
// entries are at or before through, but never the newest one. At most two of
// their files are kept, to become segments again.
//
// Segments go one by one, oldest first, and each is gone durably before the
// next: a crash may leave some of them, but never a hole. It may run at the same
// time as Append and Read.
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

// oldest returns the oldest segment if it may go.
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
// Its file may be used again only if nobody can still be reading it, because a
// segment is overwritten in place. Readers of this handle are known by their
// references. Others hold the file's shared lock, so who gets the exclusive one
// is alone with it; a reader that opens the file later finds it locked, or finds
// that it is another segment now. A file that has another name, in a copy of the
// location, is nobody's alone. Without the lock the file is unlinked, and
// readers keep what they have open.
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
		// It has taken effect all the same: the flush decides.
	}
	if err := l.flushNames(); err != nil {
		// Whether the segment is gone is not known, so nothing after it may go.
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
		// If it is there at all, a next opening finds it as well.
		if removed = l.fsys.Remove(kept.name); errors.Is(removed, fs.ErrNotExist) {
			removed = nil
		}
	}
	return errors.Join(removed, s.release())
}
