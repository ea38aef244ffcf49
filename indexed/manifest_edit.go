package indexed

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// The manifest says which batches hold the state as of a position of the log. It is a
// sequence of edits, numbered from 1. Each edit is a blob that describes the streams that
// changed, so its cost depends on what changed and not on the number of streams. Now and
// then a full copy, the base, is written in place of the next edit, and the edits before it
// are deleted.
//
// An edit and a base have the same format: a base is an edit of an empty state.

const (
	manifestPrefix = "manifest/"
	manifestBase   = manifestPrefix + "base"
	batchPrefix    = "batch/"
)

func editKey(version uint64) string { return fmt.Sprintf("%sedit-%020d", manifestPrefix, version) }

// edit is one version of the manifest.
type edit struct {
	version   uint64
	applied   storage.SeqNo // the edit reflects the log up to this position
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

const (
	manifestMagic   = "TIDEMANI"
	manifestVersion = 2

	flagCreated   = 1
	flagDestroyed = 2

	minStreamEditBytes = 8 // id, flags, three frontiers, a position, two counts
)

// encode returns the bytes of an edit: magic, format version, message, and the xxhash64 of
// all of these.
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

// peekManifestVersion reads the number of an edit or base from its first bytes.
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
	case v == 0:
		return 0, fmt.Errorf("manifest of format version %d, which never was", v)
	}
	return binary.LittleEndian.Uint64(head[len(manifestMagic)+1:]), nil
}

// decodeEdit reads what encode has written. Magic, format version and checksum have the
// same places in every format. So a damaged format version is not taken for a newer one.
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
	format := body[len(manifestMagic)]
	r := wire.NewReader(body, manifestHeader)
	e := &edit{version: version}
	e.applied = storage.SeqNo(r.Uvarint())
	e.nextID = StreamID(r.Uvarint())
	e.nextBatch = r.Uvarint()
	n := r.Count(minStreamEditBytes)
	for range n {
		e.streams = append(e.streams, decodeStreamEdit(r, format))
		if r.Err() != nil {
			break
		}
	}
	return e, r.End()
}

func decodeStreamEdit(r *wire.Reader, format byte) streamEdit {
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
		b := decodeBatch(r, format)
		if r.Err() != nil {
			break
		}
		se.added = append(se.added, b)
	}
	return se
}
