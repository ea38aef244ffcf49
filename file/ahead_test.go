package file

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/storage"
)

const largeEntry = 280 << 10

// largeLog is a log in memory of n groups with one large entry each; seven fill a
// segment.
func largeLog(t testing.TB, n int) *Log {
	t.Helper()
	l := openMem(t, disk.New(), SegmentSize(2<<20, 2<<20))
	appendGroups(t, l, slices.Repeat([][]int{{largeEntry}}, n)...)
	return l
}

// beforeAhead is how many groups of largeLog are read before any is read ahead.
const beforeAhead = aheadAfter/largeEntry - 1

// largeAt is the position of the group of largeLog whose payload was read, or false
// if that was something else.
func largeAt(s *segment, p []byte, off int64) (storage.SeqNo, bool) {
	return s.first + storage.SeqNo((off-segmentDataStart)/frameSize(entryHeaderSize+largeEntry)), len(p) > largeEntry/2
}

// readPayloads counts, by position, the reads of payloads of largeLog.
type readPayloads struct {
	mu    sync.Mutex
	count map[storage.SeqNo]int // guarded by mu
}

func countPayloads(l *Log) *readPayloads {
	c := &readPayloads{count: map[storage.SeqNo]int{}}
	watch(l, func(s *segment, p []byte, off int64) {
		if at, ok := largeAt(s, p, off); ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.count[at]++
		}
	})
	return c
}

// highest returns the newest position whose payload was read.
func (c *readPayloads) highest() (pos storage.SeqNo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.count {
		pos = max(pos, p)
	}
	return pos
}

// TestReadsAhead: a long reading reads the next groups while its consumer has
// one, some and no more, none behind the end; a short one reads what it yields.
// Each is read once.
func TestReadsAhead(t *testing.T) {
	const groups = 40
	synctest.Test(t, func(t *testing.T) {
		l := largeLog(t, groups)
		read := countPayloads(l)
		for e, err := range l.Read(t.Context(), 0) {
			require.NoError(t, err)
			require.Equal(t, entryData(e.SeqNo, largeEntry), e.Data)
			if e.SeqNo == groups-2 {
				_, err := l.Append(t.Context(), groups, [][]byte{make([]byte, largeEntry)}) // not for this reading
				require.NoError(t, err)
			}
			synctest.Wait() // until what is read ahead is there
			ahead := storage.SeqNo(min(maxAhead, runtime.GOMAXPROCS(0)))
			if e.SeqNo <= beforeAhead {
				ahead = 0
			}
			// The segments to come are left alone.
			inSegment := e.SeqNo + (7-e.SeqNo%7)%7
			require.Equal(t, min(e.SeqNo+ahead, inSegment, groups), read.highest(), "at position %s", e.SeqNo)
		}
		for pos := storage.SeqNo(1); pos <= groups; pos++ {
			require.Equal(t, 1, read.count[pos], "reads of position %s", pos)
		}
		require.NoError(t, l.Close())
	})
}

// TestReadAheadIsBounded: of groups that are large together fewer are read ahead.
func TestReadAheadIsBounded(t *testing.T) {
	const size = aheadBytes/2 + 1
	l, err := NewLog(t.TempDir(), SegmentSize(4*size, 4*size))
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for last := range storage.SeqNo(3) {
		_, err := l.Append(t.Context(), last, [][]byte{make([]byte, size)})
		require.NoError(t, err)
	}
	s := l.mu.segs[0]
	r := newReading([]*segment{s}, cursor{}, 0, 3)
	r.ahead.reads = l.reads
	defer func() { require.NoError(t, r.release()) }()
	w := newWindow(s)
	h, ok, err := w.header(r.at)
	require.True(t, ok && err == nil)
	r.ahead.start(t.Context(), s, r.at, h, r.last)
	require.Len(t, r.ahead.groups, 1)
	r.ahead.wait(t.Context())
	require.Zero(t, r.ahead.bytes)
}

// TestReadAheadEndsWithTheReading: whoever stops reading leaves no goroutine
// behind that still has the file.
func TestReadAheadEndsWithTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := largeLog(t, 25)
		const stop = storage.SeqNo(beforeAhead + 2) // the first of a segment
		hold, read := make(chan struct{}), make(chan struct{})
		watch(l, func(s *segment, p []byte, off int64) {
			if at, ok := largeAt(s, p, off); ok && at > stop {
				<-hold
			}
		})
		go func() {
			defer close(read)
			for e, err := range l.Read(t.Context(), 0) {
				if err != nil || e.SeqNo == stop {
					break
				}
			}
		}()
		synctest.Wait()
		select {
		case <-read:
			t.Error("the reading has ended before what it had begun")
		default:
		}
		close(hold)
		<-read
		require.NoError(t, l.Close())
	})
}

// TestReadAheadFindsDamage: what is wrong with a group that was read ahead is
// reported at its place, after everything before it; what reads well the second
// time is no damage.
func TestReadAheadFindsDamage(t *testing.T) {
	const damaged = beforeAhead + 3
	for _, lasting := range []bool{true, false} {
		l := largeLog(t, 25)
		var mu sync.Mutex
		seen := false // guarded by mu
		watch(l, func(s *segment, p []byte, off int64) {
			mu.Lock()
			defer mu.Unlock()
			if at, ok := largeAt(s, p, off); ok && at == damaged && (lasting || !seen) {
				p[len(p)/2] ^= 1
				seen = true
			}
		})
		positions, err := readAll(t, l, 0)
		require.True(t, seen)
		if !lasting {
			require.NoError(t, err)
			require.Len(t, positions, 25)
			continue
		}
		require.Len(t, positions, damaged-1)
		var corrupt *storage.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.Contains(t, err.Error(), "payload checksum does not match, but the log goes on to 25")
	}
}

// A segment that was exchanged for one of a copy of the log, which went on in it, has a
// group where the next segment begins. Readers do not walk old segments, and go on with
// the next one.
func TestNothingAheadOfTheNextSegment(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	const size = 300 << 10
	dir, fork := t.TempDir(), t.TempDir()
	write := func(dir string, after int, payloads ...[]byte) {
		l, err := NewLog(dir, SegmentSize(8<<20, 8<<20))
		require.NoError(t, err)
		for i, p := range payloads {
			_, err := l.Append(t.Context(), storage.SeqNo(after+i), [][]byte{p})
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
	}
	write(dir, 0, slices.Repeat([][]byte{bytes.Repeat([]byte("a"), size)}, 20)...)
	require.NoError(t, os.CopyFS(fork, os.DirFS(dir)))
	write(fork, 20, bytes.Repeat([]byte("x"), size))
	write(dir, 20, bytes.Repeat([]byte("b"), 10*size), bytes.Repeat([]byte("c"), size))
	first, err := os.ReadFile(filepath.Join(fork, logDir, segmentName(1)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, logDir, segmentName(1)), first, 0o600))

	r, err := NewLogReader(dir)
	require.NoError(t, err)
	defer r.Close()
	var read []byte
	for e, err := range r.Read(t.Context(), 0) {
		require.NoError(t, err)
		read = append(read, e.Data[0])
	}
	require.Equal(t, "aaaaaaaaaaaaaaaaaaaabc", string(read))
}
