package file

import (
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

// TestDamage damages a closed log in one way each, and says what a writer and a
// reader must make of it: all of it, what is left, or the place of the damage.
func TestDamage(t *testing.T) {
	const all = 14
	whole := threeSegments(t)
	frames := map[uint64][]point{}
	for index := uint64(1); index <= 3; index++ {
		frames[index] = groups(t, whole, index)
	}
	end := frames[3][3]
	last := frames[3][2]
	salt := func(m *disk.Disk) uint64 {
		s, err := openSegment("/db/log", 3, m.Open)
		require.NoError(t, err)
		defer s.release() //nolint:errcheck // only read
		return s.salt
	}
	flip := func(index uint64, off int64) func(*disk.Disk) {
		return func(m *disk.Disk) { m.Edit(seg(index))[off] ^= 0x10 }
	}
	zero := func(index uint64, off, n int64) func(*disk.Disk) {
		return func(m *disk.Disk) { clear(m.Edit(seg(index))[off : off+n]) }
	}
	both := func(f ...func(*disk.Disk)) func(*disk.Disk) {
		return func(m *disk.Disk) {
			for _, f := range f {
				f(m)
			}
		}
	}

	type expect struct {
		where  string // of the CorruptError; empty if there is none
		newest string // where a reader, which begins with the newest segment, finds it, if not there
		inside int64  // and at which offset
		offset int64
		err    error         // another error
		after  storage.SeqNo // what remains is after < p <= last
		last   storage.SeqNo
		cut    bool          // a torn tail was cut
		reader storage.SeqNo // what a reader sees before a writer has recovered, if less than last
	}
	rows := []struct {
		name   string
		damage func(*disk.Disk)
		want   expect
	}{
		{"nothing", func(*disk.Disk) {}, expect{last: all}},
		{"last group: payload", flip(3, last.off+frameHeaderSize+10), expect{where: seg(3), offset: last.off}},
		{"last group: checksum of the payload", flip(3, last.off+12), expect{where: seg(3), offset: last.off}},
		{"last group: length", flip(3, last.off+8), expect{where: seg(3), offset: last.off}},
		{"last group: count", flip(3, last.off+4), expect{where: seg(3), offset: last.off}},
		{"last group: position", flip(3, last.off+16), expect{where: seg(3), offset: last.off}},
		{"last group: zeros", zero(3, last.off, end.off-last.off), expect{where: seg(3), offset: last.off}},
		{"last group: older bytes", func(m *disk.Disk) {
			putMark(m.Edit(seg(3))[last.off:], kindMark, salt(m), last.off, last.next)
		}, expect{where: seg(3), offset: last.off}},
		{"last group and mark: zeros", zero(3, last.off, end.off-last.off+markSize), expect{last: 12, reader: 10}},
		{"last group: payload, and no mark", both(flip(3, last.off+50), zero(3, end.off, markSize)), expect{last: 12, cut: true}},
		{"last group: valid at a wrong position", func(m *disk.Disk) {
			clear(m.Edit(seg(3))[end.off:][:markSize])
			b := m.Edit(seg(3))[last.off:]
			h, ok := parseFrameHeader(b, salt(m), last.off)
			require.True(t, ok)
			h.first++
			h.put(b, salt(m), last.off)
		}, expect{where: seg(3), offset: last.off}},
		{"last group: an entry fewer than it has", func(m *disk.Disk) {
			b := m.Edit(seg(3))[last.off:]
			h, ok := parseFrameHeader(b, salt(m), last.off)
			require.True(t, ok)
			h.count--
			h.put(b, salt(m), last.off)
		}, expect{where: seg(3), offset: last.off, newest: seg(3), inside: end.off}},
		{"last group: a length beyond the file", func(m *disk.Disk) {
			b := m.Edit(seg(3))[last.off:]
			h, ok := parseFrameHeader(b, salt(m), last.off)
			require.True(t, ok)
			h.length = 1 << 30
			h.put(b, salt(m), last.off)
		}, expect{where: seg(3), offset: last.off}},
		{"first group of the last segment", flip(3, segmentDataStart+500), expect{where: seg(3), offset: segmentDataStart}},
		{"first group of the last segment: header", flip(3, segmentDataStart+20), expect{where: seg(3), offset: segmentDataStart}},
		{"middle segment: payload", flip(2, frames[2][1].off+99), expect{where: seg(2), offset: frames[2][1].off}},
		{"middle segment: header of a group", flip(2, frames[2][1].off+1), expect{where: seg(2), offset: frames[2][1].off}},
		{"middle segment: last group and end mark zeros", zero(2, frames[2][1].off, frames[2][2].off-frames[2][1].off+markSize), expect{where: seg(2), offset: frames[2][1].off}},
		{"middle segment: a page of zeros", zero(2, 8192, 4096), expect{where: seg(2), offset: segmentDataStart}},
		{"segments swapped", func(m *disk.Disk) {
			m.Move(seg(1), "/swapped")
			m.Move(seg(2), seg(1))
			m.Move("/swapped", seg(2))
		}, expect{where: seg(1), offset: 0, newest: seg(2)}},
		{"middle segment missing", func(m *disk.Disk) { m.Lose(seg(2)) }, expect{where: seg(2), offset: -1}},
		{"last segment missing", func(m *disk.Disk) { m.Lose(seg(3)) }, expect{where: seg(3), offset: -1}},
		{"last two segments missing", func(m *disk.Disk) { m.Lose(seg(2)); m.Lose(seg(3)) }, expect{where: seg(2), offset: -1}},
		{"first segment missing", func(m *disk.Disk) { m.Lose(seg(1)) }, expect{after: 4, last: all}},
		{"segment duplicated", func(m *disk.Disk) { m.Link(seg(2), seg(4)) }, expect{where: seg(4), offset: 0}},
		{"last segment duplicated", func(m *disk.Disk) { m.Link(seg(3), seg(4)) }, expect{where: seg(4), offset: 0}},
		{"first segment: header", flip(1, 33), expect{where: seg(1), offset: 0}},
		{"middle segment: header", flip(2, 17), expect{where: seg(2), offset: 0}},
		{"last segment: header", flip(3, 25), expect{where: seg(3), offset: 0}},
		{"last segment: all zeros", zero(3, 0, MinSegmentSize), expect{where: seg(3), offset: 0}},
		{"last segment: magic", flip(3, 0), expect{where: seg(3), offset: 0}},
		{"last segment: an earlier position", func(m *disk.Disk) {
			b := m.Edit(seg(3))
			b[32]--
			copy(b[60:], checksum(b[:60]))
		}, expect{where: seg(3), offset: 0, newest: seg(3), inside: segmentDataStart}},
		{"last segment: cut", func(m *disk.Disk) { m.Resize(seg(3), 9000) }, expect{where: seg(3), offset: 9000}},
		{"last segment: empty", func(m *disk.Disk) { m.Resize(seg(3), 0) }, expect{where: seg(3), offset: 0}},
		{"middle segment: longer", func(m *disk.Disk) { m.Resize(seg(2), MinSegmentSize+1) }, expect{where: seg(2), offset: MinSegmentSize}},
		{"newer format", func(m *disk.Disk) {
			b := m.Edit(seg(3))
			b[8] = segmentVersion + 1
			copy(b[60:], checksum(b[:60]))
		}, expect{err: ErrNewerFormat}},
		{"mark: first half", flip(3, end.off+20), expect{last: all, cut: true}},
		{"mark: echo", flip(3, end.off+frameHeaderSize+20), expect{last: all, cut: true}},
		{"mark: gone", zero(3, end.off, markSize), expect{last: all, reader: 12}},
		{"end mark: one half", flip(2, frames[2][2].off+3), expect{last: all}},
		{"end mark: gone", zero(2, frames[2][2].off, markSize), expect{last: all}},
		{"end mark and next segment: gone", both(zero(2, frames[2][2].off, markSize), func(m *disk.Disk) { m.Lose(seg(3)) }), expect{last: 8, reader: 6}},
		{"free room of a page", flip(1, 1000), expect{last: all}},
		{"free room behind the mark", flip(3, end.off+markSize+8), expect{last: all}},
		{"a foreign file", func(m *disk.Disk) { m.Put("/db/log/notes.txt", nil) }, expect{last: all}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			requireError := func(err error, where string, offset int64) {
				t.Helper()
				if row.want.err != nil {
					require.ErrorIs(t, err, row.want.err)
					return
				}
				var damage *storage.CorruptError
				require.ErrorAs(t, err, &damage)
				require.Equal(t, where, damage.Where)
				require.Equal(t, offset, damage.Offset, "%v", err)
			}
			broken := row.want.where != "" || row.want.err != nil
			m := threeSegments(t)
			row.damage(m)

			// A reader first: it must not change anything.
			before := m.Clone()
			r, err := NewLogReader("/db", withFileSystem(m))
			require.NoError(t, err)
			got, err := readAll(t, r, row.want.after)
			require.NoError(t, r.Close())
			if broken {
				where, offset := row.want.where, row.want.offset
				if row.want.newest != "" {
					where, offset = row.want.newest, row.want.inside
				}
				requireError(err, where, offset)
				require.Equal(t, upTo(storage.SeqNo(len(got))), append([]storage.SeqNo{}, got...), "a prefix before the damage")
			} else {
				require.NoError(t, err)
				last := row.want.last
				if row.want.reader != 0 {
					last = row.want.reader
				}
				require.Equal(t, upTo(last)[row.want.after:], got)
			}
			requireSameFiles(t, before, m, "a reader changed it")

			l, err := tryOpenMem(m)
			if broken {
				requireError(err, row.want.where, row.want.offset)
				requireSameFiles(t, before, m, "a refused open changed it")
				_, err = tryOpenMem(m)
				requireError(err, row.want.where, row.want.offset) // and gave the lock back
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want.cut, l.Recovery().Cut)
			require.Equal(t, row.want.cut, len(m.Names(tornPrefix)) == 1)
			for range 2 { // as it is, and after another opening
				got, err = readAll(t, l, row.want.after)
				require.NoError(t, err)
				require.Equal(t, upTo(row.want.last)[row.want.after:], got)
				b, err := l.Bounds(t.Context())
				require.NoError(t, err)
				require.Equal(t, storage.Bounds{After: row.want.after, Last: row.want.last}, b)
				if row.want.after > 0 {
					_, err = readAll(t, l, 0)
					require.ErrorIs(t, err, storage.ErrTruncated)
				}
				require.NoError(t, l.Close())
				l = openMem(t, m)
				require.Zero(t, l.Recovery(), "the second opening finds everything in order")
			}
			appendGroups(t, l, []int{1, 2, 3})
			got, err = readAll(t, l, row.want.after)
			require.NoError(t, err)
			require.Equal(t, upTo(row.want.last + 3)[row.want.after:], got)
		})
	}
}

