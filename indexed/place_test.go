package indexed_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// still is a config for engines that are stepped by hand: nothing happens by the
// clock, and a stream's tail of any size is worth a batch.
func still() indexed.Config {
	return indexed.Config{
		MinStepInterval: time.Hour, FlushInterval: -1, FollowInterval: time.Hour, FlushBytes: 1,
	}
}

// fixture is a place in memory and the engine that owns it.
type fixture struct {
	testing.TB
	ctx    context.Context
	place  *mem.Place
	faults *mem.Unreliable
	cfg    indexed.Config
	*indexed.Engine
}

func newFixture(t testing.TB, cfg indexed.Config) *fixture {
	f := &fixture{TB: t, ctx: t.Context(), place: mem.NewPlace(t.Name(), mem.WithGaps(1)), cfg: cfg}
	f.open()
	t.Cleanup(func() { _ = f.Engine.Stop() })
	return f
}

// open opens the place with storage that fails on demand and without background
// work. An engine that has it open loses it.
func (f *fixture) open() {
	f.Helper()
	f.faults = mem.NewUnreliable()
	log, blob := f.storage()
	e, err := indexed.OpenStill(f.ctx, log, blob, f.cfg)
	require.NoError(f, err)
	f.Engine = e
}

func (f *fixture) storage() (storage.Log, storage.Blob) {
	f.Helper()
	lock := storage.LockInfo{Owner: "test"}
	log, err := f.place.OpenLog(lock)
	require.NoError(f, err)
	blob, err := f.place.OpenBlob(lock)
	require.NoError(f, err)
	return f.faults.Log(log), f.faults.Blob(blob)
}

// crash ends the engine as a kill does, and opens the place again.
func (f *fixture) crash() {
	f.Helper()
	f.place.CrashWriter(mem.KeepNone)
	_ = f.Engine.Stop()
	f.open()
}

func (f *fixture) register(name string) indexed.StreamID {
	f.Helper()
	id, err := f.Register(f.ctx, name, "k", "v")
	require.NoError(f, err)
	return id
}

func (f *fixture) submit(build func(c *indexed.Command)) (storage.SeqNo, error) {
	var c indexed.Command
	build(&c)
	return f.Submit(f.ctx, &c).Wait(f.ctx)
}

func (f *fixture) write(id indexed.StreamID, rows ...indexed.Row) storage.SeqNo {
	f.Helper()
	seqno, err := f.submit(func(c *indexed.Command) { c.Write(id, columns(rows...)) })
	require.NoError(f, err)
	return seqno
}

func (f *fixture) seal(id indexed.StreamID, upper frontier.Antichain) storage.SeqNo {
	f.Helper()
	seqno, err := f.submit(func(c *indexed.Command) { c.Seal(id, upper) })
	require.NoError(f, err)
	return seqno
}

func (f *fixture) allow(id indexed.StreamID, since frontier.Antichain) {
	f.Helper()
	_, err := f.submit(func(c *indexed.Command) { c.AllowCompaction(id, since) })
	require.NoError(f, err)
}

// round is a round of maintenance, merges left out.
func (f *fixture) round(force bool) {
	f.Helper()
	require.NoError(f, f.Round(f.ctx, force))
}

// traceOf gives a stream batches of rows that are sealed.
func (f *fixture) traceOf(id indexed.StreamID, batches, rows int) {
	f.Helper()
	for i := range uint64(batches) {
		var updates []indexed.Row
		for r := range rows {
			updates = append(updates, up(fmt.Sprintf("%04d-%d", r, i), i))
		}
		f.write(id, updates...)
		f.seal(id, frontier.At(i+1))
		f.round(true)
	}
}

// pad adds batches that hold nothing to the end of a stream's trace, for tests that look
// at the contents of fewer batches than a merge takes.
func (f *fixture) pad(id indexed.StreamID, batches int) {
	f.Helper()
	trace := f.Buckets(id).Trace
	upper, ok := trace[len(trace)-1].Desc.Upper.Elem()
	require.True(f, ok)
	for t := upper; t < upper+uint64(batches); t++ {
		f.write(id, row("k", "pad", t, 1), row("k", "pad", t, -1))
		f.seal(id, frontier.At(t+1))
		f.round(true)
	}
	require.Len(f, f.Buckets(id).Trace, len(trace)+batches)
}

// mergeAll merges until nothing is left to merge and returns how many merges it took.
func (f *fixture) mergeAll() (n int) {
	f.Helper()
	for ; ; n++ {
		did, err := f.MergeOnce(f.ctx)
		require.NoError(f, err)
		if !did {
			return n
		}
	}
}

// read returns the consolidated contents of a stream.
func (f *fixture) read(id indexed.StreamID) []indexed.Row {
	f.Helper()
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(f, err)
	defer s.Close()
	return collect(f, s.Consolidated(f.ctx))
}

// raw returns the contents of a stream as they are stored.
func (f *fixture) raw(id indexed.StreamID) []indexed.Row {
	f.Helper()
	s, err := f.Snapshot(f.ctx, id)
	require.NoError(f, err)
	defer s.Close()
	return rawRows(f, s)
}

