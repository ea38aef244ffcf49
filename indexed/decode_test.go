package indexed

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

var update = flag.Bool("update", false, "write the golden files that are missing; those of a released format never change")

func sampleColumns() Columns {
	var b ColumnsBuilder
	for _, r := range []Row{
		{Key: []byte("apple"), Val: []byte("1"), Time: 3, Diff: 1},
		{Key: []byte("apple"), Val: []byte("2"), Time: 5, Diff: -1},
		{Time: math.MaxUint64, Diff: math.MinInt64},
		{Key: []byte("pear")},
	} {
		if err := b.Add(r.Key, r.Val, r.Time, r.Diff); err != nil {
			panic(err)
		}
	}
	return b.Finish()
}

// sampleOps has an operation of every kind.
func sampleOps() []op {
	return []op{
		{kind: opRegister, stream: 7, registration: &registration{"orders", "string", "json"}},
		{kind: opDestroy, stream: 2},
		{kind: opWrite, stream: 1, cols: sampleColumns()},
		{kind: opWrite, stream: 300},
		{kind: opSeal, stream: 1, frontier: frontier.At(1 << 40)},
		{kind: opSeal, stream: 3, frontier: frontier.Empty()},
		{kind: opAllowCompaction, stream: 1, frontier: frontier.At(0)},
	}
}

// sampleEdit has something of every sort.
func sampleEdit() *edit {
	e := sampleEditV1()
	b := e.streams[0].added[0]
	b.last = []byte("pear")
	b.parts[0].First, b.parts[0].Clean, b.parts[0].Directory = []byte("apple"), true, part.Region{At: 700, Len: 90, Sum: 0xd1d1}
	b.parts[1].First, b.parts[1].Directory = []byte("o"), part.Region{At: 600, Len: 80, Sum: 0xd2d2}
	e.streams[0].added[1].last = []byte{}
	return e
}

// sampleEditV1 has everything that the first version of the manifest has.
func sampleEditV1() *edit {
	return &edit{
		version: 9, applied: 77, nextID: 4, nextBatch: 40,
		streams: []streamEdit{
			{
				id: 0, created: true, name: "orders", keyCodec: "string", valCodec: "json",
				upper: frontier.At(9), since: frontier.At(4), flushed: 70, flushedUpper: frontier.At(8),
				added: []*batch{
					{
						id: 11, trace: true, level: 2, rows: 5, minTime: 3, maxTime: 6, foldable: 1,
						desc:  frontier.Description{Upper: frontier.At(7), Since: frontier.At(2)},
						parts: []part.Part{{Key: "batch/0/x-11-0.parquet", Size: 900, Sum: 0xfeed, Rows: 3, Bytes: 100}, {Key: "batch/0/x-11-1.parquet", Size: 800, Sum: 0xbeef, Rows: 2, Bytes: 90}},
					},
					{
						id: 12, rows: 1, minTime: 8, maxTime: 8, after: 60, through: 70,
						desc:  frontier.Description{Upper: frontier.Empty()},
						parts: []part.Part{{Key: "batch/0/x-12-0.parquet", Size: 700, Sum: 0xcafe, Rows: 1, Bytes: 30}},
					},
				},
			},
			{id: 1, destroyed: true, upper: frontier.Empty(), since: frontier.Empty(), flushedUpper: frontier.Empty(), dropped: []uint64{1, 2, 300}},
			{
				id: 3, upper: frontier.Empty(), since: frontier.Empty(), flushed: 77, flushedUpper: frontier.Empty(),
				added: []*batch{emptyTrace(0)}, // the shortest encoding of a batch, at the end
			},
		},
	}
}

// emptyTrace is a trace batch whose updates cancelled out, up to the end of time.
func emptyTrace(id uint64) *batch {
	return &batch{id: id, trace: true, desc: frontier.Description{Upper: frontier.Empty(), Since: frontier.Empty()}}
}

// requireEqualOps compares operations but for where columns without updates point.
func requireEqualOps(t testing.TB, want, got []op) {
	for _, ops := range [][]op{want, got} {
		for i := range ops {
			if ops[i].cols.Len() == 0 {
				ops[i].cols = Columns{}
			}
		}
	}
	require.Equal(t, want, got)
}

func TestEntryRoundTrip(t *testing.T) {
	ops := sampleOps()
	data := encodeEntry(ops)
	back, err := decodeEntry(data)
	require.NoError(t, err)
	requireEqualOps(t, ops, back)
	cols := &back[2].cols
	require.Equal(t, "apple=1", fmt.Sprintf("%s=%s", cols.Key(0), cols.Val(0)))
	lo, hi := cols.TimeRange()
	require.Equal(t, []uint64{0, math.MaxUint64}, []uint64{lo, hi})
	require.Equal(t, int64(math.MinInt64), cols.Diff(2))
}

