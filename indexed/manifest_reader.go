package indexed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// manifestReader loads the manifest and follows it.
type manifestReader struct {
	blob     storage.BlobReader
	version  uint64 // of the newest edit applied
	size     int64  // bytes of the base and the edits since
	baseSize int64
	base     storage.Version
	edits    int       // since the base
	old      []garbage // edits that the base contains, and that an earlier owner has not deleted
}

// load returns the state that the manifest describes. Without a manifest that is an empty
// state.
func (m *manifestReader) load(ctx context.Context, windowBytes int64) (*state, error) {
	for {
		st := newState(windowBytes)
		e, err := m.loadBase(ctx)
		switch {
		case errors.Is(err, storage.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			if err := st.applyEditLocked(e); err != nil {
				return nil, storage.Corruptf(manifestBase, -1, "%w", err)
			}
		}
		// If a base replaces the edits while they are read, start again. Only readers meet
		// that, and no more often than an owner writes a base.
		replaced, err := m.follow(ctx, st.applyEditLocked)
		if err != nil {
			return nil, err
		}
		if !replaced {
			return st, nil
		}
	}
}

// loadBase reads the base, and continues from it.
func (m *manifestReader) loadBase(ctx context.Context) (*edit, error) {
	data, version, err := m.blob.Get(ctx, manifestBase)
	if err != nil {
		return nil, fmt.Errorf("tidemark: read the manifest: %w", err)
	}
	e, err := decodeEdit(data)
	if err != nil {
		return nil, wire.Unreadable(manifestBase, err)
	}
	m.version, m.base, m.edits = e.version, version, 0
	m.size, m.baseSize = int64(len(data)), int64(len(data))
	return e, nil
}

// follow calls apply with every edit after the newest known one. replaced is true if a base
// has replaced the edits that come next.
func (m *manifestReader) follow(ctx context.Context, apply func(*edit) error) (replaced bool, err error) {
	for {
		key := editKey(m.version + 1)
		data, _, err := m.blob.Get(ctx, key)
		if errors.Is(err, storage.ErrNotFound) {
			return m.baseIsNewer(ctx)
		}
		if err != nil {
			return false, fmt.Errorf("tidemark: read the manifest: %w", err)
		}
		e, err := decodeEdit(data)
		if err == nil && e.version != m.version+1 {
			err = fmt.Errorf("edit %d under the key of edit %d", e.version, m.version+1)
		}
		if err == nil {
			err = apply(e)
		}
		if err != nil {
			return false, wire.Unreadable(key, err)
		}
		m.version++
		m.size += int64(len(data))
		m.edits++
	}
}

func (m *manifestReader) baseIsNewer(ctx context.Context) (bool, error) {
	head, err := m.blob.GetRange(ctx, manifestBase, 0, int64(manifestHeader))
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil && !errors.Is(err, storage.ErrInvalidRange) {
		return false, fmt.Errorf("tidemark: read the manifest: %w", err)
	}
	if version, err := peekManifestVersion(head); err == nil {
		return version > m.version, nil
	}
	// A head that cannot be read may be damage that looks like a newer format. A read of
	// the whole base, with its checksum, can tell.
	return true, nil
}

// checkNoGap makes sure that no edit is missing before another one. A gap is damage: it
// must not open as an older state. checkNoGap also finds old edits to delete.
func (m *manifestReader) checkNoGap(ctx context.Context) error {
	for info, err := range m.blob.List(ctx, manifestPrefix+"edit-") {
		if err != nil {
			return fmt.Errorf("tidemark: list the manifest: %w", err)
		}
		v, err := strconv.ParseUint(strings.TrimPrefix(info.Key, manifestPrefix+"edit-"), 10, 64)
		if err == nil && info.Key != editKey(v) {
			err = fmt.Errorf("edit %d has the name %s", v, editKey(v))
		}
		if err != nil {
			return storage.Corruptf(info.Key, -1, "not the name of an edit: %w", err)
		}
		if v > m.version {
			return storage.Corruptf(editKey(m.version+1), -1, "this edit of the manifest is missing, although %s exists", info.Key)
		}
		if v+uint64(m.edits) <= m.version {
			m.old = append(m.old, garbage{info.Key, kindManifest, info.Size})
		}
	}
	return nil
}
