package indexed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/storage"
)

// A base is written in place of an edit in two cases: the edits since the last base are
// larger than it, so that bases at most double what is written; or there are maxEdits of
// them, so that an opening never reads more edits than that.
const (
	maxEdits     = 1000
	minBaseBytes = 64 << 10
)

// manifestWriter writes the manifest. It is used by one goroutine at a time.
type manifestWriter struct {
	manifestReader
	blob    storage.Blob
	life    *lifecycle
	metrics *metrics

	// pending is the edit that is being written. If its outcome is not known, the same
	// bytes are written again until they are there, since a reader may have seen them.
	pending *pendingEdit
}

type pendingEdit struct {
	edit    *edit
	full    bool
	data    []byte
	dropped []*batch
}

// write makes durable what has changed before the call. If nothing has changed, it writes
// nothing. After an error it must be called again.
//
// The caller truncates the log after write has returned. So an edit that is left from a
// failed call is not enough, and write writes another one after it: a tail that was flushed
// since then is in no batch that the old edit names.
func (m *manifestWriter) write(ctx context.Context, st *state) error {
	if m.pending != nil {
		if err := m.writePending(ctx, st); err != nil {
			return err
		}
	}
	st.mu.Lock()
	//museum:broken-state-written
	if err := m.life.refused(noState); err != nil {
		st.mu.Unlock()
		return err
	}
	//museum:leftover-edit
	if len(st.changed) > 0 {
		full := m.edits >= maxEdits || m.size-m.baseSize > max(m.baseSize, minBaseBytes)
		m.pending = &pendingEdit{full: full}
		m.pending.edit, m.pending.dropped = st.takeEditLocked(m.version+1, full)
	}
	st.mu.Unlock()
	if m.pending == nil {
		return nil
	}
	m.pending.data = m.pending.edit.encode()
	return m.writePending(ctx, st)
}

func (m *manifestWriter) writePending(ctx context.Context, st *state) error {
	p := m.pending
	key, expected := editKey(p.edit.version), storage.NoVersion
	if p.full {
		key, expected = manifestBase, m.base
	}
	version, err := m.put(ctx, key, p.data, expected)
	if err != nil {
		return err
	}
	var old []garbage
	if p.full {
		for v := m.version - uint64(m.edits) + 1; v <= m.version; v++ {
			old = append(old, garbage{key: editKey(v), kind: kindManifest})
		}
	}
	m.version = p.edit.version
	m.size += int64(len(p.data))
	m.edits++
	if p.full {
		m.base, m.baseSize, m.size, m.edits = version, int64(len(p.data)), int64(len(p.data)), 0
	}
	m.pending = nil
	m.metrics.manifestBytes.Set(float64(m.size))

	st.mu.Lock()
	st.checkpoint = p.edit.applied
	for _, b := range p.dropped {
		st.unlistLocked(b)
	}
	st.trash.add(old...)
	st.mu.Unlock()
	return nil
}

// put is a conditional write that may be repeated. If the key has the same bytes already,
// an earlier attempt has succeeded.
func (m *manifestWriter) put(ctx context.Context, key string, data []byte, expected storage.Version) (storage.Version, error) {
	start := time.Now()
	version, err := m.blob.SetIf(ctx, key, data, expected)
	m.metrics.wroteBlob(kindManifest, len(data), time.Since(start), err)
	if err == nil {
		return version, nil
	}
	if errors.Is(err, storage.ErrConflict) {
		have, version, getErr := m.blob.Get(ctx, key)
		switch {
		case getErr == nil && bytes.Equal(have, data):
			return version, nil
		case getErr != nil && !errors.Is(getErr, storage.ErrNotFound):
			return "", fmt.Errorf("tidemark: look who wrote %s: %w", key, getErr)
		}
		return "", fmt.Errorf("tidemark: another writer is at work in this location: write %s: %w", key, errors.Join(err, getErr))
	}
	return "", fmt.Errorf("tidemark: write %s: %w", key, err)
}
