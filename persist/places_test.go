package persist_test

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// place is where runtimes are opened, one after the other.
type place interface {
	open(ctx context.Context, cfg persist.Config) (*persist.Client, error)
	openRead(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error)
}

// kinds are the kinds of places that a test runs on.
var kinds = []struct {
	name string
	make func(t testing.TB) place
}{
	{"mem", func(testing.TB) place { return memPlace{mem.NewRegistry(mem.WithGaps(1))} }},
	{"file", func(t testing.TB) place { return filePlace(t.TempDir()) }},
}

// onPlaces runs a test on a new place of each kind.
func onPlaces(t *testing.T, test func(t *testing.T, p place)) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.make(t)) })
	}
}

type memPlace struct{ registry *mem.Registry }

func (p memPlace) open(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
	return p.registry.Runtime(ctx, cfg)
}

func (p memPlace) openRead(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
	return p.registry.ReadRuntime(ctx, cfg)
}

type filePlace string

func (dir filePlace) open(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
	return file.Open(ctx, string(dir), cfg)
}

func (dir filePlace) openRead(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error) {
	return file.OpenRead(ctx, string(dir), cfg)
}

// tiny are limits that a few updates reach, so that every kind of background work
// happens all the time, and at once.
func tiny() persist.Config {
	return persist.Config{
		MinStepInterval: time.Millisecond, FlushInterval: time.Millisecond,
		FlushBytes: 1 << 10, PartBytes: 256, MaxLogBytes: 4 << 10,
		CacheSizeLimit: 16 << 10, ListenerWindowBytes: 2 << 10,
	}
}

// onDemand is a config without background work of its own accord: what
// Client.Maintain does is all that happens.
func onDemand() persist.Config {
	return persist.Config{MinStepInterval: time.Hour, FlushInterval: -1, PartBytes: 256}
}

type (
	update  = persist.Update[string, string]
	writer  = persist.WriteHandle[string, string]
	reader  = persist.ReadHandle[string, string]
	event   = persist.ListenEvent[string, string]
	listens = persist.Listener[string, string]
	snap    = persist.Snapshot[string, string]
)

func up(key, val string, time uint64, diff int64) update {
	return update{Key: key, Val: val, Time: time, Diff: diff}
}

// start opens a runtime, which is stopped when the test ends.
func start(t testing.TB, p place, cfg persist.Config) *persist.Client {
	c, err := p.open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}

func startRead(t testing.TB, p place, cfg persist.Config) *persist.ReadClient {
	c, err := p.openRead(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}

func create(t testing.TB, c *persist.Client, name string) (*writer, *reader) {
	w, r, err := persist.CreateOrLoad(t.Context(), c, name, codec.String, codec.String)
	require.NoError(t, err)
	return w, r
}

func load(t testing.TB, c *persist.ReadClient, name string) *reader {
	r, err := persist.Load(t.Context(), c, name, codec.String, codec.String)
	require.NoError(t, err)
	return r
}

// must waits for a command that is to succeed.
func must(t testing.TB, f *persist.Future[storage.SeqNo]) storage.SeqNo {
	t.Helper()
	seqno, err := f.Wait(t.Context())
	require.NoError(t, err)
	return seqno
}

// refused waits for a command that is to fail and returns its error.
func refused(t testing.TB, f *persist.Future[storage.SeqNo]) error {
	t.Helper()
	_, err := f.Wait(t.Context())
	require.Error(t, err)
	return err
}

func take(t testing.TB, r *reader) *snap {
	t.Helper()
	s, err := r.Snapshot(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func listen(t testing.TB, r *reader) (*snap, *listens) {
	t.Helper()
	s, l, err := r.Listen(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, l.Close())
	})
	return s, l
}

// contents returns what a new snapshot reads to its end.
func contents(t testing.TB, r *reader) []update {
	t.Helper()
	return read(t, take(t, r))
}

func read(t testing.TB, s *snap) []update {
	t.Helper()
	updates, err := s.ReadToEnd(t.Context())
	require.NoError(t, err)
	return updates
}

// stored returns all that a snapshot yields, in storage order.
func stored(t testing.TB, s *snap) []update {
	t.Helper()
	var updates []update
	for u, err := range s.All(t.Context()) {
		require.NoError(t, err)
		updates = append(updates, u)
	}
	return updates
}

func next(t testing.TB, l *listens) event {
	t.Helper()
	e, err := l.Next(t.Context())
	require.NoError(t, err)
	return e
}

func describe(t testing.TB, c *persist.Client, name string) frontier.Description {
	t.Helper()
	d, err := c.Description(t.Context(), name)
	require.NoError(t, err)
	return d
}

func info(t testing.TB, c *persist.Client, name string) persist.StreamInfo {
	t.Helper()
	infos, err := c.Streams(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(infos, func(info persist.StreamInfo) bool { return info.Name == name })
	require.GreaterOrEqual(t, i, 0, "stream %q is not among %v", name, infos)
	return infos[i]
}

// untilMerged seals a stream time by time, with batches that hold nothing, until all of
// its batches are merged, and returns the upper that it has then.
func untilMerged(t testing.TB, c *persist.Client, w *writer, name string) uint64 {
	t.Helper()
	upper, ok := describe(t, c, name).Upper.Elem()
	require.True(t, ok)
	require.Greater(t, info(t, c, name).Batches, 1)
	for rounds := 0; info(t, c, name).Batches > 1; rounds++ {
		require.Less(t, rounds, 20)
		must(t, w.Write(t.Context(), []update{up("pad", "", upper, 1), up("pad", "", upper, -1)}))
		upper++
		must(t, w.Seal(t.Context(), upper))
		require.NoError(t, c.Maintain(t.Context()))
	}
	return upper
}

// consolidated is the plain meaning of a collection: updates with times advanced
// to since, added up and sorted.
func consolidated(updates []update, since frontier.Antichain) []update {
	sums := make(map[update]int64)
	for _, u := range updates {
		u.Time = since.Advance(u.Time)
		diff := u.Diff
		u.Diff = 0
		sums[u] += diff
	}
	var result []update
	for u, diff := range sums {
		if diff != 0 {
			u.Diff = diff
			result = append(result, u)
		}
	}
	slices.SortFunc(result, func(a, b update) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Val, b.Val), cmp.Compare(a.Time, b.Time))
	})
	return result
}

// plainLogReader has no abilities beside those of every log reader.
type plainLogReader struct{ storage.LogReader }
