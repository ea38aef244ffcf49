package indexed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// The model of a location is one list of updates a stream. Against it runs an
// engine without background work, so that every flush, merge, manifest write,
// truncation and deletion falls at a drawn moment between commands, with readers
// beside it, with failures of the storage, and with the process killed at any time.
type model struct {
	*rapid.T
	ctx    context.Context
	cfg    indexed.Config
	place  *mem.Place
	faults *mem.Unreliable
	engine *indexed.Engine
	// collected: this opening has looked for orphans, which it does once.
	collected bool
	streams   []*modelStream
	// moveInRounds is how many bytes the moves of a round read; others are merges.
	moveInRounds int64

	snapshots []*modelSnapshot
	listeners []*modelListener

	follower *indexed.Follower // holds the log
	guest    *indexed.Follower // does not: the log may be truncated under it
	blobs    *indexed.Follower // reads blobs alone
}

type modelStream struct {
	id           indexed.StreamID
	name         string
	rows         []indexed.Row
	upper, since frontier.Antichain
	moved        frontier.Antichain // the last since that was a time
	destroyed    bool
}

// contents is what a read yields.
func (s *modelStream) contents() []indexed.Row { return consolidate(s.rows, s.moved) }

// requireRead compares a read of a snapshot with what it is to yield. Once the since is {}
// a read moves no time any more, but merges may have moved some before: then only the moved
// times compare. A sum that no int64 holds ends the read, and what is stored is exact.
func (m *model) requireRead(s *modelStream, snap *indexed.Snapshot, want []indexed.Row, rows iter.Seq2[indexed.Row, error]) {
	var got []indexed.Row
	var err error
	for r, failed := range rows {
		if err = failed; err == nil {
			got = append(got, r)
		}
	}
	before, overflows := readable(want)
	switch {
	case err != nil && (overflows || s.since.IsEmpty()):
		require.ErrorIs(m, err, indexed.ErrOverflow)
		require.Equal(m, show(s.contents()), show(consolidate(rawRows(m, snap), s.moved)))
		if !s.since.IsEmpty() {
			require.Equal(m, show(before), show(got))
		}
	case s.since.IsEmpty():
		require.NoError(m, err)
		require.Equal(m, show(want), show(consolidate(got, s.moved)))
	default:
		require.NoError(m, err)
		require.False(m, overflows, "read %v, and not the end of %v", show(got), show(want))
		require.Equal(m, show(want), show(got))
	}
}

type modelSnapshot struct {
	*indexed.Snapshot
	of modelStream
}

type modelListener struct {
	*indexed.Listener
	of      *modelStream
	by      string // whose it is: "engine", "follower" or "guest"
	pending []string
}

func (m *model) open() {
	lock := storage.LockInfo{Owner: "model"}
	log, err := m.place.OpenLog(lock)
	require.NoError(m, err)
	blob, err := m.place.OpenBlob(lock)
	require.NoError(m, err)
	m.faults = mem.NewUnreliable()
	m.engine, err = indexed.OpenStill(m.ctx, m.faults.Log(log), m.faults.Blob(blob), m.cfg)
	require.NoError(m, err)
	m.engine.MoveInRounds(m.moveInRounds)
}

// hidden is a log reader without the ability to hold the log.
type hidden struct{ storage.LogReader }

func (m *model) openReaders() {
	var err error
	m.follower, err = indexed.OpenRead(m.ctx, m.place.OpenLogReader(), m.place.OpenBlobReader(), m.cfg)
	require.NoError(m, err)
	m.guest, err = indexed.OpenRead(m.ctx, hidden{m.place.OpenLogReader()}, m.place.OpenBlobReader(), m.cfg)
	require.NoError(m, err)
	m.blobs, err = indexed.OpenRead(m.ctx, nil, m.place.OpenBlobReader(), m.cfg)
	require.NoError(m, err)
}

func (m *model) stop() {
	for _, s := range m.snapshots {
		_ = s.Close()
	}
	_ = m.engine.Stop()
	for _, f := range []*indexed.Follower{m.follower, m.guest, m.blobs} {
		require.NoError(m, f.Stop())
	}
}

