package indexed

import (
	"context"
	"encoding/binary"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
	"github.com/tidemark-go/tidemark/storage"
)

// Numbers in a message say more than it has. Their sum is within the message once it has
// wrapped to 32 bits.
func TestCountsThatWrapAnInt(t *testing.T) {
	const most = math.MaxInt32
	for _, counts := range [][3]uint64{
		{1, most, most},       // 24 more is 2^32 + 22
		{1, most - 22, most},  // 2^32
		{2, most, most - 47},  // 2^32 - 1
		{1, 1 << 31, 1 << 31}, // too large for a column anywhere
		{1, math.MaxUint64, 1},
		{math.MaxUint64 / rowOverhead, 0, 0},
		{1 << 32, 0, 0},
	} {
		msg := []byte{entryVersion, 1, byte(opWrite), 0}
		for _, n := range counts {
			msg = binary.AppendUvarint(msg, n)
		}
		_, err := decodeEntry(append(msg, make([]byte, 64)...))
		require.Error(t, err, "%v", counts)
	}
}

// A program whose int has 64 bits may have written batches of more rows than fit 32 bits,
// and parts that no program with less memory holds in one piece. The first are read, of
// the second it is said what they are: they are not damaged.
func TestBatchesOfALargerProgram(t *testing.T) {
	ctx := context.Background()
	large := &batch{
		id: 1, trace: true, desc: frontier.Description{Upper: frontier.At(9)},
		rows: 200 * (1 << 25), foldable: 1 << 32, maxTime: 8,
	}
	for i := range 200 {
		large.parts = append(large.parts, part{key: "part-" + strconv.Itoa(i), size: 1 << 30, rows: 1 << 25, bytes: 1 << 30})
	}
	r := wire.NewReader(large.appendTo(nil), 0)
	back := decodeBatch(r)
	require.NoError(t, r.End())
	require.Equal(t, large, back)

	require.NoError(t, checkReadable("k", maxReadBytes))
	if narrow == 0 {
		return // every part that was ever written fits
	}
	_, err := new(blobs).fetch(ctx, &back.parts[7], newMemory)
	require.ErrorIs(t, err, ErrTooLarge)
	require.NotErrorIs(t, err, storage.ErrCorrupt)
	require.ErrorContains(t, err, "part-7")
	require.ErrorContains(t, err, "64-bit program")
}

// Sizes of updates are refused before they wrap, and the builder is as before.
func TestColumnsLimits(t *testing.T) {
	if narrow == 0 {
		t.Skip("takes gigabytes where an int has 64 bits")
	}
	// Memory that nothing is written to costs nothing.
	keys := make([]byte, len(guard)+maxColumnBytes-10)
	copy(keys, guard)
	b := ColumnsBuilder{keys: keys, keyEnds: []uint32{0}, valEnds: []uint32{0}, times: []uint64{0}, diffs: []int64{0}}
	for what, add := range map[string]func() error{
		"a key":          func() error { return b.Add(make([]byte, 11), nil, 0, 1) },
		"a large key":    func() error { return b.Add(make([]byte, 1<<28), nil, 0, 1) },
		"a large value":  func() error { return b.Add(nil, make([]byte, 1<<28), 0, 1) },
		"all of them":    func() error { return b.Add(nil, nil, 0, 1) },
		"an encoded key": func() error { return AddTyped(&b, extend(11), extend(0), 0, 0, 0, 1) },
	} {
		require.ErrorIs(t, add(), ErrTooLarge, what)
		require.Equal(t, 1, b.Len(), what)
		require.Len(t, b.keys, len(keys), what)
	}

	var c Command
	half := Columns{buf: make([]byte, maxUpdateBytes/2+1)}
	for id := range StreamID(16) {
		c.Write(id, half) // 2 GiB in all
	}
	e := &Engine{cfg: Config{MaxTailBytes: math.MaxInt64}}
	err := e.prepare(&request{cmd: &c})
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "32-bit program")
}

// extend is an Encoder that appends so many zeros, within the room that there is.
type extend int

func (n extend) Append(dst []byte, _ int) ([]byte, error) {
	return append(dst, make([]byte, n)...), nil
}

// What a read of many batches holds is counted without wrapping, at every PartBytes.
func TestPartBytesLimits(t *testing.T) {
	cfg, err := Config{PartBytes: maxPartBytes}.withDefaults()
	require.NoError(t, err)
	require.Positive(t, cfg.parts().heldBytes())
	_, err = Config{PartBytes: maxPartBytes + 1}.withDefaults()
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, strconv.Itoa(maxPartBytes))
}
