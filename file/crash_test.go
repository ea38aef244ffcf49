package file

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/storage"
)

// logProgress is what a log's client knows, at one moment.
type logProgress struct{ acked, tried, truncated storage.SeqNo }

// progress is what a workload has been told so far.
type progress struct {
	acked     atomic.Uint64 // newest position acknowledged
	tried     atomic.Uint64 // newest position handed over
	truncated atomic.Uint64 // highest truncation begun
}

// say puts what is known now into the journal, if there is one.
func (p *progress) say(m *disk.Disk) {
	m.Mark(logProgress{storage.SeqNo(p.acked.Load()), storage.SeqNo(p.tried.Load()), storage.SeqNo(p.truncated.Load())})
}

// workload appends, rotates, truncates, recycles, closes and opens. It goes on
// after errors that leave the handle usable, and stops after others.
func workload(m *disk.Disk, p *progress, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	p.say(m)
	for session := range 2 {
		if session > 0 {
			for i := range 4 { // so many that one of their removals is met in each run
				m.Leave(fmt.Sprint("/db/log/", tempPrefix, "left", i))
			}
		}
		l, err := tryOpenMem(m)
		if err != nil {
			return err
		}
		for range 16 {
			b, err := l.Bounds(ctx0)
			if err != nil {
				return errors.Join(err, l.Close())
			}
			data := make([][]byte, 1+random.IntN(3))
			for i := range data {
				data[i] = entryData(b.Last+storage.SeqNo(i)+1, random.IntN(1800))
			}
			p.tried.Store(uint64(b.Last) + uint64(len(data)))
			p.say(m)
			if _, err = l.Append(ctx0, b.Last, data); err == nil {
				p.acked.Store(p.tried.Load())
				p.say(m)
			} else if !errors.Is(err, storage.ErrNoEffect) {
				break
			}
			if random.IntN(3) == 0 {
				through := storage.SeqNo(random.Uint64N(p.acked.Load() + 1))
				p.truncated.Store(max(p.truncated.Load(), uint64(through)))
				p.say(m)
				if err := l.Truncate(ctx0, through); err != nil && !errors.Is(err, storage.ErrNoEffect) {
					break
				}
			}
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// requireRecovered opens what a crash left and checks it against what was
// promised before: at least acked, at most tried, no hole, the same again.
func requireRecovered(t *testing.T, m *disk.Disk, acked, tried, truncated storage.SeqNo, where string) {
	t.Helper()
	r, err := NewLogReader("/db", withFileSystem(m))
	require.NoError(t, err)
	rb, err := r.Bounds(t.Context())
	require.NoError(t, err, where)
	seen, err := readAll(t, r, rb.After)
	require.NoError(t, err, where)
	require.NoError(t, r.Close())

	l, err := tryOpenMem(m)
	require.NoError(t, err, where)
	b, err := l.Bounds(t.Context())
	require.NoError(t, err, where)
	require.GreaterOrEqual(t, b.Last, acked, "%s: acknowledged entries are lost", where)
	require.LessOrEqual(t, b.Last, tried, "%s: entries that nobody appended", where)
	require.LessOrEqual(t, b.After, truncated, "%s: truncated too much", where)
	require.LessOrEqual(t, rb.Last, b.Last, "%s: a reader saw more than there is", where)
	got, err := readAll(t, l, b.After)
	require.NoError(t, err, where)
	require.Equal(t, upTo(b.Last)[b.After:], append([]storage.SeqNo{}, got...), where)
	require.Equal(t, len(seen), int(rb.Last-rb.After), where)
	var cut *disk.Disk
	m.Alone(func() { cut = m.Crash(nil, 0) })
	appendGroups(t, l, []int{77, 1})
	require.NoError(t, l.Close())

	l, err = tryOpenMem(cut)
	require.NoError(t, err, where)
	again, err := l.Bounds(t.Context())
	require.NoError(t, err, where)
	require.Equal(t, b, again, "%s: after recovery and a power cut", where)
	require.NoError(t, l.Close())

	l, err = tryOpenMem(m.Crash(nil, 0))
	require.NoError(t, err, where)
	got, err = readAll(t, l, b.After)
	require.NoError(t, err, where)
	require.Equal(t, upTo(b.Last + 2)[b.After:], got, "%s: after recovery, an append and a power cut", where)
	require.NoError(t, l.Close())
}

// The power fails, or the process dies, after any operation of the workload: the
// log is as it was promised to be.
func TestCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	share := proof.Pick(20, 30, 100) // of the images, in per cent
	var images atomic.Int64
	proof.Run(t, proof.Pick(1, 2, 60), func(t *testing.T, seed uint64) {
		m := disk.New()
		j := m.Record()
		var p progress
		require.NoError(t, workload(m, &p, seed))
		m.End()
		require.Greater(t, p.acked.Load(), uint64(30), "the workload did too little")
		require.True(t, slices.ContainsFunc(j.Steps(), func(s disk.Step) bool {
			return s.Op == "rename" && strings.HasSuffix(s.Name, segmentSuffix)
		}), "the workload must truncate segments")
		byKind := map[disk.Kind]int{}
		for i := range j.Images(seed, func(rng *rand.Rand) bool { return rng.IntN(100) < share }) {
			know := i.Mark.(logProgress)
			i.OnFailure(t, func() {
				requireRecovered(t, i.Disk, know.acked, know.tried, know.truncated, string(i.Kind))
			})
			byKind[i.Kind]++
			images.Add(1)
		}
		for _, k := range disk.Kinds() {
			require.NotZero(t, byKind[k], "no image: %s", k)
		}
	})
	proof.Reached(t, 1, "crash images of a log", images.Load())
}

// Every operation fails once, or from then on, without and with a power cut
// after it.
func TestErrorAtEveryOperation(t *testing.T) {
	t.Parallel()
	injected := errors.New("injected")
	count := 0
	{
		m := disk.New()
		m.SetHook(func(string, string) error { count++; return nil })
		require.NoError(t, workload(m, &progress{}, 3))
	}
	failed := map[string]int{}
	for at := 1; at <= count; at++ {
		for _, sticky := range []bool{false, true} {
			m := disk.New()
			var p progress
			op, where := 0, ""
			var mu sync.Mutex // the hook runs in the goroutine of the spares, too
			m.SetHook(func(kind, name string) error {
				mu.Lock()
				defer mu.Unlock()
				if op++; op == at {
					where = fmt.Sprintf("operation %d, %s %s, sticky %v", op, kind, name, sticky)
					failed[kind]++
				}
				if op == at || sticky && op > at {
					return injected
				}
				return nil
			})
			_ = workload(m, &p, 3)
			m.SetHook(nil)
			acked, tried := storage.SeqNo(p.acked.Load()), storage.SeqNo(p.tried.Load())
			truncated := storage.SeqNo(p.truncated.Load())
			cut := m.Crash(rand.New(rand.NewPCG(uint64(at), 0)), 0.5)
			requireRecovered(t, m.Clone(), acked, tried, truncated, where)
			requireRecovered(t, cut, acked, tried, truncated, where+", power cut")
		}
	}
	for _, kind := range []string{
		"open", "openWrite", "create", "mkdir", "rename", "remove", "list", "syncDir", "lock", "unlock",
		"read", "write", "sync", "datasync", "truncate", "size", "tryLock", "close",
	} {
		if kind != "open" { // the writer opens nothing for reading only
			require.NotZero(t, failed[kind], "no %s failed: %v", kind, failed)
		}
	}
	t.Log(failed)
}