// live draws a stream that was not destroyed.
func (m *model) live() *modelStream {
	var live []int
	for i, s := range m.streams {
		if !s.destroyed {
			live = append(live, i)
		}
	}
	if len(live) == 0 {
		m.Skip("no stream")
	}
	return m.streams[rapid.SampledFrom(live).Draw(m.T, "stream")]
}

func (m *model) Register() {
	if len(m.streams) >= 5 {
		m.Skip("enough streams")
	}
	s := &modelStream{id: indexed.StreamID(len(m.streams)), name: fmt.Sprint("s", len(m.streams))}
	id, err := m.engine.Register(m.ctx, s.name, "k", "v")
	require.NoError(m, err)
	require.Equal(m, s.id, id)
	m.streams = append(m.streams, s)
}

func (m *model) Destroy() {
	if rapid.IntRange(0, 3).Draw(m.T, "really") > 0 {
		m.Skip("rarely")
	}
	s := m.live()
	destroyed, err := m.engine.Destroy(m.ctx, s.name)
	require.NoError(m, err)
	require.True(m, destroyed)
	s.destroyed = true
}

func (m *model) drawRows(s *modelStream) []indexed.Row {
	lower, open := s.upper.Elem()
	if !open {
		return nil
	}
	rows := make([]indexed.Row, rapid.IntRange(0, 4).Draw(m.T, "rows"))
	for i := range rows {
		rows[i] = row(
			rapid.SampledFrom([]string{"", "a", "b", "a longer key"}).Draw(m.T, "key"),
			rapid.SampledFrom([]string{"", "x", "y"}).Draw(m.T, "val"),
			later(lower, rapid.SampledFrom([]uint64{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 40, math.MaxUint64}).Draw(m.T, "time")),
			rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(-2, 2), rapid.Int64Range(-2, 2),
				rapid.SampledFrom([]int64{math.MaxInt64, -math.MaxInt64, math.MinInt64})).Draw(m.T, "diff"))
	}
	return rows
}

func (m *model) drawFrontier(from frontier.Antichain) frontier.Antichain {
	t, ok := from.Elem()
	if !ok || rapid.IntRange(0, 60).Draw(m.T, "finish") == 0 {
		return frontier.Empty()
	}
	by := rapid.Uint64Range(0, 4).Draw(m.T, "advance")
	switch rapid.IntRange(0, 150).Draw(m.T, "far") {
	case 0:
		by = 45
	case 100: // a stream that is sealed there takes hardly anything from then on
		return frontier.At(max(t, math.MaxUint64-by))
	}
	return frontier.At(later(t, by))
}

// later returns the time that is so much after another, or the last of all times.
func later(t, by uint64) uint64 {
	if t > math.MaxUint64-by {
		return math.MaxUint64
	}
	return t + by
}

// drawSince draws what drawFrontier does, or one that has wrapped, as upper-1 does at an
// upper of 0, or that is so far in advance of the upper that it is almost such.
func (m *model) drawSince(from, upper frontier.Antichain) frontier.Antichain {
	t, ok := from.Elem()
	u, unfinished := upper.Elem()
	if !ok || !unfinished || rapid.IntRange(0, 40).Draw(m.T, "wrapped") != 20 {
		return m.drawFrontier(from)
	}
	by := rapid.SampledFrom([]uint64{math.MaxUint64, math.MaxUint64, 1 << 63, 1<<63 - 1}).Draw(m.T, "in advance")
	return frontier.At(max(t, later(u, by)))
}

// wrapped: a since that may be in advance of the upper is not so far in advance.
func wrapped(since, upper frontier.Antichain) bool {
	s, some := since.Elem()
	u, unfinished := upper.Elem()
	return some && unfinished && s >= u && s-u >= 1<<63
}

// Command is an atomic command on one or two streams.
func (m *model) Command() { m.command(m.live(), m.live()) }

// Batches makes as many batches of a stream as a merge takes, or a few less or more.
func (m *model) Batches() {
	if rapid.IntRange(0, 1).Draw(m.T, "really") > 0 {
		m.Skip("it takes long")
	}
	s := m.live()
	for range rapid.IntRange(indexed.MergeWidth-1, 2*indexed.MergeWidth).Draw(m.T, "batches") {
		m.command(s, s)
		require.NoError(m, m.engine.Round(m.ctx, true))
	}
}

