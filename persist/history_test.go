package persist_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

type heldSnapshot struct {
	*snap
	modelled
	name string
}

type heldListener struct {
	*listens
	stream int
	heard  []event // expected and not yet delivered
	ended  bool    // nothing is to be expected after those
}

// history is a runtime and its model.
type history struct {
	*rapid.T
	ctx       context.Context
	open      func() (*persist.Client, error)
	registry  *mem.Registry   // nil on disk
	faults    *mem.Unreliable // nil on disk
	down      bool
	client    *persist.Client
	writes    []*writer
	reads     []*reader
	multi     *persist.MultiWriteHandle
	model     model
	snapshots []heldSnapshot
	listeners []*heldListener
}

const modelStreams = 3

func (h *history) start() {
	var err error
	h.client, err = h.open()
	require.NoError(h, err)
	h.writes, h.reads = nil, nil
	var members []persist.Stream
	for i := range modelStreams {
		w, r, err := persist.CreateOrLoad(h.ctx, h.client, fmt.Sprint(i), codec.String, codec.String)
		if h.model != nil && h.model[i].destroyed {
			require.ErrorIs(h, err, persist.ErrDestroyed)
		} else {
			require.NoError(h, err)
			members = append(members, w)
		}
		h.writes, h.reads = append(h.writes, w), append(h.reads, r)
	}
	if h.model == nil {
		h.model = make(model, modelStreams)
	}
	h.multi = nil
	if len(members) > 0 {
		h.multi, err = persist.NewMultiWriteHandle(members...)
		require.NoError(h, err)
	}
}

// end checks that listeners of a runtime that has stopped say so, after some of
// what there was to hear.
func (h *history) end() {
	for _, l := range h.listeners {
		for {
			e, err := l.Next(h.ctx)
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, persist.ErrDestroyed) {
					require.ErrorIs(h, err, persist.ErrStopped)
				}
				break
			}
			require.NotEmpty(h, l.heard, "stream %d: %v", l.stream, e)
			require.Equal(h, l.heard[0], e)
			l.heard = l.heard[1:]
		}
	}
	h.close()
}

// close lets go of what does not outlive a runtime.
func (h *history) close() {
	for _, l := range h.listeners {
		_ = l.Close()
	}
	for _, s := range h.snapshots {
		_ = s.Close()
	}
	h.snapshots, h.listeners = nil, nil
}

// Commands submits a few commands before it waits for the first, with a read among
// them, which sees those before it.
func (h *history) Commands() {
	type submitted struct {
		command
		refusals []error
		future   *persist.Future[storage.SeqNo]
	}
	var all []submitted
	m := h.model
	for range rapid.IntRange(1, 4).Draw(h.T, "commands") {
		s := submitted{command: h.command(m)}
		after, refusals := m.apply(s.command)
		if !h.down {
			m = after
		}
		s.refusals, s.future = refusals, h.submit(s.command)
		all = append(all, s)
	}
	s := h.stream()
	if d, err := h.client.Description(h.ctx, fmt.Sprint(s)); !m[s].destroyed {
		require.NoError(h, err)
		require.Equal(h, frontier.Description{Upper: m[s].upper, Since: m[s].since}, d)
	}
	for _, s := range all {
		seqno, err := s.future.Wait(h.ctx)
		switch {
		case h.down:
			// A command that would be refused may have been let through, on the strength of
			// another that failed with it.
			want := append(s.refusals, storage.ErrNoEffect)
			require.Condition(h, func() bool { return matches(err, want) }, "%v, want one of %v", err, want)
		case s.refusals != nil:
			require.Condition(h, func() bool { return matches(err, s.refusals) }, "%v, want one of %v", err, s.refusals)
		default:
			require.NoError(h, err)
			h.hear(s.command, seqno)
		}
	}
	h.model = m
}

// matches reports whether err is one of those wanted.
func matches(err error, want []error) bool {
	return slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) })
}

// hear makes listeners expect what a command did.
func (h *history) hear(c command, seqno storage.SeqNo) {
	for _, l := range h.listeners {
		if !l.ended {
			l.heard = append(l.heard, c.events(l.stream, seqno)...)
			l.ended = len(l.heard) > 0 && l.heard[len(l.heard)-1].Sealed.IsEmpty()
		}
	}
}

