package program

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/tidemarktest"
)

// Place is where a program runs. A place that never fails needs only Open.
type Place struct {
	// Open opens a runtime. It is called again after each restart, when the runtime
	// before has stopped.
	Open func(ctx context.Context, cfg persist.Config) (*persist.Client, error)
	// OpenRead opens a read-only runtime beside the other one. nil means none.
	OpenRead func(ctx context.Context, cfg persist.Config) (*persist.ReadClient, error)
	// Struck reports whether the storage has begun to fail. nil means that it never fails.
	Struck func() bool
	// Repair ends the failures for good, as a new disk or the return of power does. No
	// runtime is open then.
	Repair func()
}

// Report says what a program has done.
type Report struct {
	Programs          int
	Accepted, Refused int // commands
	Unknown           int // commands whose outcome was unknown
	Failed            int // commands and reads that failed with the storage, and had no effect
	Checked           int // reads that were compared with the model
	Opened            int // times that the runtime was opened

	kinds [opCount]int // commands by opcode, of streams that were there
}

func (r *Report) add(o Report) {
	r.Programs += o.Programs
	r.Accepted, r.Refused, r.Unknown = r.Accepted+o.Accepted, r.Refused+o.Refused, r.Unknown+o.Unknown
	r.Failed, r.Checked, r.Opened = r.Failed+o.Failed, r.Checked+o.Checked, r.Opened+o.Opened
	for op, n := range o.kinds {
		r.kinds[op] += n
	}
}

// patience bounds every wait of a program. It never decides a result: a program that
// reaches it hangs.
const patience = 20 * time.Second

// maxCommands limits a program to milliseconds.
const maxCommands = 48

// machine runs one program on one place.
type machine struct {
	testing.TB
	ctx    context.Context
	place  Place
	cfg    persist.Config
	report Report

	// worlds are what the place may hold: worlds[k] has the first k of the commands whose
	// outcome is unknown. While a runtime is open that has not failed, there is one world.
	// Worlds are replaced and never changed.
	worlds []*tidemarktest.Model

	client    *persist.Client
	writes    [streams]*persist.WriteHandle[string, string]
	reads     [streams]*persist.ReadHandle[string, string]
	held      []heldSnapshot
	listeners []*listener
}

// Run runs a program on an empty place.
func Run(t testing.TB, place Place, program []byte) Report {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if place.Struck == nil {
		place.Struck = func() bool { return false }
		place.Repair = func() {}
	}
	c := code(program)
	shape := c.byte()
	m := &machine{TB: t, ctx: ctx, place: place, worlds: []*tidemarktest.Model{emptyWorld(t)}, cfg: config(shape), report: Report{Programs: 1}}
	m.open()
	for n := 0; len(c) > 0 && n < maxCommands; n++ {
		m.step(&c)
	}
	m.end()
	return m.report
}

// config returns a config without automatic background work, so that a program does the
// same each time. Only Client.Maintain does background work.
func config(shape byte) persist.Config {
	cfg := persist.Config{MinStepInterval: time.Hour, FlushInterval: -1, PartBytes: 64, ListenerWindowBytes: 64, CacheSizeLimit: 1}
	if shape&1 != 0 {
		cfg.PartBytes, cfg.ListenerWindowBytes = 4096, 1<<20
	}
	if shape&2 != 0 {
		cfg.CacheSizeLimit = 1 << 20
	}
	return cfg
}

// open opens the runtime. If the outcome of commands was unknown, it finds out which of the
// worlds is there.
func (m *machine) open() {
	client, err := m.place.Open(m.ctx, m.cfg)
	if err != nil {
		m.storageFailed(err)
		m.repair()
		client, err = m.place.Open(m.ctx, m.cfg)
	}
	require.NoError(m, err, "open a place that is whole")
	m.report.Opened++
	m.client = client
	m.writes, m.reads = [streams]*persist.WriteHandle[string, string]{}, [streams]*persist.ReadHandle[string, string]{}
	m.settle()
}

// load makes sure that there are handles of a stream.
func (m *machine) load(i int) error {
	if m.writes[i] != nil {
		return nil
	}
	w, r, err := persist.CreateOrLoad(m.ctx, m.client, streamName(i), codec.String, codec.String)
	if err == nil {
		m.writes[i], m.reads[i] = w, r
	}
	return err
}

// usable loads a stream. It returns false if the stream was destroyed, or if the storage
// failed and the runtime was opened again.
func (m *machine) usable(i int) bool {
	_, err := m.worlds[0].Description(streamName(i))
	destroyed := errors.Is(err, persist.ErrDestroyed)
	switch err := m.load(i); {
	case errors.Is(err, persist.ErrDestroyed):
		require.True(m, destroyed, "stream %d: %v", i, err)
		return false
	case err != nil:
		m.storageFailed(err)
		m.restart()
		return false
	}
	require.False(m, destroyed, "stream %d is there again", i)
	return true
}

// repair ends the failures of the storage.
func (m *machine) repair() {
	m.place.Repair()
	m.place.Struck = func() bool { return false }
}

// storageFailed checks that an error may come from the storage.
func (m *machine) storageFailed(err error) {
	m.report.Failed++
	require.True(m, m.place.Struck(), "the storage is whole: %v", err)
	require.NotErrorIs(m, err, context.DeadlineExceeded, "it hangs")
	require.NotErrorIs(m, err, persist.ErrCorrupt, "a failure is not damage")
	require.NotErrorIs(m, err, persist.ErrNewerFormat)
}

// restart stops the runtime and opens the next one.
func (m *machine) restart() {
	m.stop()
	m.open()
}

func (m *machine) stop() {
	for _, h := range m.held {
		require.NoError(m, h.snapshot.Close())
	}
	for _, l := range m.listeners {
		require.NoError(m, l.Close())
	}
	m.held, m.listeners = nil, nil
	if err := m.client.Stop(); err != nil {
		m.storageFailed(err)
	}
}

// end compares everything after a restart on a place that does not fail, and after one more
// restart: recovery itself must have changed nothing.
func (m *machine) end() {
	m.stop()
	m.repair()
	m.open()
	for range 2 {
		for i := range streams {
			m.check(i)
		}
		m.restart()
	}
	m.maintain()
	for i := range streams {
		m.check(i)
	}
	m.stop()
}
