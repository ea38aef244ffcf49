package indexed

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// The manifest says which batches hold the state as of a position of the log. It
// is a sequence of edits, numbered from 1: each edit is a blob that describes the
// streams that changed. Now and then a full copy, the base, takes the place of
// the next edit, and the edits before it are deleted. So its cost follows what
// changed, not the number of streams.
//
// An edit from nothing is a full copy: both are one message.

const (
	manifestPrefix = "manifest/"
	manifestBase   = manifestPrefix + "base"
	batchPrefix    = "batch/"
)

func editKey(version uint64) string { return fmt.Sprintf("%sedit-%020d", manifestPrefix, version) }

// edit is one step of the manifest.
type edit struct {
	version   uint64
	applied   storage.SeqNo // the log up to here is reflected
	nextID    StreamID
	nextBatch uint64
	streams   []streamEdit
}

// streamEdit is the new description of one stream.
type streamEdit struct {
	id                       StreamID
	created, destroyed       bool
	name, keyCodec, valCodec string // of a created stream
	upper, since             frontier.Antichain
	flushed                  storage.SeqNo
	flushedUpper             frontier.Antichain
	dropped                  []uint64
	added                    []*batch
}

// streamDelta collects what the manifest does not say about a stream yet.
type streamDelta struct {
	created        bool
	flushed        bool // a tail was: also one that cancelled out and left no batch
	added, dropped []*batch
}

// drop notes that a batch is no longer part of the stream.
func (d *streamDelta) drop(b *batch) {
	if i := slices.Index(d.added, b); i >= 0 {
		// The manifest never named it.
		d.added = slices.Delete(d.added, i, i+1)
		b.unlisted = true
		return
	}
	d.dropped = append(d.dropped, b)
}

// takeEditLocked returns the next edit: everything that the manifest does not say
// yet, or, if full, the whole state. It also returns the batches that the manifest
// will no longer name. From here on what changes belongs to a later edit.
func (st *state) takeEditLocked(version uint64, full bool) (*edit, []*batch) {
	e := &edit{version: version, applied: st.applied, nextID: st.nextID, nextBatch: st.nextBatch}
	var dropped []*batch
	for _, s := range st.changed {
		if !full {
			se := s.editLocked(st.applied)
			se.created, se.added = s.manifest.created, s.manifest.added
			for _, b := range s.manifest.dropped {
				se.dropped = append(se.dropped, b.id)
			}
			e.streams = append(e.streams, se)
		}
		dropped = append(dropped, s.manifest.dropped...)
		s.manifest = streamDelta{}
	}
	clear(st.changed)
	if full {
		for _, s := range st.names {
			se := s.editLocked(st.applied)
			se.created, se.added = true, s.set.all()
			e.streams = append(e.streams, se)
		}
		//museum:forgets-the-destroyed
		for name, id := range st.tombs.ids {
			e.streams = append(e.streams, streamEdit{id: id, created: true, destroyed: true, name: name, flushed: st.applied})
		}
	}
	st.buryAllLocked()
	slices.SortFunc(e.streams, func(a, b streamEdit) int { return cmp.Compare(a.id, b.id) })
	return e, dropped
}

func (s *stream) editLocked(applied storage.SeqNo) streamEdit {
	if s.tail.empty() {
		s.flushed, s.flushedUpper = applied, s.upper
	} else {
		// The log is kept from the tail on: that it is can then be checked.
		s.flushed = max(s.flushed, s.tail.first()-1)
	}
	s.listed, s.unflushed = s.flushed, s.flushed < applied
	return streamEdit{
		id: s.id, destroyed: s.destroyed, name: s.name, keyCodec: s.keyCodec, valCodec: s.valCodec,
		upper: s.upper, since: s.since, flushed: s.flushed, flushedUpper: s.flushedUpper,
	}
}

const (
	manifestMagic   = "TIDEMANI"
	manifestVersion = 1

	flagCreated   = 1
	flagDestroyed = 2

	minStreamEditBytes = 8 // id, flags, three frontiers, a position, two counts
)

// encode frames the edit: magic, format version, message, xxhash64 of all before.
func (e *edit) encode() []byte {
	dst := append([]byte(manifestMagic), manifestVersion)
	dst = binary.LittleEndian.AppendUint64(dst, e.version)
	dst = binary.AppendUvarint(dst, uint64(e.applied))
	dst = binary.AppendUvarint(dst, uint64(e.nextID))
	dst = binary.AppendUvarint(dst, e.nextBatch)
	dst = binary.AppendUvarint(dst, uint64(len(e.streams)))
	for i := range e.streams {
		dst = e.streams[i].appendTo(dst)
	}
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst))
}

