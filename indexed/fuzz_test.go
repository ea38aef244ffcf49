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

	"github.com/cespare/xxhash/v2"
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
		require.EqualValues(t, manifestVersion, body[len(manifestMagic)], "another version was read as this one")
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
		bounded(t, func() { b = decodeBatch(r) })
		if r.Err() != nil {
			return
		}
		require.NoError(t, b.validate())
		again := wire.NewReader(b.appendTo(nil), 0)
		require.Equal(t, b, decodeBatch(again))
		require.NoError(t, again.End())
	})
}

func FuzzDecodeColumns(f *testing.F) {
	sample := sampleColumns()
	f.Add(sample.appendTo(nil))
	f.Add((&Columns{}).appendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := wire.NewReader(data, 0)
		var c Columns
		bounded(t, func() { c = decodeColumns(r) })
		if r.Err() != nil {
			return
		}
		readAll([]op{{cols: c}})
		again := wire.NewReader(c.appendTo(nil), 0)
		back := decodeColumns(again)
		require.NoError(t, again.End())
		requireEqualColumns(t, c, back)
	})
}

func FuzzDecodePart(f *testing.F) {
	data, p, _ := samplePart(f)
	f.Add(data, p.rows, p.bytes)
	f.Add(data[:len(data)/2], p.rows, p.bytes)
	f.Add(data, p.rows+1, p.bytes)
	f.Add(append(bytes.Clone(data[:len(data)-8]), 0xff, 0xff, 0xff, 0x7f, 'P', 'A', 'R', '1'), p.rows, p.bytes) // a footer of 2 GiB
	f.Fuzz(func(t *testing.T, data []byte, rows, size int) {
		// The manifest vouches for these.
		rows, size = min(max(rows, 1), 1000), min(max(size, rowOverhead), 100_000)
		if rows > size/rowOverhead {
			return
		}
		var c Columns
		var err error
		p := &part{key: "k", size: int64(len(data)), sum: xxhash.Sum64(data), rows: rows, bytes: size}
		bounded(t, func() { c, err = decodePart(data, p, newMemory) })
		var groups []Columns
		var groupsErr error
		bounded(t, func() { groups, groupsErr = readGroups(t.Context(), blobsOver(t, data, 100), p) })
		if err != nil {
			return
		}
		if groupsErr == nil {
			requireEqualColumns(t, c, concatColumns(t, groups))
		}
		require.Equal(t, rows, c.Len())
		require.Equal(t, size, c.Size())
		readAll([]op{{cols: c}})
	})
}

// FuzzRows writes rows as a log entry and as a Parquet part, and reads them back. The
// rows are cut from the data: a length of key and of value, a time and a diff for each.
func FuzzRows(f *testing.F) {
	f.Add([]byte{}, []byte{}, uint64(0), int64(0))
	f.Add([]byte{1, 1, 0, 2, 3, 0, 1, 1}, []byte("kvkkvvvx"), uint64(math.MaxUint64-2), int64(math.MinInt64))
	f.Add(bytes.Repeat([]byte{5, 9}, 40), bytes.Repeat([]byte("\xff\x00key"), 120), uint64(3), int64(-1))
	f.Add([]byte{200, 255, 200, 0}, bytes.Repeat([]byte{0xff}, 700), uint64(1<<63), int64(1))
	f.Fuzz(func(t *testing.T, cuts, data []byte, time uint64, diff int64) {
		take := func(n int) []byte {
			n = min(n, len(data))
			b := data[:n:n]
			data = data[n:]
			return b
		}
		var b ColumnsBuilder
		var want []Row
		for i := 0; i+1 < min(len(cuts), 400); i += 2 {
			r := Row{take(int(cuts[i])), take(int(cuts[i+1])), time + uint64(i), diff - int64(i)}
			want = append(want, r)
			require.NoError(t, b.Add(r.Key, r.Val, r.Time, r.Diff))
		}
		require.Equal(t, len(want), b.Len())
		c := b.Finish()
		requireRows(t, want, c)

		ops, err := decodeEntry(encodeEntry([]op{{kind: opWrite, stream: 3, cols: c}}))
		require.NoError(t, err)
		requireRows(t, want, ops[0].cols)
		if len(want) == 0 {
			return // there are no parts without rows
		}
		file, err := encodePart(&c, "stream", &batch{id: 1}, 0)
		require.NoError(t, err)
		back, err := decodePart(file, &part{key: "k", rows: c.Len(), bytes: c.Size()}, newMemory)
		require.NoError(t, err)
		requireRows(t, want, back)
	})
}

func requireRows(t *testing.T, want []Row, c Columns) {
	t.Helper()
	require.Equal(t, len(want), c.Len())
	lo, hi := uint64(math.MaxUint64), uint64(0)
	for i, r := range want {
		require.True(t, bytes.Equal(r.Key, c.Key(i)) && bytes.Equal(r.Val, c.Val(i)), "row %d", i)
		require.Equal(t, r.Time, c.Time(i), "row %d", i)
		require.Equal(t, r.Diff, c.Diff(i), "row %d", i)
		lo, hi = min(lo, r.Time), max(hi, r.Time)
	}
	if len(want) > 0 {
		least, most := c.TimeRange()
		require.Equal(t, []uint64{lo, hi}, []uint64{least, most})
	}
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
