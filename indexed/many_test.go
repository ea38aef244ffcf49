package indexed

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/storage"
)

// A command of 600,000 operations takes about a second, as it is linear in them. What is
// quadratic takes many minutes, and is found when it has taken one.
// Many operations are folded as few are.
func TestCommandsOfManyStreams(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := random.IntN(4 * fewOps)
		var c Command
		var want []op
		for range n {
			o := op{kind: opSeal, stream: StreamID(random.IntN(8)), frontier: frontier.At(random.Uint64N(5))}
			if random.IntN(2) == 0 {
				o.kind = opAllowCompaction
			}
			c.add(o)
			i := slices.IndexFunc(want, func(k op) bool { return k.kind == o.kind && k.stream == o.stream })
			if i < 0 {
				want = append(want, o)
			} else {
				want[i].frontier = want[i].frontier.Join(o.frontier)
			}
		}
		slices.SortStableFunc(want, func(a, b op) int { return int(a.kind) - int(b.kind) })
		c.normalise()
		require.Equal(t, want, slices.Clip(c.ops[:len(c.ops):len(c.ops)]))
	}

	command := func(streams int) *Command {
		var c Command
		for id := range StreamID(streams) {
			c.AllowCompaction(id, frontier.At(math.MaxUint64)) // right, since it is sealed as well
			c.Seal(id, frontier.At(math.MaxUint64))
		}
		return &c
	}
	c := command(300_000)
	ends(t, c.normalise)
	require.Len(t, c.ops, 600_000)

	const streams = 100_000
	st := newState(1)
	for id := range StreamID(streams) {
		st.addStreamLocked(&stream{id: id, name: fmt.Sprint(id)})
	}
	p := newPlan(st)
	c = command(streams)
	c.normalise()
	var idle bool
	var err error
	ends(t, func() { idle, err = p.check(&c.request) })
	require.NoError(t, err)
	require.False(t, idle)

	few := Command{}
	require.Zero(t, testing.AllocsPerRun(10, func() {
		few.ops = few.few[:0]
		few.Seal(1, frontier.At(1))
		few.AllowCompaction(1, frontier.At(1))
		few.normalise()
	}), "small commands need no memory for it")
}

// ends fails the test if work that takes about a second does not end at all.
func ends(t *testing.T, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it has not ended within a minute")
	}
}

// Of a stream that was destroyed its name and id stay, once the manifest tells of it and
// its last listener has gone; before and after it is refused in the same way, also by
// what is loaded from the manifest, an edit or a full copy.
func TestDestroyedStreamsAreBuried(t *testing.T) {
	st := newState(1 << 20)
	p := newPlan(st)
	seqno := storage.SeqNo(0)
	apply := func(ops ...op) {
		t.Helper()
		seqno++
		require.NoError(t, st.applyLocked(seqno, ops, time.Time{}))
	}
	register := func(name string) StreamID {
		id, ops, err := p.register(name, "k", "v")
		require.NoError(t, err)
		apply(ops...)
		return id
	}
	a, b := register("a"), register("b")
	st.onBury = p.forget
	gone := func(st *state, p *plan) {
		t.Helper()
		_, err := st.liveLocked("a")
		require.ErrorIs(t, err, ErrDestroyed)
		_, err = st.byIDLocked(a)
		require.ErrorIs(t, err, ErrDestroyed)
		require.ErrorContains(t, err, `"a"`)
		_, err = st.byIDLocked(99)
		require.ErrorIs(t, err, ErrUnknownStream)
		_, err = p.live(a)
		require.ErrorIs(t, err, ErrDestroyed)
		require.ErrorContains(t, err, `"a"`)
		_, err = p.live(99)
		require.ErrorIs(t, err, ErrUnknownStream)
		_, _, err = p.register("a", "k", "v")
		require.ErrorIs(t, err, ErrDestroyed)
		destroyed, ops, err := p.destroy("a")
		require.NoError(t, err)
		require.False(t, destroyed)
		require.Empty(t, ops)
		_, err = p.live(b)
		require.NoError(t, err)
		require.NoError(t, st.check())
	}
	l := st.newListenerLocked(st.streams[a], nil, newMetrics(func() *state { return st }))
	_, ops, err := p.destroy("a")
	require.NoError(t, err)
	apply(ops...)
	gone(st, p)
	change, _ := st.takeEditLocked(1, false)
	require.Len(t, st.dying, 1, "a listener is to hear of it")
	gone(st, p)
	_, err = l.Next(context.Background())
	require.ErrorIs(t, err, ErrDestroyed)
	require.Empty(t, st.dying)
	require.Len(t, st.names, 1)
	require.Len(t, p.names, 1, "the plan has forgotten it")
	require.Len(t, p.streams, 1)
	gone(st, p)
	gone(st, newPlan(st))

	full, _ := st.takeEditLocked(1, true)
	for name, e := range map[string]*edit{"edit": change, "full copy": full} {
		decoded, err := decodeEdit(e.encode())
		require.NoError(t, err, name)
		loaded := newState(1)
		require.NoError(t, loaded.applyEditLocked(decoded), name)
		require.Empty(t, loaded.dying, name)
		gone(loaded, newPlan(loaded))
		require.Error(t, loaded.applyLocked(seqno+1, []op{{kind: opRegister, stream: 2, registration: &registration{"a", "k", "v"}}}, time.Time{}), name)
		again, _ := loaded.takeEditLocked(2, true)
		require.Equal(t, full.streams, again.streams, name)
	}
}

// What a destroyed stream costs in memory for ever is its name, twice its id and its
// share of two maps.
func TestBytesOfDestroyedStreams(t *testing.T) {
	const streams = 50_000
	st := newState(1)
	p := newPlan(st)
	st.onBury = p.forget
	before := resources.LiveHeap(t)
	for i := range storage.SeqNo(streams) {
		id, ops, err := p.register(fmt.Sprintf("stream-%d", i), "k", "v")
		require.NoError(t, err)
		require.NoError(t, st.applyLocked(2*i+1, ops, time.Time{}))
		_, ops, err = p.destroy(fmt.Sprintf("stream-%d", i))
		require.NoError(t, err)
		require.NoError(t, st.applyLocked(2*i+2, ops, time.Time{}))
		if id%100 == 99 {
			st.takeEditLocked(1, false)
		}
	}
	kept := resources.LiveHeap(t) - before
	t.Logf("%d bytes for each", kept/streams)
	require.Less(t, kept/streams, int64(200))
	require.Len(t, st.tombs.ids, streams)
	require.Empty(t, p.names)
}
