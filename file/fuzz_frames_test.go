package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// FuzzSegmentHeader: a header is read back as it was written, and other bytes are
// refused as damage or as a newer format, also with the right checksum.
func FuzzSegmentHeader(f *testing.F) {
	good := segmentHeader{salt: fuzzSalt, index: 7, first: 42, size: MinSegmentSize}.encode()
	newer := bytes.Clone(good)
	newer[8] = segmentVersion + 1
	for _, b := range [][]byte{good, newer, good[:40], {}, make([]byte, segmentHeaderSize)} {
		f.Add(b, uint64(7), int64(MinSegmentSize))
	}
	f.Add(good, uint64(8), int64(MinSegmentSize))
	f.Add(good, uint64(7), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, index uint64, size int64) {
		check := func(b []byte) {
			h, err := decodeSegmentHeader(b, "segment", index, size)
			requireRefusal(t, err)
			if err != nil {
				return
			}
			require.Equal(t, index, h.index)
			require.Equal(t, size, h.size)
			require.EqualValues(t, segmentVersion, binary.LittleEndian.Uint32(b[8:]), "another version was read as this one")
			back, err := decodeSegmentHeader(h.encode(), "segment", index, size)
			require.NoError(t, err)
			require.Equal(t, h, back)
			was, ok := headerIndex(b)
			require.True(t, ok)
			require.Equal(t, index, was)
		}
		check(b)
		if len(b) < segmentHeaderSize {
			return
		}
		signed := bytes.Clone(b)
		copy(signed, segmentMagic)
		binary.LittleEndian.PutUint32(signed[60:], crc32.Checksum(signed[:60], castagnoli))
		check(signed)
	})
}

// Version 1 is the only one that is read.
func TestSegmentVersions(t *testing.T) {
	for version, want := range map[uint32]error{0: storage.ErrCorrupt, 1: nil, 2: ErrNewerFormat, 1 << 31: ErrNewerFormat} {
		b := segmentHeader{salt: fuzzSalt, index: 7, first: 42, size: MinSegmentSize}.encode()
		binary.LittleEndian.PutUint32(b[8:], version)
		binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
		_, err := decodeSegmentHeader(b, "segment", 7, MinSegmentSize)
		require.ErrorIs(t, err, want)
	}
}

// requireRefusal checks that an error of a decoder, if there is one, is of the two
// kinds that there are, and not of both.
func requireRefusal(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if errors.Is(err, ErrNewerFormat) {
		require.NotErrorIs(t, err, storage.ErrCorrupt)
		return
	}
	require.ErrorIs(t, err, storage.ErrCorrupt)
}

// FuzzGroup: a group is read back as it was written, in its own place only, and no
// single changed byte goes unnoticed. The entries are data, cut at the given lengths.
func FuzzGroup(f *testing.F) {
	f.Add([]byte("one entry"), []byte{9}, uint64(fuzzSalt), uint32(0), uint64(1), uint16(0))
	f.Add([]byte("three, one is empty"), []byte{5, 0, 14}, uint64(0), uint32(4), uint64(1<<40), uint16(40))
	f.Add([]byte{}, []byte{0}, uint64(1), uint32(1<<20), uint64(7), uint16(28))
	f.Fuzz(func(t *testing.T, data, cuts []byte, salt uint64, at uint32, first uint64, flip uint16) {
		if len(cuts) == 0 {
			cuts = []byte{0}
		}
		var entries [][]byte
		for _, n := range cuts {
			n := min(int(n), len(data))
			entries = append(entries, data[:n:n])
			data = data[n:]
		}
		off := segmentDataStart + int64(at)*frameAlign
		b := appendGroup(nil, salt, off, storage.SeqNo(first), entries)
		require.Zero(t, len(b)%frameAlign)

		h, ok := parseFrameHeader(b, salt, off)
		require.True(t, ok)
		require.Equal(t, kindGroup, h.kind)
		require.EqualValues(t, first, h.first)
		require.EqualValues(t, len(b), h.size())
		payload := b[frameHeaderSize:][:h.length]
		require.Empty(t, h.checkPayload(payload))
		for _, want := range entries {
			var entry []byte
			entry, payload, ok = nextEntry(payload)
			require.True(t, ok)
			require.True(t, bytes.Equal(want, entry))
		}
		require.Empty(t, payload)

		_, ok = parseFrameHeader(b, salt, off+frameAlign)
		require.False(t, ok, "it was accepted in another place")
		_, ok = parseFrameHeader(b, salt+1, off)
		require.False(t, ok, "it was accepted in another life of the file")
		i := int(flip) % (frameHeaderSize + int(h.length))
		b[i] ^= 1 << (flip % 8)
		if h, ok := parseFrameHeader(b, salt, off); ok {
			require.GreaterOrEqual(t, i, frameHeaderSize, "byte %d", i)
			require.NotEmpty(t, h.checkPayload(b[frameHeaderSize:][:h.length]), "byte %d", i)
		}
	})
}

// FuzzFrame gives any bytes to the decoders of frames. A header that is accepted is
// canonical: written again it is the same bytes. With sign its checksum is made right.
func FuzzFrame(f *testing.F) {
	const off = segmentDataStart
	group := appendGroup(nil, fuzzSalt, off, 3, [][]byte{[]byte("entry"), nil})
	mark := make([]byte, markSize)
	putMark(mark, kindMark, fuzzSalt, off, 9)
	end := make([]byte, markSize)
	putMark(end, kindEnd, fuzzSalt, off, 9)
	for _, b := range [][]byte{group, mark, end, mark[frameHeaderSize:], append(bytes.Clone(mark[:frameHeaderSize]), end[frameHeaderSize:]...), {}, make([]byte, markSize)} {
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = bytes.Clone(b)
			for i, at := 0, int64(off); i+frameHeaderSize <= len(b) && i < markSize; i, at = i+frameHeaderSize, at+frameHeaderSize {
				binary.LittleEndian.PutUint32(b[i+28:], crc32.Checksum(b[i:i+28], castagnoli)^placeTag(fuzzSalt, at))
			}
		}
		if h, ok := parseFrameHeader(b, fuzzSalt, off); ok {
			again := make([]byte, frameHeaderSize)
			h.put(again, fuzzSalt, off)
			back, ok := parseFrameHeader(again, fuzzSalt, off)
			require.True(t, ok)
			require.Equal(t, h, back)
			if binary.LittleEndian.Uint32(b[24:]) == 0 {
				require.True(t, bytes.Equal(again, b[:frameHeaderSize]))
			}
			if rest := b[frameHeaderSize:]; int64(h.length) <= int64(len(rest)) && h.checkPayload(rest[:h.length]) == "" {
				payload := rest[:h.length]
				for range h.count {
					var ok bool
					_, payload, ok = nextEntry(payload)
					require.True(t, ok, "the payload was checked")
				}
				require.Empty(t, payload)
			}
		}
		if h, whole, ok := parseMark(b, fuzzSalt, off); ok {
			require.Contains(t, []frameKind{kindMark, kindEnd}, h.kind)
			again := make([]byte, markSize)
			putMark(again, h.kind, fuzzSalt, off, h.first)
			back, wholeAgain, ok := parseMark(again, fuzzSalt, off)
			require.True(t, ok && wholeAgain)
			require.Equal(t, h.first, back.first)
			require.True(t, !whole || len(b) >= markSize)
		}
	})
}
