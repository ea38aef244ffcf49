package source_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// encodedBytes is what MaxBatchBytes counts.
func encodedBytes(b batch) (n int) {
	for _, u := range b.Updates {
		n += len(u.Key) + len(u.Val) + 16
	}
	return n
}

// requireBounded checks that a batch has no more than its bound, or a single time.
func requireBounded(t require.TestingT, b batch, bound int) {
	for _, u := range b.Updates {
		require.True(t, encodedBytes(b) <= bound || u.Time == b.Updates[0].Time, "%s has %d bytes", b.Description, encodedBytes(b))
	}
}

// Batches are bounded in bytes: of stored history, of seals that came while the consumer was
// busy, and of what was not sealed when the source began. None misses an update.
func TestBatchesAreBoundedInBytes(t *testing.T) {
	const bound = 64 << 10
	many := func(rows, size, times int) (updates []update) {
		for i := range rows {
			updates = append(updates, update{Key: fmt.Sprintf("%05d", i*7919%rows), Val: strings.Repeat("v", size), Time: uint64(i % times), Diff: 1})
		}
		return updates
	}
	for name, tt := range map[string]struct {
		updates []update
		batches int // at least
		opts    []source.BatchOption
	}{
		"rows of 4 KiB":                     {many(400, 4<<10, 40), 25, nil},
		"times larger than the bound":       {many(40, 32<<10, 10), 10, nil},
		"rows larger than the bound":        {many(6, 256<<10, 6), 6, nil},
		"one large row among small ones":    {append(many(500, 100, 50), update{Key: "00000", Val: strings.Repeat("v", 256<<10), Time: 25, Diff: 1}), 3, nil},
		"the large row is of the last time": {append(many(500, 100, 50), update{Key: "00000", Val: strings.Repeat("v", 256<<10), Time: 59, Diff: 1}), 2, nil},
		"large keys first, of a late time":  {append(many(200, 1000, 20), update{Key: strings.Repeat("!", 70<<10), Time: 19, Diff: 1}), 3, nil},
		"an as-of":                          {many(400, 4<<10, 40), 10, []source.BatchOption{source.AsOf(frontier.At(20))}},
		"any number of updates":             {many(400, 4<<10, 40), 25, []source.BatchOption{source.MaxBatchUpdates(math.MaxInt)}},
		"few updates as well":               {many(400, 100, 40), 40, []source.BatchOption{source.MaxBatchUpdates(10)}},
	} {
		for when, write := range map[string]func(s *stream, from func()){
			"stored":   func(s *stream, from func()) { s.append(tt.updates...); s.finish(); from() },
			"unsealed": func(s *stream, from func()) { s.append(tt.updates...); from(); s.finish() },
			"live": func(s *stream, from func()) {
				from()
				s.append(tt.updates...)
				for i := range uint64(60) {
					s.seal(i + 1)
				}
				s.finish()
			},
		} {
			t.Run(name+"/"+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, stop := openStream(t.Context(), t)
					defer stop()
					var src *source.BatchSource[string, string]
					write(s, func() {
						src = source.NewBatches(s.ctx, s.read, append(tt.opts, source.MaxBatchBytes(bound))...)
						src.Out()
						synctest.Wait()
					})
					synctest.Wait()
					var lower frontier.Antichain
					n, batches := 0, 0
					for b := range all(src) {
						require.Equal(t, lower, b.Lower)
						require.True(t, b.Lower.LessThan(b.Upper))
						for _, u := range b.Updates {
							require.True(t, b.Contains(u.Time))
						}
						requireBounded(t, b, bound)
						lower = b.Upper
						n += len(b.Updates)
						batches++
						synctest.Wait()
					}
					require.NoError(t, src.Err())
					require.True(t, lower.IsEmpty())
					require.Len(t, tt.updates, n)
					require.GreaterOrEqual(t, batches, tt.batches)
				})
			})
		}
	}
}