func checksum(b []byte) []byte {
	var h [4]byte
	c := crc32.Checksum(b, castagnoli)
	for i := range h {
		h[i] = byte(c >> (8 * i))
	}
	return h[:]
}

// Every single bit of a closed log, flipped: the same contents, or an error that
// names file and offset. Never other contents, never fewer.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{9, 5}, []int{12100}, []int{}, []int{30}, []int{0, 7})
	require.NoError(t, l.Close())
	require.Len(t, m.Names("00"), 2)
	all := upTo(6)

	outcomes := map[string]int{}
	check := func(index uint64, bit int64) {
		try := m.Clone()
		try.Edit(seg(index))[bit/8] ^= 1 << (bit % 8)
		where := fmt.Sprintf("segment %d, offset %d, bit %d", index, bit/8, bit%8)
		judge := func(who string, got []storage.SeqNo, err error) {
			if err == nil {
				require.Equal(t, all, got, "%s: %s", who, where)
				outcomes[who+" harmless"]++
				return
			}
			var damage *storage.CorruptError
			if errors.As(err, &damage) {
				require.Equal(t, seg(index), damage.Where, "%s: %s", who, where)
				require.LessOrEqual(t, damage.Offset, bit/8, "%s: %s: %v", who, where, err)
			} else {
				require.ErrorIs(t, err, ErrNewerFormat, "%s: %s", who, where)
			}
			outcomes[who+" located"]++
		}
		r, err := NewLogReader("/db", withFileSystem(try))
		require.NoError(t, err)
		got, err := readAll(t, r, 0)
		judge("reader", got, err)
		require.NoError(t, r.Close())

		l, err := tryOpenMem(try)
		if err == nil {
			got, err = readAll(t, l, 0)
			require.NoError(t, l.Close())
		}
		judge("writer", got, err)
	}
	flips := func(index uint64, from, to, step int64) {
		for bit := from * 8; bit < to*8; bit += step {
			check(index, bit)
		}
	}
	for index := uint64(1); index <= 2; index++ {
		at := groups(t, m, index)
		end := at[len(at)-1].off + markSize
		flips(index, 0, segmentHeaderSize, 1)
		flips(index, segmentHeaderSize, segmentDataStart, 997)
		if index == 1 { // most of it is one large entry
			flips(index, segmentDataStart, segmentDataStart+160, 1)
			flips(index, segmentDataStart+160, end-100, 331)
			flips(index, end-100, end, 1)
		} else {
			flips(index, segmentDataStart, end, 1)
		}
		flips(index, end, MinSegmentSize, 997)
	}
	for _, o := range []string{"reader harmless", "reader located", "writer harmless", "writer located"} {
		require.NotZero(t, outcomes[o], "%v", outcomes)
	}
	t.Log(outcomes)
}