func (m *model) command(first, second *modelStream) {
	var c indexed.Command
	type change struct {
		*modelStream
		rows         []indexed.Row
		upper, since frontier.Antichain
		sealed       bool
	}
	changes := []*change{{modelStream: first, upper: first.upper, since: first.since}}
	if second != first {
		changes = append(changes, &change{modelStream: second, upper: second.upper, since: second.since})
	}
	var refused error
	for _, d := range changes {
		d.rows = m.drawRows(d.modelStream)
		c.Write(d.id, columns(d.rows...))
		if rapid.Bool().Draw(m.T, "seal") {
			d.upper, d.sealed = m.drawFrontier(d.upper), true
			c.Seal(d.id, d.upper)
		}
		if rapid.IntRange(0, 3).Draw(m.T, "compact") == 0 {
			d.since = m.drawSince(d.since, d.upper)
			c.AllowCompaction(d.id, d.since)
		}
		if d.since != d.modelStream.since && wrapped(d.since, d.upper) {
			refused = indexed.ErrInvalid
		}
	}
	if t, _ := first.upper.Elem(); refused == nil && t > 0 && rapid.IntRange(0, 9).Draw(m.T, "refused") == 0 {
		refused = indexed.ErrSealed
		c.Write(first.id, columns(row("never", "", t-1, 1)))
	}
	seqno, err := m.engine.Submit(m.ctx, &c).Wait(m.ctx)
	if refused != nil {
		require.ErrorIs(m, err, refused)
		return
	}
	require.NoError(m, err)
	if !slices.ContainsFunc(changes, func(d *change) bool {
		return len(d.rows) > 0 || d.upper != d.modelStream.upper || d.since != d.modelStream.since
	}) {
		return // it changes nothing, so nothing is heard of it
	}
	for _, d := range changes {
		for _, l := range m.listeners {
			if l.of != d.modelStream || l.of.upper.IsEmpty() {
				continue // a listener ends with the first {}
			}
			if len(d.rows) > 0 {
				l.pending = append(l.pending, fmt.Sprintf("%s %v", seqno, show(d.rows)))
			}
			if d.sealed {
				l.pending = append(l.pending, fmt.Sprintf("%s sealed %s", seqno, d.upper))
			}
		}
		d.modelStream.rows = append(d.modelStream.rows, d.rows...)
		d.modelStream.upper, d.modelStream.since = d.upper, d.since
		if !d.since.IsEmpty() {
			d.moved = d.since
		}
	}
}

// Round is a round of maintenance; now and then a storage operation of it fails, in
// one of the ways there are, and the next round has to mend it.
func (m *model) Round() {
	force := rapid.Bool().Draw(m.T, "force")
	if rapid.IntRange(0, 7).Draw(m.T, "base") == 0 {
		m.engine.PreferBase()
	}
	remove := m.drawFault()
	err := m.engine.Round(m.ctx, force)
	remove()
	m.checkFailure(err)
}

func (m *model) Merge() {
	remove := m.drawFault()
	_, err := m.engine.MergeOnce(m.ctx)
	remove()
	m.checkFailure(err)
}

func (m *model) drawFault() (remove func()) {
	if rapid.IntRange(0, 3).Draw(m.T, "fault") > 0 {
		return func() {}
	}
	return m.faults.Inject(mem.Fault{
		Op:      rapid.SampledFrom([]mem.Op{mem.OpSetIf, mem.OpSet, mem.OpDelete, mem.OpTruncate, mem.OpGet}).Draw(m.T, "op"),
		Nth:     rapid.IntRange(1, 3).Draw(m.T, "nth"),
		Outcome: rapid.SampledFrom([]mem.Outcome{mem.Refused, mem.Vanished, mem.AnswerLost}).Draw(m.T, "outcome"),
	})
}

func (m *model) checkFailure(err error) {
	if err != nil && !errors.Is(err, mem.ErrUnavailable) && !errors.Is(err, mem.ErrTimedOut) {
		require.NoError(m, err)
	}
}