// The log has a checksum of its own, so what is left to the entry is that no damage
// makes it panic, and that a part of it is never taken for the whole.
func TestDecodeEntryDamaged(t *testing.T) {
	data := encodeEntry(sampleOps())
	for n := range data {
		_, err := decodeEntry(data[:n])
		require.Error(t, err, "%d of %d bytes", n, len(data))
	}
	eachBitFlipped(data, func(flipped []byte, _ int) {
		if ops, err := decodeEntry(flipped); err == nil {
			readAll(ops)
		}
	})
	_, err := decodeEntry(append(data, 0))
	require.ErrorContains(t, err, "1 bytes too many")
	for text, data := range map[string][]byte{
		"version 0":           {0, 1, 2, 0},
		"without operations":  {1, 0},
		"operation of kind 9": {1, 1, 9, 0},
		"frontier tag 2":      {1, 1, byte(opSeal), 0, 2, 0},
		"is larger than":      {1, 0xff, 0xff, 0xff, 0xff, 0x0f, 2, 0},
		"ends early":          {1, 1, byte(opSeal), 0},
		"column of":           append([]byte{1, 1, byte(opWrite), 0, 0}, 0x80, 0x80, 0x80, 0x80, 0x10, 0),
		"without updates":     {1, 1, byte(opWrite), 0, 0, 1, 0, 'k'},
	} {
		_, err := decodeEntry(data)
		require.ErrorContains(t, err, text)
	}
}

func eachBitFlipped(data []byte, do func(flipped []byte, bit int)) {
	for bit := range 8 * len(data) {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		do(flipped, bit)
	}
}

// readAll touches every update, as readers will.
func readAll(ops []op) (n int) {
	for i := range ops {
		c := &ops[i].cols
		for j := range c.Len() {
			n += len(c.Key(j)) + len(c.Val(j)) + int(c.Time(j)&1) + int(c.Diff(j)&1)
		}
	}
	return n
}

func TestEditRoundTrip(t *testing.T) {
	e := sampleEdit()
	back, err := decodeEdit(e.encode())
	require.NoError(t, err)
	e.streams[1].name = "" // only of a created stream
	require.Equal(t, e, back)
}

// decode_errors, checksum: every truncation and every flipped bit of a manifest is
// an error.
func TestDecodeEditDamaged(t *testing.T) {
	data := sampleEdit().encode()
	for n := range data {
		_, err := decodeEdit(data[:n])
		require.Error(t, err, "%d of %d bytes", n, len(data))
	}
	eachBitFlipped(data, func(flipped []byte, bit int) {
		_, err := decodeEdit(flipped)
		require.Error(t, err, "bit %d", bit)
	})
	for text, data := range map[string][]byte{
		"too few for a manifest": data[:manifestHeader+3],
		"expected \"TIDEMANI\"":  bytes.Replace(data, []byte("TIDEMANI"), []byte("OTHERMAN"), 1),
		"format version 0":       bytes.Replace(data, []byte("TIDEMANI\x02"), []byte("TIDEMANI\x00"), 1),
		"xxhash64 is":            append(data[:len(data)-1:len(data)-1], data[len(data)-1]^1),
	} {
		_, err := decodeEdit(data)
		require.ErrorContains(t, err, text)
	}
}

// A manifest whose checksum is right and whose contents are not is refused as well.
func TestDecodeEditRefusesNonsense(t *testing.T) {
	for text, change := range map[string]func(data []byte) []byte{
		"bytes too many":  func(d []byte) []byte { return append(d, 0) },
		"ends early":      func(d []byte) []byte { return d[:len(d)-1] },
		"is larger than":  func(d []byte) []byte { return append(d[:manifestHeader], 1, 1, 1, 0xff, 0x7f) },
		"with flags":      func(d []byte) []byte { return append(d[:manifestHeader], 1, 1, 1, 1, 0, 4, 0, 0, 1, 0, 0, 0) },
		"batch of kind 2": func(d []byte) []byte { return append(d[:len(d)-15], 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) },
	} {
		t.Run(text, func(t *testing.T) {
			data := sampleEdit().encode()
			_, err := decodeEdit(signed(change(bytes.Clone(data[:len(data)-manifestTrailer]))))
			require.ErrorContains(t, err, text)
		})
	}
}

// signed appends the checksum that makes a body look like a manifest.
func signed(body []byte) []byte {
	sum := xxhash.Sum64(body)
	for i := range 8 {
		body = append(body, byte(sum>>(8*i)))
	}
	return body
}

// What is whole and of a newer version is no damage; but a version that a flipped bit
// has changed is.
func TestNewerFormats(t *testing.T) {
	requireNewer := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, storage.ErrNewerFormat)
		require.ErrorIs(t, wire.Unreadable("place", err), storage.ErrNewerFormat)
		require.NotErrorIs(t, wire.Unreadable("place", err), storage.ErrCorrupt)
		require.ErrorContains(t, wire.Unreadable("place", err), "place")
	}
	_, err := decodeEntry([]byte{entryVersion + 1, 1, 2, 0})
	requireNewer(err)

	data := sampleEdit().encode()
	data[len(manifestMagic)]++
	_, err = decodeEdit(data)
	require.NotErrorIs(t, err, storage.ErrNewerFormat)
	require.ErrorIs(t, wire.Unreadable("place", err), storage.ErrCorrupt)
	newer := signed(data[:len(data)-manifestTrailer])
	_, err = decodeEdit(newer)
	requireNewer(err)
	_, err = peekManifestVersion(newer)
	requireNewer(err)
}

