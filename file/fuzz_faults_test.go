package file

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/internal/program"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// lay puts a file there, durably, in a directory that is made if it is missing.
func lay(t testing.TB, m *disk.Disk, name string, data []byte) {
	t.Helper()
	dir := filepath.Dir(name)
	if !m.Has(dir) {
		c, err := newConfig([]Option{withFileSystem(m)})
		require.NoError(t, err)
		require.NoError(t, c.makeDir(dir, nil))
	}
	f, err := m.Create(name)
	require.NoError(t, err)
	_, err = f.WriteAt(data, 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.NoError(t, m.FlushDir(dir))
}

// countdown fails the operations of a file system from the nth on, or that one alone.
type countdown struct {
	mu     sync.Mutex // the spares have a goroutine of their own
	nth    int
	sticky bool
	at     func() // called when the nth is met, before it fails
	met    int
}

func (c *countdown) hook(op, _ string) error {
	if op == "links" {
		return nil // the system has that in memory, whatever the disk does
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.met++
	if c.met == c.nth && c.at != nil {
		c.at()
	}
	if c.met == c.nth || c.sticky && c.met > c.nth {
		return syscall.EIO
	}
	return nil
}

func (c *countdown) struck() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.met >= c.nth
}

// failingStore is an empty location for a program, on a file system that fails at the
// nth operation. What there is when that was repaired depends on how:
//
//	1  every operation after it fails too; else that one alone
//	2  the power was cut in that moment, so 1 goes without saying; else the process went on
//	4  and of what was not flushed then, nothing is left; else some of it
//
// Without 2 a program that ends with a power cut follows from 4.
func failingStore(nth int, how byte) program.Place {
	m := disk.New()
	keep := 0.5
	if how&4 != 0 {
		keep = 0
	}
	random := rand.New(rand.NewPCG(uint64(nth), uint64(how)))
	c := &countdown{nth: nth, sticky: how&3 != 0}
	var image *disk.Disk // what the power cut has left
	if how&2 != 0 {
		c.at = func() { image = m.Crash(random, keep) } // the file system is locked
	}
	m.SetHook(c.hook)
	small := SegmentSize(MinSegmentSize, MinSegmentSize)
	return program.Place{
		Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
			return Open(ctx, "/db", cfg, withFileSystem(m), small)
		},
		OpenRead: func(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
			return OpenRead(ctx, "/db", cfg, withFileSystem(m), small)
		},
		Struck: c.struck,
		Repair: func() {
			m.SetHook(nil)
			switch {
			case image != nil:
				m = image
			case how&4 != 0:
				m = m.Crash(random, keep)
			}
		},
	}
}

// FuzzStoreFaults runs a byte string as a program on a location whose file system fails
// at some operation, with and without a power cut. Afterwards nothing is lost that was
// acknowledged, nothing is there twice, and nothing that was refused.
func FuzzStoreFaults(f *testing.F) {
	for i, code := range program.Examples() {
		for how := range byte(8) {
			f.Add(uint16(20+61*i+13*int(how)), how, code)
		}
	}
	f.Fuzz(func(t *testing.T, nth uint16, how byte, code []byte) {
		program.Run(t, failingStore(1+int(nth)%2000, how), code)
	})
}

// The same with random programs, enough of which meet a fault that matters.
func TestRandomProgramsOnFailingDisk(t *testing.T) {
	n := proof.Pick(50, 1_000, 20_000)
	total := program.RunRandom(t, n, func(random *rand.Rand) program.Place {
		return failingStore(1+random.IntN(1000), byte(random.Uint32()))
	}, func(total program.Report) {
		require.Greater(t, total.Accepted, 5*n, "%+v", total)
		require.Greater(t, total.Unknown, n/50, "%+v", total)
		require.Greater(t, total.Failed, n/4, "%+v", total)
		require.Greater(t, total.Checked, 10*n, "%+v", total)
	})
	proof.Reached(t, 17, "random programs on a failing disk", total.Programs)
}

