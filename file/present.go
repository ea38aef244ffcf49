package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/storage"
)

// lookInterval is how often appends check that the location is still at its path.
const lookInterval = 100 * time.Millisecond

// present checks that the log is still where it was, and that the newest segment has a file
// of its own. It returns the segment to append to. Both checks protect data. What is
// written to a removed file is lost when the file is closed. What is written to a file with
// another name is in the copy as well.
//
// The segment itself is checked before each append, which costs a hundredth of a flush. The
// path to it, which may be long, and the directory of the blobs are checked every
// lookInterval. An error has had no effect, unless it says otherwise.
func (l *Log) present(ctx context.Context, active *segment) (*segment, error) {
	n, err := linksOf(active.f, active.name)
	switch {
	case err != nil:
		return nil, storage.NoEffect(fmt.Errorf("look at segment %s: %w", active.name, err))
	//museum:writing-to-nowhere
	case n == 0:
		return nil, errGonePlace("segment", active.name)
	}
	if now := time.Now(); now.Sub(l.write.looked) >= lookInterval {
		err := isThere(l.names, l.dir)
		if err == nil && l.beside != nil {
			err = l.beside()
		}
		if err != nil {
			return nil, err
		}
		l.write.looked = now
	}
	if n > 1 {
		return l.own(ctx, active)
	}
	return active, nil
}

// linksOf returns how many names a file has, or vfs.UnknownLinks. name is the name that it
// had. Some file systems say 0 for any file, so 0 counts only if the name is gone as well.
func linksOf(f vfs.File, name string) (int, error) {
	n, err := f.Links()
	if err == nil && n == 0 {
		var at bool
		if at, err = f.IsAt(name); at {
			n = vfs.UnknownLinks
		}
	}
	return n, err
}

// isThere fails with ErrConflict if a directory is certain not to be where it was. If that
// cannot be checked, it does not fail: the files are open.
func isThere(d vfs.Dir, dir string) error {
	if at, err := d.IsAt(dir); err == nil && !at {
		return errGonePlace("directory", dir)
	}
	return nil
}

// present is the check that a log makes of the blobs of its location: see Log.present.
func (b *Blob) present() error { return isThere(b.names, b.dir) }

func errGonePlace(what, name string) error {
	return storage.NoEffect(fmt.Errorf("%s %s was removed, moved or replaced since it was opened: nothing more is written; open the location where it is now, or a copy of it: %w", what, name, storage.ErrConflict))
}

// own returns a segment whose file no other location shares. If the file of s has other
// names, it returns a copy of s that takes the place of s. Otherwise it returns s.
//
// A copy of a location by hard links (cp -al) shares the files, and only segments are ever
// written in place. Readers of this handle go on with the old file, which does not change
// any more. Other readers find the new file by its name.
//
// REQUIRES: appending is held, or no other goroutine uses the log yet.
func (l *Log) own(ctx context.Context, s *segment) (*segment, error) {
	//museum:shared-by-a-hard-link
	if n, err := s.f.Links(); err != nil || n <= 1 {
		if err != nil {
			err = storage.NoEffect(fmt.Errorf("look at segment %s: %w", s.name, err))
		}
		return s, err
	}
	temp := filepath.Join(l.dir, tempPrefix+randomName())
	f, err := l.copyOf(ctx, s, temp)
	if err != nil {
		return nil, storage.NoEffect(fmt.Errorf("make a file of its own for segment %s, which another location shares: %w", s.name, err))
	}
	if err := l.fsys.Rename(temp, s.name); err != nil {
		err = fmt.Errorf("give segment %s a file of its own: %w", s.name, err)
		removed := errors.Join(f.Close(), l.fsys.Remove(temp))
		if removed != nil && !errors.Is(err, storage.ErrNoEffect) {
			// The rename may have taken effect all the same. Then s has no name any more.
			return nil, l.fail(fmt.Errorf("%w; and removing the copy failed too: %v", err, removed)) //nolint:errorlint // it may say that it had no effect
		}
		return nil, storage.NoEffect(err)
	}
	if err := l.flushNames(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	mine := newSegment(s.name, f, s.segmentHeader)
	s.points.Lock()
	mine.points.list = append(mine.points.list, s.points.list...)
	s.points.Unlock()
	l.logger.Info("a segment of the log is shared with another location by a hard link: this one has a copy of its own now", "segment", s.name)
	l.replace(s, mine)
	return mine, nil
}

// copyOf copies a segment, durably. If it fails, it leaves nothing behind.
func (l *Log) copyOf(ctx context.Context, s *segment, name string) (_ vfs.File, err error) {
	f, err := l.fsys.Create(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), l.fsys.Remove(name))
		}
	}()
	buf := make([]byte, min(s.size, fillChunk))
	for off := int64(0); off < s.size; off += int64(len(buf)) {
		if err = ctx.Err(); err != nil {
			return nil, err
		}
		buf = buf[:min(int64(len(buf)), s.size-off)]
		if err = s.readAt(buf, off); err != nil {
			return nil, err
		}
		if _, err = f.WriteAt(buf, off); err != nil {
			return nil, err
		}
	}
	return f, f.Sync()
}

// replace puts one segment in the place of another. All contents of the new one are
// durable, the mark included.
func (l *Log) replace(old, s *segment) {
	l.mu.Lock()
	segs := append([]*segment(nil), l.mu.segs...)
	for i := range segs {
		if segs[i] == old {
			segs[i] = s
		}
	}
	l.mu.segs = segs
	c := cursor{}
	if l.mu.cursor.seg == old {
		c, l.mu.cursor = l.mu.cursor, cursor{}
	}
	l.mu.Unlock()
	l.write.marked = false
	_ = c.release()   // only read through this reference
	_ = old.release() // its contents are in the copy, durably
}

// shared reports that a file has other names, or that the check failed. Such a file must
// not be written in place.
func shared(f vfs.File) bool {
	n, err := f.Links()
	return err != nil || n > 1
}
