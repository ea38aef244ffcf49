package program

import (
	"errors"
	"io"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

type snapshot = persist.Snapshot[string, string]

// snapshot returns a snapshot of a stream that is there, or false if the runtime failed.
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
		m.compare(s, m.worlds[0][i])
	}
}

// compare reads a snapshot, and closes it.
func (m *machine) compare(s *snapshot, want stream) {
	require.Equal(m, want.upper, s.Upper())
	require.Equal(m, want.since, s.Since())
	m.require(want.contents(), func() ([]Update, error) {
		got, err := s.ReadToEnd(m.ctx)
		return consolidated(got, want.moved), err
	})
	require.NoError(m, s.Close())
}

// require compares what a read returns, unless it fails.
func (m *machine) require(want []Update, read func() ([]Update, error)) {
	got, err := read()
	if err != nil {
		m.storageFailed(err)
		return
	}
	require.Equal(m, want, got)
	m.report.Checked++
}

func (m *machine) asOf(i int, t uint64) {
	s, ok := m.snapshot(i)
	if !ok {
		return
	}
	defer s.Close() //nolint:errcheck // returns nil, as documented
	want := m.worlds[0][i]
	read := func() (got []Update, err error) {
		for u, err := range s.AsOf(m.ctx, t) {
			if err != nil {
				return nil, err
			}
			got = append(got, u)
		}
		return consolidated(got, want.moved), nil
	}
	if !want.since.Admits(t) {
		_, err := read()
		require.ErrorIs(m, err, persist.ErrAsOfBeforeSince, "as of %d, since %s", t, want.since)
		return
	}
	m.require(want.asOf(t), read)
}

// heldSnapshot is a snapshot that is read later.
type heldSnapshot struct {
	snapshot *snapshot
	want     stream
}

func (m *machine) hold(i int) {
	if s, ok := m.snapshot(i); ok {
		m.held = append(m.held, heldSnapshot{s, m.worlds[0][i]})
	}
}

func (m *machine) readHeld() {
	for _, h := range m.held {
		m.compare(h.snapshot, h.want)
	}
	m.held = nil
}

// follow opens a read-only runtime beside the other one: it sees what was acknowledged.
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
	for i, w := range m.writes {
		if w == nil {
			continue
		}
		r, err := persist.Load(m.ctx, client, w.StreamName(), codec.String, codec.String)
		if err == nil {
			var s *snapshot
			if s, err = r.Snapshot(m.ctx); err == nil {
				m.compare(s, m.worlds[0][i])
			}
		}
		if err != nil {
			m.storageFailed(err)
			return
		}
	}
}

// listener is a listener, and the events that it has yet to deliver.
type listener struct {
	*persist.Listener[string, string]
	stream int
	want   []persist.ListenEvent[string, string]
}

func (m *machine) listen(i int) {
	s, l, err := m.reads[i].Listen(m.ctx)
	if err != nil {
		m.storageFailed(err)
		m.restart()
		return
	}
	m.listeners = append(m.listeners, &listener{Listener: l, stream: i})
	m.compare(s, m.worlds[0][i])
}

// expect adds what a listener hears of a command: its updates, then its seal.
func (l *listener) expect(c command) {
	for _, ch := range c {
		if ch.stream != l.stream {
			continue
		}
		if len(ch.updates) > 0 {
			l.want = append(l.want, persist.ListenEvent[string, string]{Updates: ch.updates})
		}
		if ch.seal != nil {
			l.want = append(l.want, persist.ListenEvent[string, string]{Sealed: *ch.seal})
		}
	}
}

// drain takes from every listener what it has to deliver: each event once, in order.
func (m *machine) drain() {
	m.forget(func(l *listener) bool {
		for _, want := range l.want {
			got, err := l.Next(m.ctx)
			if err != nil {
				m.storageFailed(err)
				return true
			}
			got.SeqNo = 0
			require.Equal(m, want, got)
			m.report.Checked++
		}
		l.want = nil
		if m.worlds[0][l.stream].upper.IsEmpty() {
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

// forget closes listeners.
func (m *machine) forget(gone func(*listener) bool) {
	m.listeners = slices.DeleteFunc(m.listeners, func(l *listener) bool {
		if gone(l) {
			require.NoError(m, l.Close())
			return true
		}
		return false
	})
}