// What a source holds follows the bound and not the history, while its consumer takes
// nothing and while it takes all.
func TestMemoryOfStoredHistory(t *testing.T) {
	const rows, size, bound = 1000, 16 << 10, 256 << 10 // 16 MiB in all
	synctest.Test(t, func(t *testing.T) {
		s, stop := openStream(t.Context(), t)
		defer stop()
		for i := range uint64(rows) {
			s.append(update{Key: fmt.Sprintf("%05d", i*7919%rows), Val: strings.Repeat("v", size), Time: i, Diff: 1})
		}
		s.finish()
		inUse := func() int64 {
			synctest.Wait()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := inUse()
		src := source.NewBatches(s.ctx, s.read, source.MaxBatchBytes(bound))
		most, batches := int64(0), 0
		out := src.Out()
		for {
			most = max(most, inUse()-before)
			if _, open := <-out; !open {
				break
			}
			batches++
		}
		require.NoError(t, src.Err())
		require.GreaterOrEqual(t, batches, rows*size/bound)
		require.Less(t, most, int64(4*bound+bound), "bytes in use")
	})
}

// A backlog much larger than a command goes through a pipeline with the sink's defaults.
func TestBacklogLargerThanACommand(t *testing.T) {
	const rows, size, times = 2000, 4 << 10, 200
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{MaxTailBytes: 1 << 20})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Stop()) }()
	in, read, err := persist.CreateOrLoad(ctx, client, "in", codec.String, codec.String)
	require.NoError(t, err)
	write, out, err := persist.CreateOrLoad(ctx, client, "out", codec.String, codec.String)
	require.NoError(t, err)
	for i := range times {
		var updates []update
		for k := range rows / times {
			updates = append(updates, update{Key: fmt.Sprintf("%d", k*times+i), Val: strings.Repeat("v", size), Time: uint64(i), Diff: 1})
		}
		_, err := in.Write(ctx, updates).Wait(ctx)
		require.NoError(t, err)
	}
	_, err = in.Finish(ctx).Wait(ctx)
	require.NoError(t, err)

	src := source.NewBatches(ctx, read, source.MaxBatchBytes(256<<10))
	to := sink.New(ctx, write)
	src.To(to)
	require.NoError(t, src.Err())
	require.NoError(t, to.Err())
	snapshot, err := out.Snapshot(ctx)
	require.NoError(t, err)
	defer snapshot.Close()
	require.True(t, snapshot.Upper().IsEmpty())
	n := 0
	for u, err := range snapshot.All(ctx) {
		require.NoError(t, err)
		require.Equal(t, int64(1), u.Diff)
		n++
	}
	require.Equal(t, rows, n)
}

// Stored history that compaction has made one time is larger than a command, so that it is
// written in parts. Lives of the pipeline are killed among them, while they take back what the
// life before has left, and behind the last part. In the end every row is there once.
func TestCompactedBacklogKilledInParts(t *testing.T) {
	const rows, size, since, upper = 2000, 4 << 10, 199, 210
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	reg := mem.NewRegistry()
	var unreliable *mem.Unreliable
	open := func() (s *stream, out *stream) {
		unreliable = mem.NewUnreliable()
		client, err := reg.RuntimeUnreliable(ctx, unreliable, persist.Config{MaxTailBytes: 2 << 20})
		require.NoError(t, err)
		for _, name := range []string{"in", "out"} {
			write, read, err := persist.CreateOrLoad(ctx, client, name, codec.String, codec.String)
			require.NoError(t, err)
			s, out = out, &stream{ctx, t, client, write, read}
		}
		return s, out
	}
	in, _ := open()
	key, val := func(i int) string { return fmt.Sprintf("%04d", i) }, strings.Repeat("v", size)
	for i := 0; i < rows; i += rows / upper {
		var updates []update
		for k := i; k < min(rows, i+rows/upper); k++ {
			updates = append(updates, update{Key: key(k), Val: val, Time: uint64(k * upper / rows), Diff: 1})
		}
		in.append(updates...)
	}
	_, err := in.write.AllowCompaction(ctx, frontier.At(since)).Wait(ctx)
	require.NoError(t, err)
	in.seal(upper)
	require.NoError(t, in.client.Maintain(ctx))
	require.NoError(t, in.client.Stop())

	killedIn := map[uint64]int{} // by the state of the parts, see docs/parts.md
	for _, kill := range []int{3, 24, 6, 60, 0} {
		in, out := open()
		d, err := out.client.Description(ctx, "out")
		require.NoError(t, err)
		if parts, err := out.client.Description(ctx, "tidemark/parts/out"); err == nil {
			gen, _ := parts.Upper.Elem()
			killedIn[gen%4]++
		}
		if kill > 0 {
			unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: kill, Outcome: mem.AnswerLost})
		}
		reading, stop := context.WithCancel(ctx)
		src := source.NewBatches(reading, in.read, source.AsOf(frontier.At(since)), source.From(d.Upper))
		to := sink.New(ctx, out.write)
		ended := make(chan struct{})
		go func() { src.To(to); close(ended) }()
		err = to.Probe().Wait(ctx, upper)
		stop()
		<-ended
		if kill > 0 {
			require.ErrorIs(t, err, persist.ErrOutcomeUnknown)
			_ = in.client.Stop()
			continue
		}
		require.NoError(t, to.Err())
		snapshot, err := out.read.Snapshot(ctx)
		require.NoError(t, err)
		n := 0
		for u, err := range snapshot.Consolidated(ctx) {
			require.NoError(t, err)
			want := update{Key: key(n), Val: val, Time: max(since, uint64(n*upper/rows)), Diff: 1}
			require.Equal(t, want, u, "row %d", n)
			n++
		}
		require.Equal(t, rows, n)
		require.NoError(t, snapshot.Close())
		require.NoError(t, in.client.Stop())
	}
	require.Equal(t, map[uint64]int{1: 2, 2: 1, 3: 1}, killedIn, "two kills among open parts, one among sealed ones, one while they are taken back")
}