// Uncertain cuts the log off under a few commands: by a crash, or by an answer that
// is lost. What the next opening finds is what some of them did, the first ones.
func (h *history) Uncertain() {
	if h.registry == nil || h.down {
		h.Skip("cannot fail here")
	}
	var held *mem.Gate
	crash := rapid.Bool().Draw(h.T, "crash")
	if crash {
		held = h.registry.Place().HoldFlushes()
	} else {
		outcome := rapid.SampledFrom([]mem.Outcome{mem.Vanished, mem.AnswerLost, mem.Torn}).Draw(h.T, "outcome")
		defer h.faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: outcome, Parts: rapid.IntRange(0, 3).Draw(h.T, "parts")})()
	}
	possible := []model{h.model}
	var futures []*persist.Future[storage.SeqNo]
	for range rapid.IntRange(1, 4).Draw(h.T, "commands") {
		c := h.command(possible[len(possible)-1])
		after, refusals := possible[len(possible)-1].apply(c)
		if refusals == nil {
			futures = append(futures, h.submit(c))
			possible = append(possible, after)
		}
	}
	if crash {
		if len(futures) > 0 {
			require.NoError(h, held.Wait(h.ctx, 1))
		}
		h.registry.Place().Crash(mem.KeepRandom(rapid.Uint64().Draw(h.T, "kept")))
	}
	for i, f := range futures {
		_, err := f.Wait(h.ctx)
		require.Error(h, err)
		if i == 0 && !crash {
			require.ErrorIs(h, err, persist.ErrOutcomeUnknown)
			h.check() // reads go on, without it
		} else if !errors.Is(err, persist.ErrOutcomeUnknown) {
			require.ErrorIs(h, err, persist.ErrStopped)
		}
	}
	_ = h.client.Stop()
	h.end()
	h.start()
	got := h.observe()
	i := slices.IndexFunc(possible, func(m model) bool { return slices.EqualFunc(got, m, sameStream) })
	require.GreaterOrEqual(h, i, 0, "found %v, want one of %v", got, possible)
	h.model = possible[i]
}

func sameStream(a, b modelled) bool {
	return a.destroyed == b.destroyed && a.upper == b.upper && a.since == b.since &&
		slices.Equal(consolidated(a.updates, b.moved), b.contents())
}

// observe reads the whole runtime.
func (h *history) observe() model {
	m := slices.Clone(h.model)
	for i := range m {
		s, err := h.reads[i].Snapshot(h.ctx)
		if m[i].destroyed {
			require.ErrorIs(h, err, persist.ErrDestroyed)
			continue
		}
		require.NoError(h, err)
		m[i].upper, m[i].since = s.Upper(), s.Since()
		m[i].updates, err = s.ReadToEnd(h.ctx)
		require.NoError(h, err)
		require.NoError(h, s.Close())
	}
	return m
}

// check compares everything. While the storage is down, what is not in memory
// cannot be read.
func (h *history) check() {
	if h.down {
		return
	}
	for i, got := range h.observe() {
		require.Truef(h, sameStream(got, h.model[i]), "stream %d is %v, want %v", i, got, h.model[i])
	}
}

func (h *history) Snapshot() {
	i := h.stream()
	if !h.model[i].destroyed {
		s, err := h.reads[i].Snapshot(h.ctx)
		require.NoError(h, err)
		h.snapshots = append(h.snapshots, heldSnapshot{s, h.model[i], fmt.Sprint(i)})
	}
}

// ReadSnapshot reads one that was taken before, in one of the ways there are.
func (h *history) ReadSnapshot() {
	if len(h.snapshots) == 0 || h.down {
		h.Skip("nothing to read")
	}
	s := rapid.SampledFrom(h.snapshots).Draw(h.T, "snapshot")
	require.Equal(h, s.upper, s.Upper())
	require.Equal(h, s.since, s.Since())
	want := s.contents()
	var rows []update
	collect := func(seq func(func(update, error) bool)) {
		for u, err := range seq {
			require.NoError(h, err)
			rows = append(rows, u)
		}
	}
	least, readable := s.since.Elem()
	lower := least + rapid.Uint64Range(0, 9).Draw(h.T, "lower")
	upper := lower + rapid.Uint64Range(0, 9).Draw(h.T, "width")
	switch way := rapid.IntRange(0, 3).Draw(h.T, "way"); {
	case way == 0:
		collect(s.All(h.ctx))
		rows = consolidated(rows, s.moved)
	case !readable:
		collect(s.Consolidated(h.ctx))
		rows = consolidated(rows, s.moved)
	case way == 1:
		collect(s.Consolidated(h.ctx))
	case way == 2:
		collect(s.AsOf(h.ctx, lower))
		want = slices.DeleteFunc(want, func(u update) bool { return u.Time > lower })
		want = consolidated(want, frontier.At(lower))
	default:
		collect(s.Between(h.ctx, frontier.At(lower), frontier.At(upper)))
		want = slices.DeleteFunc(want, func(u update) bool { return u.Time < lower || u.Time >= upper })
	}
	require.Truef(h, slices.Equal(want, rows), "snapshot at %s of stream %s is %v, want %v", s.SeqNo(), s.name, rows, want)
}

func (h *history) CloseSnapshot() {
	if len(h.snapshots) == 0 {
		h.Skip("none is open")
	}
	require.NoError(h, h.snapshots[0].Close())
	h.snapshots = h.snapshots[1:]
}

func (h *history) Listen() {
	i := h.stream()
	if h.model[i].destroyed || len(h.listeners) > 4 {
		h.Skip("not here")
	}
	s, l, err := h.reads[i].Listen(h.ctx)
	require.NoError(h, err)
	h.snapshots = append(h.snapshots, heldSnapshot{s, h.model[i], fmt.Sprint(i)})
	h.listeners = append(h.listeners, &heldListener{listens: l, stream: i, ended: h.model[i].upper.IsEmpty()})
}