func (se *streamEdit) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(se.id))
	var flags byte
	if se.created {
		flags |= flagCreated
	}
	if se.destroyed {
		flags |= flagDestroyed
	}
	dst = append(dst, flags)
	if se.created {
		dst = wire.AppendString(dst, se.name)
		dst = wire.AppendString(dst, se.keyCodec)
		dst = wire.AppendString(dst, se.valCodec)
	}
	dst = wire.AppendFrontier(dst, se.upper)
	dst = wire.AppendFrontier(dst, se.since)
	dst = binary.AppendUvarint(dst, uint64(se.flushed))
	dst = wire.AppendFrontier(dst, se.flushedUpper)
	dst = binary.AppendUvarint(dst, uint64(len(se.dropped)))
	for _, id := range se.dropped {
		dst = binary.AppendUvarint(dst, id)
	}
	dst = binary.AppendUvarint(dst, uint64(len(se.added)))
	for _, b := range se.added {
		dst = b.appendTo(dst)
	}
	return dst
}

const (
	manifestHeader  = len(manifestMagic) + 1 + 8
	manifestTrailer = 8
)

// peekManifestVersion reads the version from the first bytes of a base or edit.
func peekManifestVersion(head []byte) (uint64, error) {
	switch {
	case len(head) < manifestHeader:
		return 0, fmt.Errorf("%d bytes are too few for a manifest", len(head))
	case string(head[:len(manifestMagic)]) != manifestMagic:
		return 0, fmt.Errorf("starts with %q, expected %q", head[:len(manifestMagic)], manifestMagic)
	}
	switch v := head[len(manifestMagic)]; {
	case v > manifestVersion:
		return 0, wire.NewerFormat("manifest", int(v), manifestVersion)
	case v < manifestVersion:
		return 0, fmt.Errorf("manifest of format version %d, which never was", v)
	}
	return binary.LittleEndian.Uint64(head[len(manifestMagic)+1:]), nil
}

// decodeEdit reads what encode wrote. Magic, version and checksum keep their places
// in every version, so that damage to the version is told from a newer one.
func decodeEdit(data []byte) (*edit, error) {
	version, err := peekManifestVersion(data)
	if err != nil && !errors.Is(err, storage.ErrNewerFormat) {
		return nil, err
	}
	if len(data) < manifestHeader+manifestTrailer {
		return nil, fmt.Errorf("%d bytes are too few for a manifest", len(data))
	}
	body := data[:len(data)-manifestTrailer]
	want := binary.LittleEndian.Uint64(data[len(body):])
	if sum := xxhash.Sum64(body); sum != want {
		return nil, fmt.Errorf("xxhash64 is %016x, expected %016x", sum, want)
	}
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(body, manifestHeader)
	e := &edit{version: version}
	e.applied = storage.SeqNo(r.Uvarint())
	e.nextID = StreamID(r.Uvarint())
	e.nextBatch = r.Uvarint()
	n := r.Count(minStreamEditBytes)
	for range n {
		e.streams = append(e.streams, decodeStreamEdit(r))
		if r.Err() != nil {
			break
		}
	}
	return e, r.End()
}

func decodeStreamEdit(r *wire.Reader) streamEdit {
	se := streamEdit{id: StreamID(r.Uvarint())}
	flags := r.Byte()
	se.created, se.destroyed = flags&flagCreated != 0, flags&flagDestroyed != 0
	if flags&^(flagCreated|flagDestroyed) != 0 {
		r.Fail(fmt.Errorf("stream edit with flags %#x", flags))
	}
	if se.created {
		se.name, se.keyCodec, se.valCodec = r.Text(), r.Text(), r.Text()
	}
	se.upper, se.since = r.Frontier(), r.Frontier()
	se.flushed = storage.SeqNo(r.Uvarint())
	se.flushedUpper = r.Frontier()
	for range r.Count(1) {
		se.dropped = append(se.dropped, r.Uvarint())
	}
	for range r.Count(minBatchBytes) {
		b := decodeBatch(r)
		if r.Err() != nil {
			break
		}
		se.added = append(se.added, b)
	}
	return se
}

// applyEditLocked brings the state to what an edit says. If the state has applied
// the log further than the edit reflects it, the frontiers stay as they are. An
// edit that contradicts the state is an error, and then the state is undefined.
func (st *state) applyEditLocked(e *edit) error {
	for i := range e.streams {
		if err := st.applyStreamEditLocked(e, &e.streams[i]); err != nil {
			return err
		}
	}
	if e.applied >= st.applied {
		st.applied, st.nextID = e.applied, e.nextID
	}
	st.nextBatch = e.nextBatch
	clear(st.changed)
	st.buryAllLocked()
	return nil
}

