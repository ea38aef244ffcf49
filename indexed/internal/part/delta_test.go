package part

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// packedOf encodes integers as a page has them.
func packedOf(t testing.TB, ints ...int32) []byte {
	body, err := new(delta.BinaryPackedEncoding).EncodeInt32(nil, ints)
	require.NoError(t, err)
	return body
}

// A page whose checksum is right, and whose values are nonsense, is damage that we have
// written: it takes no memory to speak of, and nothing is read or written outside the page.
func TestPagesOfNonsense(t *testing.T) {
	const rows = 40
	ints := func() (same []int32) {
		for range rows {
			same = append(same, 1)
		}
		return same
	}
	ones := packedOf(t, ints()...)
	suffixed := func(lengths []byte, values int) []byte { return append(lengths, make([]byte, values)...) }
	// Their sum wraps around to 0 in 32 bits.
	wrapping := make([]int32, rows)
	wrapping[0], wrapping[8], wrapping[16] = math.MaxInt32, math.MaxInt32, 2
	endless := binary.AppendUvarint([]byte{0x80, 0x01, 4}, math.MaxInt32) // so many integers
	endless = append(endless, 0)
	for name, c := range map[string]struct {
		bodies    pieces
		encodings byte
		says      string
	}{
		"more integers than rows":            {pieces{suffixed(ones, rows), suffixed(ones, rows), endless, ones}, 0, "column time: "},
		"more lengths than rows":             {pieces{endless, suffixed(ones, rows), ones, ones}, 0, "column key: "},
		"more prefixes than rows":            {pieces{endless, suffixed(ones, rows), ones, ones}, 1, "column key: "},
		"lengths that wrap":                  {pieces{suffixed(append(packedOf(t, make([]int32, rows)...), packedOf(t, wrapping...)...), 200), suffixed(ones, rows), ones, ones}, 1, "column key: "},
		"lengths that wrap without prefixes": {pieces{suffixed(packedOf(t, wrapping...), rows), suffixed(ones, rows), ones, ones}, 0, "column key: "},
		"a prefix longer than the key":       {pieces{suffixed(append(packedOf(t, ints()...), ones...), rows), suffixed(ones, rows), ones, ones}, 1, "column key: "},
		"bytes too few":                      {pieces{suffixed(ones, rows-1), suffixed(ones, rows), ones, ones}, 0, "column key: "},
		"bytes too many":                     {pieces{suffixed(ones, rows), suffixed(ones, rows+1), ones, ones}, 0, "column val: "},
		"integers cut short":                 {pieces{suffixed(ones, rows), suffixed(ones, rows), ones, packedOf(t, wrapping...)[:30]}, 0, "column diff: "},
		"integers and more":                  {pieces{suffixed(ones, rows), suffixed(ones, rows), ones, append(ones[:len(ones):len(ones)], 0)}, 0, "column diff: "},
		"integers of 65 bits":                {pieces{suffixed(ones, rows), suffixed(ones, rows), ones, append(append([]byte{0x80, 0x01, 4, rows, 0, 0}, 65, 65, 65, 65), make([]byte, 600)...)}, 0, "column diff: "},
		"pieces of no integers":              {pieces{suffixed(ones, rows), suffixed(ones, rows), ones, []byte{0x80, 0x01, 0, rows, 0}}, 0, "column diff: "},
	} {
		t.Run(name, func(t *testing.T) {
			data, p := partOfBodies(&c.bodies, c.encodings, rows, rows, rows)
			limited(t, func() {
				_, err := rowsOf(blobsOver(t, data, 100).NewRanged([]Part{*p}, AllTimes, nil, nil, true))
				require.ErrorIs(t, err, storage.ErrCorrupt)
				require.ErrorContains(t, err, p.Key)
				require.ErrorContains(t, err, c.says)
			})
		})
	}
	data, p := partOfBodies(&pieces{suffixed(ones, rows), suffixed(ones, rows), ones, ones}, 0, rows, rows, rows)
	got, err := rowsOf(blobsOver(t, data, 100).NewRanged([]Part{*p}, AllTimes, nil, nil, true))
	require.NoError(t, err)
	require.Len(t, got, 2*rows)
}