// Hear reads a part of what a listener has to hear.
func (h *history) Hear() {
	if len(h.listeners) == 0 {
		h.Skip("none is open")
	}
	l := rapid.SampledFrom(h.listeners).Draw(h.T, "listener")
	for range rapid.IntRange(0, len(l.heard)).Draw(h.T, "events") {
		e, err := l.Next(h.ctx)
		if h.down && errors.Is(err, mem.ErrUnavailable) {
			return
		}
		require.NoError(h, err)
		require.Equal(h, l.heard[0], e)
		l.heard = l.heard[1:]
	}
	if s := h.model[l.stream]; len(l.heard) == 0 && s.destroyed {
		_, err := l.Next(h.ctx)
		require.Condition(h, func() bool {
			return errors.Is(err, persist.ErrDestroyed) || s.upper.IsEmpty() && errors.Is(err, io.EOF)
		}, "%v", err)
	} else if len(l.heard) == 0 && s.upper.IsEmpty() {
		_, err := l.Next(h.ctx)
		require.ErrorIs(h, err, io.EOF)
	}
}

func (h *history) CloseListener() {
	if len(h.listeners) == 0 {
		h.Skip("none is open")
	}
	require.NoError(h, h.listeners[0].Close())
	h.listeners = h.listeners[1:]
}

func (h *history) Maintain() {
	if err := h.client.Maintain(h.ctx); h.down {
		if err != nil {
			require.ErrorIs(h, err, mem.ErrUnavailable)
		}
	} else {
		require.NoError(h, err)
	}
}

// Pass lets time pass, which background work waits for.
func (h *history) Pass() {
	if h.registry != nil {
		<-time.After(time.Second) // of the bubble
	}
}

func (h *history) Destroy() {
	if rapid.IntRange(0, 9).Draw(h.T, "really") > 0 {
		h.Skip("rarely")
	}
	i := h.stream()
	destroyed, err := h.client.Destroy(h.ctx, fmt.Sprint(i))
	if h.down && !h.model[i].destroyed {
		require.ErrorIs(h, err, storage.ErrNoEffect)
		return
	}
	require.NoError(h, err)
	require.Equal(h, !h.model[i].destroyed, destroyed)
	h.model = slices.Clone(h.model)
	h.model[i].destroyed = true
}

func (h *history) SwitchStorage() {
	if h.faults == nil {
		h.Skip("cannot fail here")
	}
	if h.down = !h.down; h.down {
		h.faults.SetDown()
	} else {
		h.faults.SetUp()
	}
}

func (h *history) Restart() {
	if h.down {
		h.Skip("the storage is down")
	}
	require.NoError(h, h.client.Stop())
	h.end()
	h.start()
}

// run holds one history against the model.
func (h *history) run() {
	h.start()
	defer func() {
		_ = h.client.Stop()
		h.close()
	}()
	actions := map[string]func(*rapid.T){"": func(t *rapid.T) { h.T = t; h.check() }}
	for name, action := range map[string]func(){
		"commands": h.Commands, "more commands": h.Commands, "uncertain": h.Uncertain, "snapshot": h.Snapshot,
		"read snapshot": h.ReadSnapshot, "close snapshot": h.CloseSnapshot, "listen": h.Listen, "hear": h.Hear,
		"close listener": h.CloseListener, "maintain": h.Maintain, "pass": h.Pass, "destroy": h.Destroy,
		"switch storage": h.SwitchStorage, "restart": h.Restart,
	} {
		actions[name] = func(t *rapid.T) { h.T = t; action() }
	}
	h.Repeat(actions)
	if !h.down {
		h.Restart()
		h.check()
	}
}

// TestModel holds random histories against the model: in memory, in a bubble of fake
// time, so that background work runs when the history says so.
func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Hidden in a struct, t is not asked for its deadline, which a bubble forbids.
		rapid.Check(struct{ *testing.T }{t}, func(rt *rapid.T) {
			registry := mem.NewRegistry(mem.WithGaps(rapid.Uint64().Draw(rt, "gaps")))
			faults := mem.NewUnreliable()
			cfg := tiny()
			cfg.MinStepInterval, cfg.FlushInterval = time.Millisecond, 100*time.Millisecond
			cfg.FlushBytes, cfg.ListenerWindowBytes = 512, 400
			h := &history{T: rt, ctx: t.Context(), registry: registry, faults: faults}
			h.open = func() (*persist.Client, error) { return registry.RuntimeUnreliable(t.Context(), faults, cfg) }
			h.run()
		})
	})
}

// TestModelHurried does so without a bubble, with background work all the time.
func TestModelHurried(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				p := kind.make(t)
				h := &history{T: rt, ctx: t.Context()}
				h.open = func() (*persist.Client, error) { return p.open(t.Context(), tiny()) }
				h.run()
			})
		})
	}
}