// Restart ends the engine, by a crash or in order, and opens the place again.
func (m *model) Restart() {
	for _, s := range m.snapshots {
		_ = s.Close() // those of readers as well: a process has one run
	}
	m.snapshots = nil
	m.listeners = slices.DeleteFunc(m.listeners, func(l *modelListener) bool { return l.by == "engine" })
	if rapid.Bool().Draw(m.T, "crash") {
		m.place.CrashWriter(mem.KeepNone)
		_ = m.engine.Stop()
	} else {
		require.NoError(m, m.engine.Stop())
	}
	m.open()
	if m.collected = rapid.Bool().Draw(m.T, "orphans"); m.collected {
		require.NoError(m, m.engine.CollectOrphans(m.ctx))
	}
}

// Snapshot takes a snapshot, with a listener perhaps, to be read later.
func (m *model) Snapshot() {
	s := m.live()
	by := rapid.SampledFrom([]string{"engine", "follower", "guest"}).Draw(m.T, "by")
	reader := map[string]interface {
		Snapshot(context.Context, indexed.StreamID) (*indexed.Snapshot, error)
		Listen(context.Context, indexed.StreamID) (*indexed.Snapshot, *indexed.Listener, error)
	}{"engine": m.engine, "follower": m.follower, "guest": m.guest}[by]
	var snap *indexed.Snapshot
	var err error
	if rapid.Bool().Draw(m.T, "listen") && len(m.listeners) < 4 {
		var l *indexed.Listener
		snap, l, err = reader.Listen(m.ctx, s.id)
		m.listeners = append(m.listeners, &modelListener{Listener: l, of: s, by: by})
	} else {
		snap, err = reader.Snapshot(m.ctx, s.id)
	}
	require.NoError(m, err)
	m.snapshots = append(m.snapshots, &modelSnapshot{snap, *s})
	if len(m.snapshots) > 3 {
		require.NoError(m, m.snapshots[0].Close())
		m.snapshots = m.snapshots[1:]
	}
}

// ReadSnapshot reads one that was taken a while ago, in one of the ways there are.
func (m *model) ReadSnapshot() {
	if len(m.snapshots) == 0 {
		m.Skip("none")
	}
	s := m.snapshots[rapid.IntRange(0, len(m.snapshots)-1).Draw(m.T, "snapshot")]
	require.Equal(m, s.of.upper, s.Upper())
	require.Equal(m, s.of.since, s.Since())
	want := consolidate(s.of.rows, s.of.moved)
	from, ok := s.of.since.Elem()
	switch way := rapid.IntRange(0, 3).Draw(m.T, "way"); {
	case way == 0:
		require.Equal(m, show(want), show(consolidate(rawRows(m, s.Snapshot), s.of.moved)))
	case way == 1 && ok:
		m.requireAsOf(&s.of, s.Snapshot, later(from, rapid.Uint64Range(0, 5).Draw(m.T, "as of")))
	case way == 2 && ok:
		lower := later(from, rapid.Uint64Range(0, 3).Draw(m.T, "lower"))
		upper := later(lower, rapid.Uint64Range(0, 5).Draw(m.T, "width"))
		want = slices.DeleteFunc(want, func(r indexed.Row) bool { return r.Time < lower || r.Time >= upper })
		m.requireRead(&s.of, s.Snapshot, want, s.Between(m.ctx, frontier.At(lower), frontier.At(upper)))
	default:
		m.requireRead(&s.of, s.Snapshot, want, s.Consolidated(m.ctx))
	}
}

// requireAsOf reads contents as of a time, in one of the ways there are.
func (m *model) requireAsOf(s *modelStream, snap *indexed.Snapshot, t uint64) {
	keep, rows := m.asOf(snap, t)
	want := slices.DeleteFunc(s.contents(), func(r indexed.Row) bool { return r.Time > t || !keep(r.Key) })
	m.requireRead(s, snap, consolidate(want, frontier.At(t)), rows)
}

