package indexed

import (
	"encoding/binary"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/indexed/internal/wire"
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
		{math.MaxUint64 / part.RowOverhead, 0, 0},
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

// A program whose int has 64 bits may have written batches of more rows than fit 32 bits.
// They are read all the same.
func TestBatchesOfALargerProgram(t *testing.T) {
	large := &batch{
		id: 1, trace: true, desc: frontier.Description{Upper: frontier.At(9)},
		rows: 200 * (1 << 25), foldable: 1 << 32, maxTime: 8,
	}
	for i := range 200 {
		large.parts = append(large.parts, part.Part{Key: "part-" + strconv.Itoa(i), Size: 1 << 30, Rows: 1 << 25, Bytes: 1 << 30})
	}
	r := wire.NewReader(large.appendTo(nil), 0)
	back := decodeBatch(r, manifestVersion)
	require.NoError(t, r.End())
	require.Equal(t, large, back)
}

// A command of more than fits is refused before its size wraps.
func TestCommandThatWrapsAnInt(t *testing.T) {
	if part.Narrow == 0 {
		t.Skip("takes gigabytes where an int has 64 bits")
	}
	var b ColumnsBuilder
	require.NoError(t, b.Add(make([]byte, part.MaxUpdateBytes/2+1), nil, 0, 1))
	half := b.Finish()
	var c Command
	for id := range StreamID(16) {
		c.Write(id, half) // 2 GiB in all
	}
	e := &Engine{cfg: Config{MaxTailBytes: math.MaxInt64}, st: newState(0)}
	err := e.prepare(t.Context(), &c)
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "32-bit program")
	require.ErrorContains(t, err, "of 16 updates")
}

// What a read of many batches holds is counted without wrapping, at every PartBytes.
func TestPartBytesLimits(t *testing.T) {
	cfg, err := Config{PartBytes: part.MaxBytes}.withDefaults()
	require.NoError(t, err)
	require.Positive(t, cfg.parts().HeldBytes())
	_, err = Config{PartBytes: part.MaxBytes + 1}.withDefaults()
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, strconv.Itoa(part.MaxBytes))
}
