package program

import (
	"errors"
	"io"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

type snapshot = persist.Snapshot[string, string]

// snapshot returns a snapshot of a stream that exists, or false if the runtime failed.
func (m *machine) snapshot(i int) (*snapshot, bool) {
	s, err := m.reads[i].Snapshot(m.ctx)
	if err != nil {
		m.storageFailed(err)
		m.restart()
		return nil, false
	}
	return s, true
}

// check compares a stream with the model.
func (m *machine) check(i int) {
	if !m.usable(i) {
		return
	}
	if s, ok := m.snapshot(i); ok {
		m.compare(s, m.worlds[0], streamName(i))
	}
}

// compare reads a snapshot, and closes it.
func (m *machine) compare(s *snapshot, w *tidemarktest.Model, stream string) {
	want, err := w.Description(stream)
	require.NoError(m, err)
	require.Equal(m, want, frontier.Description{Upper: s.Upper(), Since: s.Since()})
	rows, err := w.Contents(stream)
	require.NoError(m, err)
	m.require(rows, func() ([]tidemarktest.Update, error) {
		got, err := s.ReadToEnd(m.ctx)
		if err == nil && want.Since.IsEmpty() {
			return w.Advance(stream, got)
		}
		return got, err
	})
	require.NoError(m, s.Close())
}

// require compares what a read returns, unless it fails.
func (m *machine) require(want []tidemarktest.Update, read func() ([]tidemarktest.Update, error)) {
	got, err := read()
	if err != nil {
		m.storageFailed(err)
		return
	}
	require.True(m, slices.Equal(want, got), "read %v, want %v", got, want)
	m.report.Checked++
}

func (m *machine) asOf(i int, t uint64) {
	s, ok := m.snapshot(i)
	if !ok {
		return
	}
	defer s.Close() //nolint:errcheck // returns nil, as documented
	read := func() (got []tidemarktest.Update, err error) {
		for u, err := range s.AsOf(m.ctx, t) {
			if err != nil {
				return nil, err
			}
			got = append(got, u)
		}
		return got, nil
	}
	want, refused := m.worlds[0].AsOf(streamName(i), t)
	if refused != nil {
		_, err := read()
		require.ErrorIs(m, err, refused, "as of %d, since %s", t, s.Since())
		return
	}
	m.require(want, read)
}

// heldSnapshot is a snapshot that is read later.
type heldSnapshot struct {
	snapshot *snapshot
	world    *tidemarktest.Model
	stream   string
}

func (m *machine) hold(i int) {
	if s, ok := m.snapshot(i); ok {
		m.held = append(m.held, heldSnapshot{s, m.worlds[0], streamName(i)})
	}
}

func (m *machine) readHeld() {
	for _, h := range m.held {
		m.compare(h.snapshot, h.world, h.stream)
	}
	m.held = nil
}

// follow opens a read-only runtime beside the other one. It must see everything that was
// acknowledged.
func (m *machine) follow() {
	if m.place.OpenRead == nil {
		return
	}
	client, err := m.place.OpenRead(m.ctx, m.cfg)
	if err != nil {
		m.storageFailed(err)
		return
	}
	defer func() {
		if err := client.Stop(); err != nil {
			m.storageFailed(err)
		}
	}()
	for _, w := range m.writes {
		if w == nil {
			continue
		}
		r, err := persist.Load(m.ctx, client, w.StreamName(), codec.String, codec.String)
		if err == nil {
			var s *snapshot
			if s, err = r.Snapshot(m.ctx); err == nil {
				m.compare(s, m.worlds[0], w.StreamName())
			}
		}
		if err != nil {
			m.storageFailed(err)
			return
		}
	}
}

// listener is a listener, and the events that it still has to deliver.
type listener struct {
	*persist.Listener[string, string]
	stream string
	want   []persist.ListenEvent[string, string]
}

func (m *machine) listen(i int) {
	s, l, err := m.reads[i].Listen(m.ctx)
	if err != nil {
		m.storageFailed(err)
		m.restart()
		return
	}
	m.listeners = append(m.listeners, &listener{Listener: l, stream: streamName(i)})
	m.compare(s, m.worlds[0], streamName(i))
}

// expect adds what a listener hears of a command that took effect.
func (l *listener) expect(c tidemarktest.Command, seqno storage.SeqNo) {
	for _, e := range c.Events(l.stream) {
		e.SeqNo = seqno
		l.want = append(l.want, e)
	}
}

// drain takes from every listener the events that it has to deliver: each once, in order.
func (m *machine) drain() {
	m.forget(func(l *listener) bool {
		for _, want := range l.want {
			got, err := l.Next(m.ctx)
			if err != nil {
				m.storageFailed(err)
				return true
			}
			require.Equal(m, want, got)
			m.report.Checked++
		}
		l.want = nil
		if m.frontiers(l.stream).Upper.IsEmpty() {
			got, err := l.Next(m.ctx)
			require.Error(m, err, "behind the end there is %+v", got)
			if !errors.Is(err, io.EOF) {
				m.storageFailed(err)
			}
			return true
		}
		return false
	})
}

// forget closes listeners, and drops them.
func (m *machine) forget(gone func(*listener) bool) {
	m.listeners = slices.DeleteFunc(m.listeners, func(l *listener) bool {
		if gone(l) {
			require.NoError(m, l.Close())
			return true
		}
		return false
	})
}