// A manifest may end with the shortest encoding that a batch has.
func TestManifestEndsWithAnEmptyBatch(t *testing.T) {
	e := &edit{version: 1, applied: 1, streams: []streamEdit{{upper: frontier.Empty(), added: []*batch{emptyTrace(1)}}}}
	require.Len(t, e.streams[0].added[0].appendTo(nil), minBatchBytes+2, "its lower is a time, and version 2 has its last key")
	back, err := decodeEdit(e.encode())
	require.NoError(t, err)
	require.Equal(t, e, back)
}

// baseAlone is a store that holds a base of the manifest and no edits.
type baseAlone struct {
	storage.BlobReader
	data []byte
}

func (b *baseAlone) Get(_ context.Context, key string) ([]byte, storage.Version, error) {
	if key != manifestBase {
		return nil, storage.NoVersion, storage.ErrNotFound
	}
	return b.data, "1", nil
}

func (b *baseAlone) GetRange(_ context.Context, _ string, offset, length int64) ([]byte, error) {
	if offset+length > int64(len(b.data)) {
		return nil, storage.ErrInvalidRange
	}
	return b.data[offset : offset+length], nil
}

// A follower looks at the head of a base first. What makes no sense there is damage, or
// newer, as the checksum says.
func TestFollowerOfABaseThatMakesNoSense(t *testing.T) {
	damaged := sampleEdit().encode()
	damaged[len(manifestMagic)]++
	for _, base := range []struct {
		name string
		data []byte
		err  error
	}{
		{"damaged version", damaged, storage.ErrCorrupt},
		{"newer", signed(slices.Clone(damaged[:len(damaged)-manifestTrailer])), storage.ErrNewerFormat},
		{"cut short", damaged[:manifestHeader-1], storage.ErrCorrupt},
	} {
		t.Run(base.name, func(t *testing.T) {
			m := manifestReader{blob: &baseAlone{data: base.data}}
			replaced, err := m.follow(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, replaced)
			_, err = m.loadBase(t.Context())
			require.ErrorIs(t, err, base.err)
			require.ErrorContains(t, err, manifestBase)
		})
	}
}

// encoded_batch_sizes: pinned, so that a change that makes them grow is seen.
func TestEncodedSizes(t *testing.T) {
	var many ColumnsBuilder
	for i := range 1000 {
		require.NoError(t, many.Add(fmt.Appendf(nil, "key-%06d", i), []byte("value"), uint64(i), 1))
	}
	thousand := many.Finish()
	var single ColumnsBuilder
	require.NoError(t, single.Add([]byte("key"), []byte("val"), 1, 1))
	one := single.Finish()
	write := func(c Columns) int { return len(encodeEntry([]op{{kind: opWrite, stream: 1, cols: c}})) }
	for _, test := range []struct {
		name      string
		got, want int
	}{
		{"entry with a seal", len(encodeEntry([]op{{kind: opSeal, stream: 1, frontier: frontier.At(100)}})), 6},
		{"entry with one update", write(one), 37},
		{"entry with a thousand updates", write(thousand), 39_010},
		{"empty batch in the manifest", len(emptyTrace(1).appendTo(nil)), 15},
		{"edit of one seal", len((&edit{version: 1, streams: []streamEdit{{upper: frontier.At(100)}}}).encode()), 40},
		{"manifest of every sort", len(sampleEdit().encode()), 270},
	} {
		require.Equal(t, test.want, test.got, test.name)
	}
}

// Golden files: what format version 1 looks like, for as long as it is to be read.
func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name   string
		encode []byte // what is written today is the same, byte by byte; nil: an older version
		check  func(t *testing.T, data []byte)
	}{
		{"entry-v1.bin", encodeEntry(sampleOps()), func(t *testing.T, data []byte) {
			ops, err := decodeEntry(data)
			require.NoError(t, err)
			requireEqualOps(t, sampleOps(), ops)
		}},
		{"edit-v1.bin", nil, func(t *testing.T, data []byte) {
			e, err := decodeEdit(data)
			require.NoError(t, err)
			require.Equal(t, sampleEditV1(), e)
		}},
		{"edit-v2.bin", sampleEdit().encode(), func(t *testing.T, data []byte) {
			e, err := decodeEdit(data)
			require.NoError(t, err)
			require.Equal(t, sampleEdit(), e)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join("testdata", "golden", test.name)
			if _, err := os.Stat(path); *update && errors.Is(err, os.ErrNotExist) {
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, test.encode, 0o644))
			}
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			if test.encode != nil {
				require.Equal(t, data, test.encode)
			}
			test.check(t, data)
		})
	}
}
