package persist_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// bounded are the limits of the tests of memory.
var bounded = persist.Config{
	MinStepInterval: time.Millisecond, FlushInterval: -1,
	MaxTailBytes: 512 << 10, ListenerWindowBytes: 128 << 10, CacheSizeLimit: 128 << 10,
	FlushBytes: 128 << 10, PartBytes: 32 << 10, MaxLogBytes: 512 << 10, MaxGroupBytes: 32 << 10,
}

// limits is what Config bounds.
const limits = 512<<10 + 128<<10 + 128<<10

// underWay is what a flush, a merge, an append and a read that are under way hold
// beside that: parts and groups, which Config bounds as well, and the buffers of the
// Parquet library, which depend on the size of a part and not on how many there are.
const underWay = 5 << 20

// known is what is known in memory of the parts of all batches: some 150 bytes of each,
// and twice as many parts as there are, since a merge that is under way makes them anew.
func known(written int64) int64 { return 2 * 150 * written / int64(bounded.PartBytes) }

// sampled is a place on disk whose storage takes a sample of the heap now and then,
// in the middle of flushes, merges, reads and recovery.
type sampled struct {
	dir   string
	peak  *resources.Peak
	every int64 // operations between two samples

	gate sync.Mutex // held while a sample is taken, so that others stop where they are
	ops  int64      // guarded by gate
}

// step begins every operation. What is allocated while a collection runs counts as live,
// and the busier the machine, the more that is: so there is one more collection, in which
// the others come to the gate, before the one that counts.
func (p *sampled) step(t testing.TB) {
	p.gate.Lock()
	defer p.gate.Unlock()
	if p.ops++; p.ops%p.every == 0 {
		runtime.GC()
		p.peak.Sample(t)
	}
}

func (p *sampled) open(t testing.TB) *persist.Client {
	log, err := file.NewLog(p.dir, file.SegmentSize(64<<10, 256<<10))
	require.NoError(t, err)
	blob, err := file.NewBlob(p.dir)
	require.NoError(t, err)
	c, err := persist.Start(t.Context(), sampledLog{log, p, t}, sampledBlob{blob, p, t}, bounded)
	require.NoError(t, err)
	return c
}

type sampledLog struct {
	*file.Log
	p *sampled
	t testing.TB
}

func (l sampledLog) Append(ctx context.Context, expected storage.SeqNo, entries [][]byte) ([]storage.SeqNo, error) {
	l.p.step(l.t)
	return l.Log.Append(ctx, expected, entries)
}

func (l sampledLog) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	return func(yield func(storage.Entry, error) bool) {
		for entry, err := range l.Log.Read(ctx, after) {
			l.p.step(l.t)
			if !yield(entry, err) {
				return
			}
		}
	}
}

type sampledBlob struct {
	*file.Blob
	p *sampled
	t testing.TB
}

func (b sampledBlob) Set(ctx context.Context, key string, value []byte) (storage.Version, error) {
	b.p.step(b.t)
	return b.Blob.Set(ctx, key, value)
}

func (b sampledBlob) Get(ctx context.Context, key string) ([]byte, storage.Version, error) {
	b.p.step(b.t)
	return b.Blob.Get(ctx, key)
}

func (b sampledBlob) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	b.p.step(b.t)
	return b.Blob.GetRange(ctx, key, offset, length)
}