// asOf reads all contents as of a time, or those of some keys. keep says which keys were read.
func (m *model) asOf(s *indexed.Snapshot, t uint64) (keep func(key []byte) bool, rows iter.Seq2[indexed.Row, error]) {
	key := rapid.SampledFrom([]string{"", "a", "a longer key", "b", "absent", "c"})
	switch rapid.SampledFrom([]string{"all", "keys", "keys", "range"}).Draw(m.T, "of") {
	case "keys":
		keys := rapid.SliceOfDistinct(key, rapid.ID).Draw(m.T, "keys")
		slices.Sort(keys)
		return func(key []byte) bool { return slices.Contains(keys, string(key)) }, s.Keys(m.ctx, t, func(yield func([]byte, error) bool) {
			for _, k := range keys {
				if !yield([]byte(k), nil) {
					return
				}
			}
		})
	case "range":
		from, to := []byte(key.Draw(m.T, "from")), []byte(key.Draw(m.T, "to"))
		if rapid.Bool().Draw(m.T, "no end") {
			to = nil
		}
		return func(key []byte) bool {
			return bytes.Compare(key, from) >= 0 && (to == nil || bytes.Compare(key, to) < 0)
		}, s.Range(m.ctx, t, from, to)
	}
	return func([]byte) bool { return true }, s.AsOf(m.ctx, t)
}

func (m *model) CloseSnapshot() {
	if len(m.snapshots) == 0 {
		m.Skip("none")
	}
	require.NoError(m, m.snapshots[0].Close())
	m.snapshots = m.snapshots[1:]
}

// Hear takes some of the events that a listener has to deliver.
func (m *model) Hear() {
	if len(m.listeners) == 0 {
		m.Skip("none")
	}
	i := rapid.IntRange(0, len(m.listeners)-1).Draw(m.T, "listener")
	l := m.listeners[i]
	switch l.by {
	case "follower":
		require.NoError(m, m.follower.Refresh(m.ctx))
	case "guest":
		require.NoError(m, m.guest.Refresh(m.ctx))
	}
	remove := func() {
		_ = l.Close()
		m.listeners = slices.Delete(m.listeners, i, i+1)
	}
	for range rapid.IntRange(0, len(l.pending)).Draw(m.T, "events") {
		e, err := l.Next(m.ctx)
		if l.by == "guest" && errors.Is(err, indexed.ErrLagged) {
			remove() // the log was truncated under it
			return
		}
		require.NoError(m, err)
		require.Equal(m, l.pending[0], showEvent(e))
		l.pending = l.pending[1:]
	}
	if len(l.pending) > 0 {
		return
	}
	if l.of.destroyed || l.of.upper.IsEmpty() {
		_, err := l.Next(m.ctx)
		switch {
		case l.by == "guest" && errors.Is(err, indexed.ErrLagged):
		case l.of.upper.IsEmpty():
			require.ErrorIs(m, err, io.EOF)
		default:
			require.ErrorIs(m, err, indexed.ErrDestroyed)
		}
		remove()
	} else if rapid.IntRange(0, 3).Draw(m.T, "close") == 0 {
		remove()
	}
}

// Blobs compares a reader of blobs alone with the engine after everything is in them.
func (m *model) Blobs() {
	require.NoError(m, m.engine.Maintain(m.ctx))
	require.NoError(m, m.engine.CheckNothingToMerge(), "Maintain did not do all that there was to do")
	for _, s := range m.streams {
		snap, err := m.blobs.Snapshot(m.ctx, s.id)
		if s.destroyed {
			require.ErrorIs(m, err, indexed.ErrDestroyed)
			continue
		}
		require.NoError(m, err)
		require.Equal(m, s.upper, snap.Upper())
		m.requireRead(s, snap, s.contents(), snap.Consolidated(m.ctx))
		require.NoError(m, snap.Close())
	}
}

// Check compares everybody's view with the model, after every action.
func (m *model) Check() {
	require.NoError(m, m.engine.CheckIdle())
	readers := []interface {
		Describe(context.Context, string) (frontier.Description, error)
		Snapshot(context.Context, indexed.StreamID) (*indexed.Snapshot, error)
	}{m.engine, m.follower, m.guest}
	reader := rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(m.T, "reader")
	byKey, beyond := rapid.Bool().Draw(m.T, "by key"), rapid.Uint64Range(0, 5).Draw(m.T, "as of")
	for _, s := range m.streams {
		d, err := readers[reader].Describe(m.ctx, s.name)
		if s.destroyed {
			require.ErrorIs(m, err, indexed.ErrDestroyed)
			continue
		}
		require.NoError(m, err)
		require.Equal(m, frontier.Description{Upper: s.upper, Since: s.since}, d)
		snap, err := readers[reader].Snapshot(m.ctx, s.id)
		require.NoError(m, err)
		m.requireRead(s, snap, s.contents(), snap.Consolidated(m.ctx))
		if t, ok := s.since.Elem(); ok && byKey {
			m.requireAsOf(s, snap, later(t, beyond))
		}
		require.NoError(m, snap.Close())
	}
	require.NoError(m, m.follower.Check())
	require.NoError(m, m.guest.Check())
	require.NoError(m, m.blobs.Check())
}