func (st *state) applyStreamEditLocked(e *edit, se *streamEdit) error {
	s := st.streams[se.id]
	if s == nil {
		if !se.created {
			if se.id < st.nextID && (se.destroyed || e.applied < st.applied) {
				return nil // the log has destroyed it
			}
			return fmt.Errorf("edit of %s, which does not exist", se.id)
		}
		if st.names[se.name] != nil {
			if st.names[se.name].destroyed {
				return nil
			}
			return fmt.Errorf("stream %s twice", quoteName(se.name))
		}
		if _, buried := st.tombs.ids[se.name]; buried {
			return nil
		}
		s = &stream{id: se.id, name: se.name, keyCodec: se.keyCodec, valCodec: se.valCodec}
		st.addStreamLocked(s)
		s.manifest = streamDelta{}
	}
	set, err := s.set.edited(se)
	if err != nil {
		return fmt.Errorf("stream %s: %w", quoteName(s.name), err)
	}
	if e.applied >= st.applied {
		//museum:since-forgotten
		s.upper, s.since = se.upper, se.since
	}
	s.flushed, s.flushedUpper, s.listed = se.flushed, se.flushedUpper, se.flushed
	s.unflushed = se.flushed < e.applied
	if err := s.validateSet(set, e.applied); err != nil {
		return fmt.Errorf("stream %s: %w", quoteName(s.name), err)
	}
	st.swapSetLocked(s, set)
	st.dropTailLocked(s, se.flushed)
	if se.destroyed && !s.destroyed {
		st.destroyLocked(s)
	}
	s.manifest = streamDelta{}
	return nil
}

// rebaseLocked turns a full copy into an edit of the state as it is.
func (st *state) rebaseLocked(e *edit) {
	for i := range e.streams {
		se := &e.streams[i]
		s := st.streams[se.id]
		if s == nil {
			continue
		}
		inBase := make(map[uint64]bool, len(se.added))
		for _, b := range se.added {
			inBase[b.id] = true
		}
		have := make(map[uint64]bool)
		for _, b := range s.set.all() {
			have[b.id] = true
			if !inBase[b.id] {
				se.dropped = append(se.dropped, b.id)
			}
		}
		se.added = slices.DeleteFunc(se.added, func(b *batch) bool { return have[b.id] })
	}
}

// edited returns the set without the dropped batches and with the added ones.
func (s *batchSet) edited(se *streamEdit) (*batchSet, error) {
	next := &batchSet{}
	known := make(map[uint64]bool)
	keep := func(b *batch) bool {
		known[b.id] = true
		return !slices.Contains(se.dropped, b.id)
	}
	for _, b := range s.all() {
		if keep(b) {
			next.add(b)
		}
	}
	for _, id := range se.dropped {
		if !known[id] {
			return nil, fmt.Errorf("drops batch %d, which is not there", id)
		}
	}
	for _, b := range se.added {
		if known[b.id] {
			return nil, fmt.Errorf("adds batch %d twice", b.id)
		}
		known[b.id] = true
		next.add(b)
	}
	slices.SortFunc(next.trace, func(a, b *batch) int { return a.desc.Lower.Compare(b.desc.Lower) })
	slices.SortFunc(next.unsealed, func(a, b *batch) int { return cmp.Compare(a.after, b.after) })
	return next, nil
}

func (s *batchSet) add(b *batch) {
	if b.trace {
		s.trace = append(s.trace, b)
	} else {
		s.unsealed = append(s.unsealed, b)
	}
}

// validateSet checks what must hold of a stream's batches.
func (s *stream) validateSet(set *batchSet, applied storage.SeqNo) error {
	var upper frontier.Antichain
	for _, b := range set.trace {
		if b.desc.Lower != upper {
			return fmt.Errorf("%s does not follow on %s", b, upper)
		}
		upper = b.desc.Upper
		if s.since.LessThan(b.desc.Since) {
			return fmt.Errorf("%s is compacted beyond the since %s", b, s.since)
		}
	}
	if s.upper.LessThan(upper) {
		return fmt.Errorf("trace up to %s beyond the upper %s", upper, s.upper)
	}
	var through storage.SeqNo
	for _, b := range set.unsealed {
		if b.after < through {
			return fmt.Errorf("%s overlaps the one before, up to %s", b, through)
		}
		if s.since.LessThan(b.desc.Since) {
			return fmt.Errorf("%s is compacted beyond the since %s", b, s.since)
		}
		through = b.through
	}
	if through > applied || s.flushed > applied {
		return fmt.Errorf("batches up to %s and %s, but the manifest reflects the log up to %s", through, s.flushed, applied)
	}
	return nil
}

// manifestReader loads the manifest and follows it.
type manifestReader struct {
	blob     storage.BlobReader
	version  uint64 // of the newest edit applied
	size     int64  // bytes of the base and the edits since
	baseSize int64
	base     storage.Version
	edits    int       // since the base
	old      []garbage // edits that the base contains: an owner ended before it deleted them
}

// load returns the state that the manifest describes; an empty one if there is no
// manifest.
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
		// A base that replaces the edits while they are read means to start over. That
		// happens to readers alone, and no more often than an owner writes a base.
		replaced, err := m.follow(ctx, st.applyEditLocked)
		if err != nil {
			return nil, err
		}
		if !replaced {
			return st, nil
		}
	}
}

// loadBase reads the full copy and continues from it.
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

// follow hands every edit after the newest known one to apply, and reports
// whether the edits that come next were replaced by a base meanwhile.
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
	// A head that makes no sense may be damage that looks like a newer format. Whoever
	// reads the base as a whole, checksum included, can tell.
	return true, nil
}

// checkNoGap makes sure that no edit is missing before the newest one: a hole is
// damage, never an older state. It also finds the old edits that are to be deleted.
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
