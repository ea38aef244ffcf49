package program

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

// streams is how many streams a program has. Each is registered when it is first used.
const streams = 3

func streamName(i int) string { return fmt.Sprint("stream ", i) }

// emptyWorld returns the model of a place that was never used.
func emptyWorld(t testing.TB) *tidemarktest.Model {
	w := tidemarktest.NewModel()
	for i := range streams {
		require.NoError(t, w.Create(streamName(i)))
	}
	return w
}

// frontiers returns the frontiers of a stream that exists.
func (m *machine) frontiers(stream string) frontier.Description {
	d, err := m.worlds[0].Description(stream)
	require.NoError(m, err)
	return d
}

// action is a command, or the destruction of a stream.
type action struct {
	command tidemarktest.Command
	destroy string // "" for a command
}

func (a action) String() string {
	if a.destroy != "" {
		return fmt.Sprintf("destroy %q", a.destroy)
	}
	return fmt.Sprint(a.command)
}

// apply returns the world after an action, or why it must be refused.
func (a action) apply(w *tidemarktest.Model) (*tidemarktest.Model, error) {
	after := w.Clone()
	if a.destroy != "" {
		_, err := after.Destroy(a.destroy)
		return after, err
	}
	return after, after.Apply(a.command)
}

// submitted takes the answer to an action. If several actions were submitted before the
// first had its answer, give their answers in the order of the calls. None of these actions
// may decide whether another is refused.
func (m *machine) submitted(a action, seqno storage.SeqNo, err error) {
	after, refused := a.apply(m.worlds[len(m.worlds)-1])
	switch {
	case err == nil:
		require.NoError(m, refused, "%s was accepted", a)
		require.Len(m, m.worlds, 1, "nothing is accepted behind an unknown outcome")
		m.report.Accepted++
		for _, l := range m.listeners {
			// A listener hears nothing after the end of its stream, and nothing of a
			// command that changes nothing.
			if !m.frontiers(l.stream).Upper.IsEmpty() && m.worlds[0].Changes(a.command) {
				l.expect(a.command, seqno)
			}
		}
		m.worlds[0] = after
	case errors.Is(err, persist.ErrOutcomeUnknown):
		m.storageFailed(err)
		require.NoError(m, refused, "%s must be refused, but its outcome is unknown: %v", a, err)
		m.report.Unknown++
		m.worlds = append(m.worlds, after)
	case errors.Is(err, storage.ErrNoEffect) || errors.Is(err, persist.ErrStopped):
		m.storageFailed(err)
	default:
		var reasons interface{ Unwrap() []error }
		require.ErrorAs(m, refused, &reasons, "%s is legal, but was refused: %v", a, err)
		same := func(reason error) bool { return errors.Is(err, reason) }
		require.True(m, slices.ContainsFunc(reasons.Unwrap(), same), "%s was refused: %v; want one of: %v", a, err, refused)
		m.report.Refused++
	}
}

// alive restarts the runtime if the answer to an action was that it failed.
func (m *machine) alive(err error) {
	if errors.Is(err, persist.ErrOutcomeUnknown) || errors.Is(err, persist.ErrStopped) {
		m.restart()
	}
}

// settle finds out which of the worlds is there, in a runtime that was just opened. If the
// storage fails again meanwhile, settle repairs it: otherwise no number of restarts might
// be enough.
func (m *machine) settle() {
	for i := 0; i < streams && len(m.worlds) > 1; i++ {
		seen, err := m.look(i)
		if err != nil {
			m.storageFailed(err)
			m.stop()
			m.repair()
			m.open() // settles all streams
			return
		}
		possible := slices.DeleteFunc(slices.Clone(m.worlds), func(w *tidemarktest.Model) bool { return !seen.isOf(w) })
		require.NotEmpty(m, possible, "%+v is in none of the worlds of what was acknowledged and the first of %d commands whose outcome is unknown", seen, len(m.worlds)-1)
		m.worlds = possible
	}
	m.worlds = m.worlds[:1] // no read can tell the remaining worlds apart
}

// sight is what a reader sees of a stream.
type sight struct {
	stream    string
	destroyed bool
	frontier.Description
	rows []tidemarktest.Update
}

func (m *machine) look(i int) (seen sight, err error) {
	seen.stream = streamName(i)
	switch err := m.load(i); {
	case errors.Is(err, persist.ErrDestroyed):
		seen.destroyed = true
		return seen, nil
	case err != nil:
		return seen, err
	}
	snapshot, err := m.reads[i].Snapshot(m.ctx)
	if err != nil {
		return seen, err
	}
	defer snapshot.Close() //nolint:errcheck // returns nil, as documented
	seen.Upper, seen.Since = snapshot.Upper(), snapshot.Since()
	seen.rows, err = snapshot.ReadToEnd(m.ctx)
	return seen, err
}

// isOf reports whether a reader of this world may see this.
func (s *sight) isOf(w *tidemarktest.Model) bool {
	d, err := w.Description(s.stream)
	if err != nil || s.destroyed {
		return s.destroyed && errors.Is(err, persist.ErrDestroyed)
	}
	rows := s.rows
	if d.Since.IsEmpty() {
		rows, _ = w.Advance(s.stream, rows) // the stream is there
	}
	want, _ := w.Contents(s.stream)
	return d == s.Description && slices.Equal(want, rows)
}
