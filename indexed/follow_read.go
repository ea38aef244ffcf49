package indexed

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// Lookup returns the id of a live stream.
//
// Errors: ErrUnknownStream, ErrDestroyed, ErrCodecMismatch; those of Refresh.
func (f *Follower) Lookup(ctx context.Context, name, keyCodec, valCodec string) (StreamID, error) {
	var id StreamID
	err := f.readLocked(ctx, func(st *state) error {
		s, err := st.liveLocked(name)
		if err != nil {
			return err
		}
		id = s.id
		return s.checkCodecs(keyCodec, valCodec)
	})
	return id, err
}

// Describe returns the upper and the since of a stream. A reader of blobs alone returns the
// upper of the newest flush.
//
// Errors: ErrUnknownStream, ErrDestroyed; those of Refresh.
func (f *Follower) Describe(ctx context.Context, name string) (d frontier.Description, err error) {
	err = f.readLocked(ctx, func(st *state) error {
		s, err := st.liveLocked(name)
		if err != nil {
			return err
		}
		d = s.description()
		if f.log == nil {
			d.Upper = s.flushedUpper
		}
		return nil
	})
	return d, err
}

// Streams lists the live streams by id.
//
// Errors: those of Refresh.
func (f *Follower) Streams(ctx context.Context) (infos []StreamInfo, err error) {
	err = f.readLocked(ctx, func(st *state) error {
		infos = st.infosLocked()
		if f.log == nil {
			for i := range infos {
				infos[i].Upper = st.streams[infos[i].ID].flushedUpper
			}
		}
		return nil
	})
	return infos, err
}

func (f *Follower) readLocked(ctx context.Context, read func(*state) error) error {
	//museum:stale-follower
	if err := f.Refresh(ctx); err != nil {
		return err
	}
	st := f.current()
	st.mu.Lock()
	defer st.mu.Unlock()
	return read(st)
}

// Snapshot returns the contents of a stream. The caller must close it.
//
// Errors: ErrUnknownStream, ErrDestroyed; those of Refresh.
func (f *Follower) Snapshot(ctx context.Context, id StreamID) (*Snapshot, error) {
	s, _, err := f.snapshot(ctx, id, false)
	return s, err
}

// Listen returns a snapshot and a listener that begins exactly there, as Engine.Listen
// does.
//
// Errors: those of Snapshot; ErrReadOnly for a reader of blobs alone.
func (f *Follower) Listen(ctx context.Context, id StreamID) (*Snapshot, *Listener, error) {
	if f.log == nil {
		return nil, nil, fmt.Errorf("tidemark: listen: %w: it reads blobs alone, which do not tell the order of events: open it with its log", ErrReadOnly)
	}
	return f.snapshot(ctx, id, true)
}

func (f *Follower) snapshot(ctx context.Context, id StreamID, listen bool) (*Snapshot, *Listener, error) {
	missing := ""
	for attempt := 0; ; attempt++ {
		var snap *Snapshot
		var l *Listener
		if err := f.readLocked(ctx, func(st *state) error {
			s, err := st.byIDLocked(id)
			if err != nil {
				return err
			}
			snap = st.snapshotLocked(s, f.blobs)
			if f.log == nil {
				snap.upper, snap.seqno = s.flushedUpper, s.flushed
			}
			if listen {
				l = st.newListenerLocked(s, f.log, f.metrics)
			}
			return nil
		}); err != nil {
			return nil, nil, err
		}
		key, err := f.pin(ctx, snap)
		if err == nil {
			return snap, l, nil
		}
		_ = snap.Close()
		if l != nil {
			_ = l.Close()
		}
		// The owner may have replaced and deleted a batch after the refresh. Then a newer
		// view does not name it. If the newer view names the same blob again, the blob is
		// lost.
		if errors.Is(err, storage.ErrNotFound) && key == missing {
			err = fmt.Errorf("tidemark: snapshot of stream %s: %w", quoteName(snap.stream), part.ErrGone(key, err))
		} else if errors.Is(err, storage.ErrNotFound) && attempt < maxReloads {
			missing = key
			continue
		}
		return nil, nil, err
	}
}

// pin keeps the blobs of a snapshot readable when the owner deletes them. A store that
// cannot pin gives no such promise: a late read may fail. key is the blob that an error is
// about.
func (f *Follower) pin(ctx context.Context, snap *Snapshot) (key string, err error) {
	pinner, ok := f.blob.(storage.Pinner)
	if !ok {
		return "", nil
	}
	var releases []func()
	unpin := func() {
		for _, release := range releases {
			release()
		}
	}
	for _, list := range [][]*batch{snap.trace, snap.unsealed} {
		for _, b := range list {
			for i := range b.parts {
				release, err := pinner.Pin(ctx, b.parts[i].Key)
				if err != nil {
					unpin()
					return b.parts[i].Key, fmt.Errorf("tidemark: snapshot of stream %s: pin %s: %w", quoteName(snap.stream), b.parts[i].Key, err)
				}
				releases = append(releases, func() {
					f.blobs.Release(b.parts[i].Key) // an open file would keep the space of a deleted one
					release()
				})
			}
		}
	}
	release := snap.release
	snap.release = func() {
		release()
		unpin()
	}
	return "", nil
}
