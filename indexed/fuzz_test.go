package indexed

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// maxFuzzAlloc is what decoding a few bytes may allocate, whatever they are.
const maxFuzzAlloc = 64 << 20

// bounded runs a decoder, and checks what it has allocated.
func bounded(t testing.TB, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(maxFuzzAlloc), "bytes allocated")
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(encodeEntry(sampleOps()))
	f.Add(encodeEntry([]op{{kind: opDestroy, stream: 1}}))
	f.Add([]byte{entryVersion, 1, byte(opWrite), 0, 0, 0, 0})
	f.Add([]byte{entryVersion + 1, 1, byte(opDestroy), 0})
	f.Add([]byte{entryVersion, 0xff, 0xff, 0xff, 0xff, 0x0f, 2, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var ops []op
		var err error
		bounded(t, func() { ops, err = decodeEntry(data) })
		if err != nil {
			require.Equal(t, len(data) > 0 && data[0] > entryVersion, errors.Is(err, storage.ErrNewerFormat), "%v", err)
			return
		}
		require.EqualValues(t, entryVersion, data[0], "another version was read as this one")
		readAll(ops)
		back, err := decodeEntry(encodeEntry(ops))
		require.NoError(t, err)
		requireEqualOps(t, ops, back)
	})
}

// FuzzDecodeEdit fuzzes what is behind the checksum.
func FuzzDecodeEdit(f *testing.F) {
	for _, e := range []*edit{sampleEdit(), {version: 1}, {version: 2, streams: []streamEdit{{id: 3, dropped: []uint64{4}}}}} {
		data := e.encode()
		f.Add(data[:len(data)-manifestTrailer])
	}
	// A thousand million dropped batches, of which there are none.
	f.Add(slices.Concat([]byte(manifestMagic), []byte{manifestVersion}, make([]byte, 8), []byte{1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0x80, 0x94, 0xeb, 0xdc, 0x03}))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = decodeEdit(body)
		var e *edit
		var err error
		bounded(t, func() { e, err = decodeEdit(signed(bytes.Clone(body))) })
		if err != nil {
			return
		}
		require.LessOrEqual(t, body[len(manifestMagic)], byte(manifestVersion), "a newer version was read as this one")
		version, err := peekManifestVersion(body)
		require.NoError(t, err)
		require.Equal(t, version, e.version)
		back, err := decodeEdit(e.encode())
		require.NoError(t, err)
		require.Equal(t, e, back)
		// A state takes it or refuses it.
		st := newState(1)
		if st.applyEditLocked(e) == nil {
			require.NoError(t, st.check())
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	for _, s := range sampleEdit().streams {
		for _, b := range s.added {
			f.Add(b.appendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := wire.NewReader(data, 0)
		var b *batch
		bounded(t, func() { b = decodeBatch(r, manifestVersion) })
		if r.Err() != nil {
			return
		}
		require.NoError(t, b.validate())
		again := wire.NewReader(b.appendTo(nil), 0)
		require.Equal(t, b, decodeBatch(again, manifestVersion))
		require.NoError(t, again.End())
	})
}

// manyBlobs is a store that holds blobs by their keys.
type manyBlobs struct {
	storage.BlobReader
	blobs map[string][]byte
}

func (b *manyBlobs) Get(_ context.Context, key string) ([]byte, storage.Version, error) {
	if data, ok := b.blobs[key]; ok {
		return data, "1", nil
	}
	return nil, "", storage.ErrNotFound
}

func (b *manyBlobs) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	data, _, err := b.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return data[min(offset, int64(len(data))):min(offset+length, int64(len(data)))], nil
}

func (b *manyBlobs) List(_ context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		for key, data := range b.blobs {
			if strings.HasPrefix(key, prefix) && !yield(storage.BlobInfo{Key: key, Size: int64(len(data))}, nil) {
				return
			}
		}
	}
}

// FuzzManifest loads a manifest of a base and two edits of any bytes, with right
// checksums, beside a blob of any name: it is a state in which all invariants hold, or
// damage, or a newer format.
func FuzzManifest(f *testing.F) {
	body := func(e *edit) []byte {
		data := e.encode()
		return data[:len(data)-manifestTrailer]
	}
	base := sampleEdit()
	next := &edit{version: 10, applied: 80, nextID: 5, nextBatch: 41, streams: []streamEdit{
		{id: 0, upper: frontier.At(9), since: frontier.At(5), flushed: 80, flushedUpper: frontier.At(9), dropped: []uint64{12}},
		{id: 4, created: true, name: "new", upper: frontier.At(0), since: frontier.At(0), flushed: 80, flushedUpper: frontier.At(0)},
	}}
	last := &edit{version: 11, applied: 81, nextID: 5, nextBatch: 41, streams: []streamEdit{{id: 4, destroyed: true, upper: frontier.At(0), since: frontier.At(0), flushed: 81}}}
	base.streams = slices.DeleteFunc(base.streams, func(s streamEdit) bool { return !s.created })
	f.Add(body(base), body(next), body(last), editKey(9))
	f.Add(body(base), []byte{}, []byte{}, "manifest/edit-12")
	f.Add([]byte{}, body(&edit{version: 1}), body(&edit{version: 2}), "manifest/edit-x")
	f.Add(body(base), body(last), body(next), editKey(math.MaxUint64))
	f.Fuzz(func(t *testing.T, base, one, two []byte, name string) {
		store := &manyBlobs{blobs: map[string][]byte{name: {}}}
		first := uint64(1)
		if len(base) > 0 {
			store.blobs[manifestBase] = signed(bytes.Clone(base))
			if version, err := peekManifestVersion(base); err == nil {
				first = version + 1
			}
		}
		for i, edit := range [][]byte{one, two} {
			if len(edit) == 0 {
				break
			}
			store.blobs[editKey(first+uint64(i))] = signed(bytes.Clone(edit))
		}
		m := manifestReader{blob: store}
		var st *state
		var err error
		bounded(t, func() {
			if st, err = m.load(t.Context(), 1); err == nil {
				err = m.checkNoGap(t.Context())
			}
		})
		if err != nil {
			require.NotEqual(t, errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrNewerFormat), "%v", err)
			return
		}
		require.NoError(t, st.check())
		for _, g := range m.old {
			require.Less(t, g.key, editKey(m.version+1))
		}

		// A full copy of the state is the same state.
		e, _ := st.takeEditLocked(m.version+1, true)
		again, err := decodeEdit(e.encode())
		require.NoError(t, err)
		copied := newState(1)
		require.NoError(t, copied.applyEditLocked(again))
		require.NoError(t, copied.check())
		require.Len(t, copied.names, len(st.names))
		require.Equal(t, st.tombs.ids, copied.tombs.ids)
		require.Equal(t, st.tombs.names, copied.tombs.names)
		for name, s := range st.names {
			c := copied.names[name]
			require.Equal(t, s.destroyed, c.destroyed)
			require.Equal(t, s.id, c.id)
			if !s.destroyed {
				require.Equal(t, []frontier.Antichain{s.upper, s.since}, []frontier.Antichain{c.upper, c.since})
				require.Len(t, c.set.all(), len(s.set.all()))
			}
		}
	})
}