// finish makes everything tidy and checks that nothing is left lying about.
func (m *model) finish() {
	for _, s := range m.snapshots {
		require.NoError(m, s.Close())
	}
	m.snapshots = nil
	if !m.collected {
		require.NoError(m, m.engine.CollectOrphans(m.ctx))
	}
	require.NoError(m, m.engine.Maintain(m.ctx))
	require.NoError(m, m.engine.Round(m.ctx, true))
	m.Check()
	blobs := m.place.OpenBlobReader()
	defer blobs.Close()
	stored := []string{}
	for info, err := range blobs.List(m.ctx, "batch/") {
		require.NoError(m, err)
		stored = append(stored, info.Key)
	}
	require.Equal(m, m.engine.NamedBlobs(), stored, "every blob is named, and every named blob is there")
	edits := 0
	for info, err := range blobs.List(m.ctx, "manifest/") {
		require.NoError(m, err)
		if strings.Contains(info.Key, "edit") {
			edits++
		}
	}
	require.LessOrEqual(m, uint64(edits), m.engine.ManifestVersion())
}

func TestEngineAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{T: t, ctx: context.Background(), cfg: still()}
		m.cfg.PartBytes = rapid.SampledFrom([]int{1, 60, 400, 1 << 20}).Draw(t, "part bytes")
		m.cfg.FlushBytes = rapid.SampledFrom([]int64{1, 200}).Draw(t, "flush bytes")
		m.cfg.MaxLogBytes = rapid.SampledFrom([]int64{1, 500, 1 << 20}).Draw(t, "log bytes")
		m.cfg.ListenerWindowBytes = rapid.SampledFrom([]int64{1, 600, 1 << 20}).Draw(t, "window bytes")
		m.moveInRounds = rapid.SampledFrom([]int64{0, 200, 1 << 20}).Draw(t, "move in rounds")
		m.cfg.CacheSizeLimit = rapid.SampledFrom([]int64{1, 1 << 20}).Draw(t, "cache bytes")
		m.place = mem.NewPlace("model", mem.WithGaps(rapid.Uint64().Draw(t, "gaps")))
		m.open()
		m.openReaders()
		defer m.stop()
		m.Register()
		t.Repeat(map[string]func(*rapid.T){
			"":              func(t *rapid.T) { m.T = t; m.Check() },
			"Register":      func(t *rapid.T) { m.T = t; m.Register() },
			"Destroy":       func(t *rapid.T) { m.T = t; m.Destroy() },
			"Command":       func(t *rapid.T) { m.T = t; m.Command() },
			"Command2":      func(t *rapid.T) { m.T = t; m.Command() },
			"Command3":      func(t *rapid.T) { m.T = t; m.Command() },
			"Batches":       func(t *rapid.T) { m.T = t; m.Batches() },
			"Step":          func(t *rapid.T) { m.T = t; m.Round() },
			"Step2":         func(t *rapid.T) { m.T = t; m.Round() },
			"Merge":         func(t *rapid.T) { m.T = t; m.Merge() },
			"Merge2":        func(t *rapid.T) { m.T = t; m.Merge() },
			"Restart":       func(t *rapid.T) { m.T = t; m.Restart() },
			"Snapshot":      func(t *rapid.T) { m.T = t; m.Snapshot() },
			"ReadSnapshot":  func(t *rapid.T) { m.T = t; m.ReadSnapshot() },
			"CloseSnapshot": func(t *rapid.T) { m.T = t; m.CloseSnapshot() },
			"Hear":          func(t *rapid.T) { m.T = t; m.Hear() },
			"Hear2":         func(t *rapid.T) { m.T = t; m.Hear() },
			"Blobs":         func(t *rapid.T) { m.T = t; m.Blobs() },
		})
		m.T = t
		m.finish()
	})
}