// A file that was being renamed may have both names after a power cut. It must
// not be used as a spare then: it is still the segment, too, also where the file system
// does not tell how many names a file has.
func TestSpareThatIsASegment(t *testing.T) {
	for i := range uint64(6) {
		index := 1 + i/2
		m := threeSegments(t)
		m.NoLinks = i%2 == 1
		m.Link(seg(index), "/db/log/"+sparePrefix+"x")
		l := openMem(t, m)
		require.Empty(t, m.Names(sparePrefix+"x"))
		for range 5 {
			appendGroups(t, l, []int{9000})
		}
		got, err := readAll(t, l, 0)
		require.NoError(t, err)
		require.Equal(t, upTo(19), got)
		require.NoError(t, l.Close())
		openMem(t, m)
	}
}

// A writer that was killed between making a segment and proving it: opening the
// log makes up for it, so that the segment cannot go missing unnoticed.
func TestProofIsMadeUpFor(t *testing.T) {
	m := threeSegments(t)
	at := groups(t, m, 2)
	clear(m.Edit(seg(2))[at[len(at)-1].off:][:markSize])
	f, err := m.OpenWrite(seg(2))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.NoError(t, openMem(t, m).Close())
	m = m.Crash(nil, 0)
	m.Lose(seg(3))
	_, err = tryOpenMem(m)
	var damage *storage.CorruptError
	require.ErrorAs(t, err, &damage)
	require.Equal(t, seg(3), damage.Where)
}

// Once something was acknowledged in a segment, its loss is noticed, also after
// a power cut.
func TestLossOfTheNewestSegment(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{8000}, []int{8000})
	var after *disk.Disk
	m.Alone(func() { after = m.Crash(nil, 0) }) // the next segment is being prepared
	after.Lose(seg(2))
	_, err := tryOpenMem(after)
	var damage *storage.CorruptError
	require.ErrorAs(t, err, &damage)
	require.Equal(t, seg(2), damage.Where)
}

// What was closed is whole also for a reader that finds it after a power cut.
func TestCloseIsDurable(t *testing.T) {
	m := disk.New()
	l := openMem(t, m)
	appendGroups(t, l, []int{10}, []int{20, 30})
	require.NoError(t, l.Close())
	r, err := NewLogReader("/db", withFileSystem(m.Crash(nil, 0)))
	require.NoError(t, err)
	got, err := readAll(t, r, 0)
	require.NoError(t, err)
	require.Equal(t, upTo(3), got)
	require.NoError(t, r.Close())
}