// TestMemoryIsBounded writes many times what may be in memory, with a listener that
// sleeps, and then listens, reads in order while merges have not caught up, merges, and
// opens all of it again. At no step is more in memory than the limits, what is under way,
// and what is known of the parts.
func TestMemoryIsBounded(t *testing.T) {
	if proof.Current() == proof.Smoke {
		t.Skip("more than the bound has to be written, which takes long: it runs from tier A on, TIDEMARK_TIER=A")
	}
	const perWrite, valueBytes = 200, 100
	// Twenty times the limits of Config, and in the longest form forty times all there
	// may be: more than merges have come to when it is read in order.
	data := int64(proof.Pick(0, 20*limits, 40*(limits+underWay)))
	p := &sampled{dir: t.TempDir(), peak: resources.Watch(t), every: int64(proof.Pick(0, 20, 200))}
	c := p.open(t)
	w, r := create(t, c, "s")
	s, l, err := r.Listen(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())

	value := strings.Repeat("v", valueBytes)
	var written int64
	var writes uint64
	for ; written < data; writes++ {
		updates := make([]update, perWrite)
		for n := range updates {
			updates[n] = up(fmt.Sprintf("%09d", writes*perWrite+uint64(n)), value, writes, 1)
			written += int64(len(updates[n].Key)+len(updates[n].Val)) + 16
		}
		must(t, w.Write(t.Context(), updates))
		must(t, w.Seal(t.Context(), writes+1))
	}
	total := writes * perWrite

	heard := uint64(0)
	for heard < total { // from the log
		heard += uint64(len(next(t, l).Updates))
	}
	require.NoError(t, l.Close())
	requireAll := func(r *reader) {
		s, err := r.Snapshot(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		n := uint64(0)
		for u, err := range s.Consolidated(t.Context()) {
			require.NoError(t, err)
			require.Equal(t, n/perWrite, u.Time)
			n++
		}
		require.Equal(t, total, n)
	}
	requireAll(r)
	must(t, w.AllowCompaction(t.Context(), frontier.At(writes-1)))
	require.NoError(t, c.Maintain(t.Context()))
	require.NoError(t, c.Stop())

	c = p.open(t)
	defer func() { require.NoError(t, c.Stop()) }()
	_, r = create(t, c, "s")
	snapshot, err := r.Snapshot(t.Context())
	require.NoError(t, err)
	n := uint64(0)
	for u, err := range snapshot.AsOf(t.Context(), writes-1) {
		require.NoError(t, err)
		require.EqualValues(t, 1, u.Diff)
		n++
	}
	require.NoError(t, snapshot.Close())
	require.Equal(t, total, n)

	most, samples := p.peak.Heap()
	t.Logf("%d bytes written, %d in use at most, limits of %d, %d and %d, %d samples", written, most, limits, underWay, known(written), samples)
	require.Less(t, most, limits+underWay+known(written))
	require.Greater(t, written, int64(limits+underWay), "or it shows nothing")
	require.Greater(t, samples, 50, "or it shows nothing")
	proof.Reached(t, 19, "bytes written with a limit of 5.75 MiB", written)
	proof.Reached(t, 19, "bytes of heap at most", most)
}

// TestManyStreams: what a stream costs in memory when its data is in batches, and
// after a restart, is bounded and does not depend on the data.
func TestManyStreams(t *testing.T) {
	const perStream = 8 << 10
	streams := proof.Pick(100, 1_000, 10_000)
	cfg := onDemand()
	p := kinds[1].make(t)
	peak := resources.Watch(t)
	c, err := p.open(t.Context(), cfg)
	require.NoError(t, err)
	payload := strings.Repeat("v", 1<<10)
	for i := range streams {
		w, _, err := persist.CreateOrLoad(t.Context(), c, fmt.Sprint(i), codec.String, codec.String)
		require.NoError(t, err)
		w.Write(t.Context(), []update{up("k", payload, 0, 1)})
		must(t, w.Seal(t.Context(), 1))
	}
	require.NoError(t, c.Maintain(t.Context()))
	used := peak.Sample(t)
	t.Logf("%d bytes a stream", used/int64(streams))
	// One cached part a stream is in it, up to the default limit of the cache.
	require.Less(t, used, int64(streams)*perStream+2<<20)
	require.NoError(t, c.Stop())

	c = start(t, p, cfg)
	used = peak.Sample(t)
	t.Logf("%d bytes a stream, opened again", used/int64(streams))
	require.Less(t, used, int64(streams)*perStream/2+2<<20)
	infos, err := c.Streams(t.Context())
	require.NoError(t, err)
	require.Len(t, infos, streams)
	proof.Reached(t, 19, "streams", streams)
}

// One command over very many streams is for each of them as one of its own is, and has one
// position.
func TestCommandOverManyStreams(t *testing.T) {
	const streams = 20_000
	p := kinds[0].make(t)
	c, err := p.open(t.Context(), onDemand())
	require.NoError(t, err)
	writers := make([]*writer, streams)
	members := make([]persist.Stream, streams)
	for i := range writers {
		writers[i], _ = create(t, c, fmt.Sprint(i))
		members[i] = writers[i]
	}
	multi, err := persist.NewMultiWriteHandle(members...)
	require.NoError(t, err)
	check := func(since, upper func(i int) uint64) {
		t.Helper()
		infos, err := c.Streams(t.Context())
		require.NoError(t, err)
		require.Len(t, infos, streams)
		for i, info := range infos {
			require.Equal(t, fmt.Sprint(i), info.Name)
			require.Equal(t, frontier.At(since(i)), info.Since, i)
			require.Equal(t, frontier.At(upper(i)), info.Upper, i)
		}
	}
	first := must(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
		for i, w := range writers {
			at := uint64(i)
			if err := errors.Join(
				persist.AddAllowCompaction(b, w, frontier.At(0)),
				persist.AddSeal(b, w, at+1),
				persist.AddWrite(b, w, []update{up("k", "v", at, 1)}),
				persist.AddSeal(b, w, at+2), // the later of two counts
				persist.AddAllowCompaction(b, w, frontier.At(at)),
			); err != nil {
				return err
			}
		}
		return nil
	}))
	own := func(i int) uint64 { return uint64(i) }
	check(own, func(i int) uint64 { return own(i) + 2 })
	second := must(t, multi.SealAll(t.Context(), streams+2))
	require.Equal(t, second, must(t, multi.SealAll(t.Context(), streams+2)), "it changes nothing")
	require.Greater(t, second, first)
	check(own, func(int) uint64 { return streams + 2 })
	require.NoError(t, c.Stop())

	c = start(t, p, onDemand())
	check(own, func(int) uint64 { return streams + 2 })
	for i := 0; i < streams; i += 1999 {
		_, r := create(t, c, fmt.Sprint(i))
		require.Equal(t, []update{up("k", "v", own(i), 1)}, contents(t, r))
	}
}