// FuzzRecoveryFaults opens a log of any bytes while the file system fails at some
// operation. An error of the disk is not taken for the end of the log: when the disk is
// well again, opening finds what it would have found at once, also after a power cut.
func FuzzRecoveryFaults(f *testing.F) {
	two := groupsInSegment(f, []int{3, 0, 9}, []int{40})
	for _, frames := range [][]byte{{}, groupsInSegment(f, []int{1}), two, two[:len(two)-markSize], two[:len(two)-markSize-7]} {
		for nth := range byte(40) { // every operation of an opening
			f.Add(nth, nth>>3&2, frames, true)
			f.Add(nth, byte(3), frames, true)
		}
	}
	f.Fuzz(func(t *testing.T, nth, how byte, frames []byte, sign bool) {
		data := make([]byte, MinSegmentSize)
		copy(data, segmentHeader{salt: fuzzSalt, index: 1, first: 1, size: MinSegmentSize}.encode())
		copy(data[segmentDataStart:], frames)
		if sign {
			signAll(data)
		}
		m := disk.New()
		require.NoError(t, m.Mkdir("/db"))
		require.NoError(t, m.FlushDir("/"))
		lay(t, m, seg(1), data)
		want, wantErr := recovered(t, m.Clone())
		requireDamage(t, wantErr)

		c := &countdown{nth: 1 + int(nth), sticky: how&1 != 0}
		m.SetHook(c.hook)
		l, err := tryOpenMem(m)
		if err == nil {
			got, readErr := positions(t, l)
			if readErr == nil {
				require.True(t, slices.Equal(want, got), "want %v, got %v", want, got)
			}
			_ = l.Close() // may meet the fault
		} else if !errors.Is(err, syscall.EIO) {
			require.Error(t, wantErr, "a fault of the disk was taken for damage: %v", err)
			requireDamage(t, err)
		}
		r, err := NewLogReader("/db", withFileSystem(m))
		require.NoError(t, err)
		if seen, err := positions(t, r); err == nil && wantErr == nil {
			require.LessOrEqual(t, len(seen), len(want))
			require.True(t, slices.Equal(want[:len(seen)], seen), "want the beginning of %v, a reader saw %v", want, seen)
		}
		_ = r.Close()
		m.SetHook(nil)
		if how&2 != 0 {
			m = m.Crash(rand.New(rand.NewPCG(uint64(nth), uint64(how))), 0.5)
		} else {
			m = m.Clone() // locks that an unlock has not let go end with the process
		}
		got, err := recovered(t, m)
		if wantErr != nil {
			require.Error(t, err, "damage was taken for something else")
			requireDamage(t, err)
			return
		}
		require.NoError(t, err)
		require.True(t, slices.Equal(want, got), "want %v, got %v", want, got)
	})
}

// groupsInSegment returns the frames of the first segment of a log with groups of the
// given sizes of entries.
func groupsInSegment(t testing.TB, groups ...[]int) []byte {
	m := disk.New()
	l := openMem(t, m)
	require.NoError(t, l.opening.settle(t.Context()))
	l.mu.segs[0].salt = fuzzSalt
	appendGroups(t, l, groups...)
	require.NoError(t, l.Close())
	frames := m.Edit(seg(1))[segmentDataStart:]
	for len(frames) > 0 && frames[len(frames)-1] == 0 {
		frames = frames[:len(frames)-1]
	}
	return frames
}

// recovered opens a log for writing, and returns the positions in it.
func recovered(t *testing.T, m *disk.Disk) ([]storage.SeqNo, error) {
	l, err := tryOpenMem(m)
	if err != nil {
		return nil, err
	}
	all, err := positions(t, l)
	require.NoError(t, err, "opening has checked everything")
	require.NoError(t, l.Close())
	return all, nil
}
