package file

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

const fuzzSalt = 0x1122334455667788

// FuzzSegment gives readers and writers a log of one segment with any bytes in
// it. Whatever they are:
//
//   - nothing panics, and no more is allocated than the file is large;
//   - an error is damage in this file, or a newer format;
//   - what a writer finds, it finds again when it opens the log once more, and a
//     reader before it has seen a prefix of that;
//   - after that the log can be appended to.
//
// With sign the checksums of everything that looks like a frame are made right,
// so that mutations get past them.
func FuzzSegment(f *testing.F) {
	header := segmentHeader{salt: fuzzSalt, index: 1, first: 1, size: MinSegmentSize}.encode()
	two := groupsInSegment(f, []int{3, 0, 9}, []int{40})
	f.Add(header, []byte{}, false)
	f.Add(header, groupsInSegment(f, []int{1}), false)
	f.Add(header, two, false)
	f.Add(header, two, true)
	f.Add(header, two[:len(two)-markSize], false) // no mark
	f.Add(header, two[:len(two)-markSize-7], true)
	f.Add(header[:60], two, true)

	f.Fuzz(func(t *testing.T, header, frames []byte, sign bool) {
		data := make([]byte, MinSegmentSize)
		copy(data[:segmentDataStart], header)
		copy(data[segmentDataStart:], frames)
		if sign {
			signAll(data)
		}
		m := disk.New()
		lay(t, m, seg(1), data)

		r, err := NewLogReader("/db", withFileSystem(m))
		require.NoError(t, err)
		seen, readErr := positions(t, r)
		requireDamage(t, readErr)
		require.NoError(t, r.Close())

		l, err := tryOpenMem(m)
		requireDamage(t, err)
		if err != nil {
			return
		}
		got, err := positions(t, l)
		require.NoError(t, err, "opening has checked everything")
		if readErr == nil {
			require.LessOrEqual(t, len(seen), len(got))
			require.True(t, slices.Equal(got[:len(seen)], seen), "seen %v, then %v", seen, got)
		}
		last := lastOf(t, l)
		require.NoError(t, l.Close())

		l, err = tryOpenMem(m)
		require.NoError(t, err)
		require.Zero(t, l.Recovery())
		again, err := positions(t, l)
		require.NoError(t, err)
		require.Equal(t, got, again)
		_, err = l.Append(t.Context(), last, [][]byte{{1}, {2}})
		require.NoError(t, err)
		require.Equal(t, last+2, lastOf(t, l))
		require.NoError(t, l.Close())
	})
}

// positions reads a log from its beginning.
func positions(t *testing.T, l storage.LogReader) (all []storage.SeqNo, err error) {
	b, err := l.Bounds(t.Context())
	if err != nil {
		return nil, err
	}
	want, size := b.After, 0
	for e, err := range l.Read(t.Context(), b.After) {
		if err != nil {
			return all, err
		}
		want++
		require.Equal(t, want, e.SeqNo)
		size += len(e.Data)
		require.LessOrEqual(t, size, MinSegmentSize)
		all = append(all, e.SeqNo)
	}
	require.Equal(t, want, b.Last)
	return all, nil
}

func requireDamage(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, ErrNewerFormat) {
		return
	}
	var damage *storage.CorruptError
	require.ErrorAs(t, err, &damage)
	require.Contains(t, []string{seg(1), seg(2)}, damage.Where) // 2 is missing if 1 has an end mark
	require.LessOrEqual(t, damage.Offset, int64(MinSegmentSize))
}

// signAll makes the checksums right of the header and of all that begins like a
// frame.
func signAll(data []byte) {
	le := binary.LittleEndian
	le.PutUint32(data[60:], crc32.Checksum(data[:60], castagnoli))
	salt := le.Uint64(data[16:])
	for off := int64(segmentDataStart); off+frameHeaderSize <= int64(len(data)); off += frameAlign {
		b := data[off:]
		if le.Uint32(b)&0xffffff != frameMagic {
			continue
		}
		if n := int64(le.Uint32(b[8:])); n <= int64(len(b))-frameHeaderSize {
			le.PutUint32(b[12:], crc32.Checksum(b[frameHeaderSize:][:n], castagnoli))
		}
		le.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli)^placeTag(salt, off))
	}
}
