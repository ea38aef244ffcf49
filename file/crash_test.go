package file

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/storage"
)

// progress is what a workload has been told so far.
type progress struct {
	acked     atomic.Uint64 // newest position acknowledged
	tried     atomic.Uint64 // newest position handed over
	truncated atomic.Uint64 // highest truncation begun
}

// workload appends, rotates, truncates, recycles, closes and opens. It goes on
// after errors that leave the handle usable, and stops after others.
func workload(m *memFS, p *progress, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	ctx := noContext{}
	for session := range 2 {
		if session > 0 {
			m.leave("/db/log/" + tempPrefix + "left")
		}
		l, err := tryOpenMem(m)
		if err != nil {
			return err
		}
		for range 16 {
			b, err := l.Bounds(ctx)
			if err != nil {
				return errors.Join(err, l.Close())
			}
			data := make([][]byte, 1+random.IntN(3))
			for i := range data {
				data[i] = entryData(b.Last+storage.SeqNo(i)+1, random.IntN(1800))
			}
			p.tried.Store(uint64(b.Last) + uint64(len(data)))
			if _, err = l.Append(ctx, b.Last, data); err == nil {
				p.acked.Store(p.tried.Load())
			} else if !errors.Is(err, storage.ErrNoEffect) {
				break
			}
			if random.IntN(3) == 0 {
				through := storage.SeqNo(random.Uint64N(p.acked.Load() + 1))
				p.truncated.Store(max(p.truncated.Load(), uint64(through)))
				if err := l.Truncate(ctx, through); err != nil && !errors.Is(err, storage.ErrNoEffect) {
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
func requireRecovered(t *testing.T, m *memFS, acked, tried, truncated storage.SeqNo, where string) {
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
	appendGroups(t, l, []int{77, 1})
	require.NoError(t, l.Close())

	l, err = tryOpenMem(m.crash(nil, 0))
	require.NoError(t, err, where)
	got, err = readAll(t, l, b.After)
	require.NoError(t, err, where)
	require.Equal(t, upTo(b.Last + 2)[b.After:], got, "%s: after recovery, an append and a power cut", where)
	require.NoError(t, l.Close())
}

// The power fails, or the process dies, before any operation of the workload.
func TestCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1) {
		m := newMemFS()
		var p progress
		type image struct {
			m                       *memFS
			acked, tried, truncated storage.SeqNo
			where                   string
		}
		var images []image
		random := rand.New(rand.NewPCG(seed, 2))
		op, truncated := 0, 0
		m.setHook(func(kind, name string) error {
			op++
			switch kind {
			case "tryLock":
				truncated++
				return nil
			case "open", "read", "size", "list", "stat":
				return nil // these change nothing
			}
			take := func(how string, c *memFS) {
				images = append(images, image{
					c, storage.SeqNo(p.acked.Load()), storage.SeqNo(p.tried.Load()), storage.SeqNo(p.truncated.Load()),
					fmt.Sprintf("seed %d, before operation %d, %s %s, %s", seed, op, kind, name, how),
				})
			}
			take("killed", m.clone())
			take("power cut, all written", m.crash(random, 1))
			take("power cut, nothing written", m.crash(random, 0))
			take("power cut, half written", m.crash(random, 0.5))
			take("power cut, most written", m.crash(random, 0.9))
			return nil
		})
		require.NoError(t, workload(m, &p, seed))
		m.setHook(nil)
		require.Greater(t, p.acked.Load(), uint64(30), "the workload did too little")
		require.NotZero(t, truncated, "the workload must truncate segments")
		for _, i := range images {
			requireRecovered(t, i.m, i.acked, i.tried, i.truncated, i.where)
		}
		t.Logf("seed %d: %d images", seed, len(images))
	}
}

// Every operation fails once, or from then on, without and with a power cut
// after it.
func TestErrorAtEveryOperation(t *testing.T) {
	t.Parallel()
	injected := errors.New("injected")
	count := 0
	{
		m := newMemFS()
		m.hook = func(string, string) error { count++; return nil }
		require.NoError(t, workload(m, &progress{}, 3))
	}
	failed := map[string]int{}
	for at := 1; at <= count; at++ {
		for _, sticky := range []bool{false, true} {
			m := newMemFS()
			var p progress
			op, where := 0, ""
			var mu sync.Mutex // the hook runs in the goroutine of the spares, too
			m.setHook(func(kind, name string) error {
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
			m.setHook(nil)
			acked, tried := storage.SeqNo(p.acked.Load()), storage.SeqNo(p.tried.Load())
			truncated := storage.SeqNo(p.truncated.Load())
			cut := m.crash(rand.New(rand.NewPCG(uint64(at), 0)), 0.5)
			requireRecovered(t, m.clone(), acked, tried, truncated, where)
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