// rawRows reads a snapshot chunk by chunk.
func rawRows(t require.TestingT, s *indexed.Snapshot) []indexed.Row {
	var rows []indexed.Row
	for chunk, err := range s.Chunks(context.Background()) {
		require.NoError(t, err)
		for i := range chunk.Len() {
			if key, val, time, diff, ok := chunk.Row(i); ok {
				rows = append(rows, indexed.Row{Key: bytes.Clone(key), Val: bytes.Clone(val), Time: time, Diff: diff})
			}
		}
	}
	return rows
}

// batchKeys returns the keys of all blobs with batches.
func (f *fixture) batchKeys() []string { return f.keys("batch/") }

func (f *fixture) keys(prefix string) []string {
	f.Helper()
	reader := f.place.OpenBlobReader()
	defer reader.Close()
	keys := []string{}
	for info, err := range reader.List(f.ctx, prefix) {
		require.NoError(f, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func (f *fixture) follow(cfg indexed.Config) *indexed.Follower {
	f.Helper()
	r, err := indexed.OpenRead(f.ctx, f.place.OpenLogReader(), f.place.OpenBlobReader(), cfg)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, r.Stop()) })
	return r
}

func (f *fixture) followBlobs(cfg indexed.Config) *indexed.Follower {
	f.Helper()
	r, err := indexed.OpenRead(f.ctx, nil, f.place.OpenBlobReader(), cfg)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, r.Stop()) })
	return r
}

// up is an update of "k" with diff 1.
func up(val string, time uint64) indexed.Row { return row("k", val, time, 1) }

func row(key, val string, time uint64, diff int64) indexed.Row {
	return indexed.Row{Key: []byte(key), Val: []byte(val), Time: time, Diff: diff}
}

func columns(rows ...indexed.Row) indexed.Columns {
	var b indexed.ColumnsBuilder
	for _, r := range rows {
		if err := b.Add(r.Key, r.Val, r.Time, r.Diff); err != nil {
			panic(err)
		}
	}
	return b.Finish()
}

func collect(t require.TestingT, rows func(func(indexed.Row, error) bool)) []indexed.Row {
	all := []indexed.Row{}
	for r, err := range rows {
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

// consolidate is the naive form of what reads promise. A sum that no int64 holds comes as
// several equal rows.
func consolidate(rows []indexed.Row, since frontier.Antichain) []indexed.Row {
	sums, first := map[string]*big.Int{}, map[string]indexed.Row{}
	for _, r := range rows {
		r.Time = since.Advance(r.Time)
		id := fmt.Sprintf("%q %q %d", r.Key, r.Val, r.Time)
		if sums[id] == nil {
			sums[id], first[id] = new(big.Int), r
		}
		sums[id].Add(sums[id], big.NewInt(r.Diff))
	}
	out := []indexed.Row{}
	for id, r := range first {
		for sum := sums[id]; sum.Sign() != 0; sum.Sub(sum, big.NewInt(r.Diff)) {
			switch {
			case sum.IsInt64():
				r.Diff = sum.Int64()
			case sum.Sign() > 0:
				r.Diff = math.MaxInt64
			default:
				r.Diff = math.MinInt64
			}
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b indexed.Row) int {
		return cmp.Or(compareIndexed(a, b), cmp.Compare(a.Diff, b.Diff))
	})
	return out
}

func compareIndexed(a, b indexed.Row) int {
	return cmp.Or(cmp.Compare(string(a.Key), string(b.Key)), cmp.Compare(string(a.Val), string(b.Val)), cmp.Compare(a.Time, b.Time))
}

// readable returns the rows of consolidate that come before one whose sum no int64 holds,
// and whether there is one.
func readable(rows []indexed.Row) (before []indexed.Row, overflows bool) {
	for i := range rows[min(1, len(rows)):] {
		if compareIndexed(rows[i], rows[i+1]) == 0 {
			return rows[:i], true
		}
	}
	return rows, false
}

// show makes rows readable in failures and comparable whatever their buffers.
func show(rows []indexed.Row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = fmt.Sprintf("%s=%s @%d %+d", r.Key, r.Val, r.Time, r.Diff)
	}
	return out
}

func showEvent(e indexed.Event) string {
	if e.Updates == nil {
		return fmt.Sprintf("%s sealed %s", e.SeqNo, e.Sealed)
	}
	var rows []indexed.Row
	for i := range e.Updates {
		c := &e.Updates[i]
		for j := range c.Len() {
			rows = append(rows, indexed.Row{Key: c.Key(j), Val: c.Val(j), Time: c.Time(j), Diff: c.Diff(j)})
		}
	}
	return fmt.Sprintf("%s %v", e.SeqNo, show(rows))
}

// drain returns what a listener has to deliver until it ends.
func drain(t testing.TB, l *indexed.Listener) (events []string, err error) {
	for {
		e, err := l.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, showEvent(e))
	}
}
