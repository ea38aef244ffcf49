package file

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// Limits so small that a few hundred commands make every part of the engine work.
func smallConfig() persist.Config {
	return persist.Config{
		MinStepInterval: 1, FlushInterval: -1,
		MaxTailBytes: 16 << 10, FlushBytes: 1200, MaxLogBytes: 10 << 10, MaxGroupBytes: 2 << 10, PartBytes: 1 << 10,
	}
}

// openStore opens the store of a file system. If the test fails, the store is closed
// before the test's bubble ends.
func openStore(t *testing.T, m *disk.Disk) *persist.Client {
	t.Helper()
	c, err := Open(t.Context(), "/db", smallConfig(), withFileSystem(m), SegmentSize(MinSegmentSize, MinSegmentSize))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// told is what the client of a store has been told, in commands: what it has
// handed over, and what of that was acknowledged.
type told struct{ acked, submitted int }

// storeSession is a client at work on a store, and the model of what it has done.
type storeSession struct {
	t       *testing.T
	m       *disk.Disk
	c       *persist.Client
	rng     *rand.Rand
	states  []storeModel // after each command, refused ones left out; [0] is empty
	told    told
	waiting []*persist.Future[storage.SeqNo] // of the commands after told.acked
	writers map[string]*rowWriter
	did     map[string]int
}

func (s *storeSession) open() {
	s.t.Helper()
	s.c, s.writers = openStore(s.t, s.m), map[string]*rowWriter{}
}

func (s *storeSession) state() storeModel { return s.states[len(s.states)-1] }

func (s *storeSession) writer(name string) *rowWriter {
	if w := s.writers[name]; w != nil {
		return w
	}
	kc, vc := codecs(name)
	w, _, err := persist.CreateOrLoad(s.t.Context(), s.c, name, kc, vc)
	require.NoError(s.t, err)
	s.writers[name] = w
	return w
}

// submit hands a command over. The mark that says so comes first.
func (s *storeSession) submit(c storeCommand) {
	ctx := s.t.Context()
	before := s.state()
	if c.create == "" && c.destroy == "" {
		for _, p := range c.parts {
			s.writer(p.stream)
		}
	}
	s.states = append(s.states, before.apply(c))
	s.told.submitted++
	s.m.Mark(s.told)
	var f *persist.Future[storage.SeqNo]
	switch {
	case c.create != "":
		s.did["create"]++
		s.writer(c.create)
		s.wait() // those before it have been answered before
		s.acknowledge()
		return
	case c.destroy != "":
		s.did["destroy"]++
		destroyed, err := s.c.Destroy(ctx, c.destroy)
		require.NoError(s.t, err)
		require.True(s.t, destroyed)
		s.wait()
		s.acknowledge()
		return
	default:
		f = s.write(c)
	}
	s.waiting = append(s.waiting, f)
}

// write hands over a command that is about streams which exist.
func (s *storeSession) write(c storeCommand) *persist.Future[storage.SeqNo] {
	ctx := s.t.Context()
	if p := c.parts[0]; len(c.parts) == 1 {
		w, upper := s.writer(p.stream), s.states[len(s.states)-2][p.stream].upper
		switch {
		case p.cas:
			s.did["compare and append"]++
			return w.CompareAndAppend(ctx, p.updates, upper, *p.seal)
		case p.allow != nil:
			s.did["allow compaction"]++
			return w.AllowCompaction(ctx, *p.allow)
		case p.seal != nil && p.seal.IsEmpty():
			s.did["finish"]++
			return w.Finish(ctx)
		}
	}
	s.did[fmt.Sprintf("write to %d", len(c.parts))]++
	var streams []persist.Stream
	for _, p := range c.parts {
		streams = append(streams, s.writer(p.stream))
	}
	multi, err := persist.NewMultiWriteHandle(streams...)
	require.NoError(s.t, err)
	return multi.WriteAtomic(ctx, func(b *persist.AtomicWrite) error {
		var errs []error
		for _, p := range c.parts {
			errs = append(errs, persist.AddWrite(b, s.writer(p.stream), p.updates))
			if p.seal != nil {
				at, _ := p.seal.Elem()
				errs = append(errs, persist.AddSeal(b, s.writer(p.stream), at))
			}
		}
		return errors.Join(errs...)
	})
}

// wait waits for the answers to what was submitted.
func (s *storeSession) wait() {
	for _, f := range s.waiting {
		seqno, err := f.Wait(s.t.Context())
		require.NoError(s.t, err)
		s.acknowledge()
		require.EqualValues(s.t, s.told.acked, seqno, "every command is one entry of the log")
	}
	s.waiting = nil
}

func (s *storeSession) acknowledge() {
	s.told.acked++
	s.m.Mark(s.told)
}

// refuse hands over a command that the store must refuse: nothing of it may ever be
// seen.
func (s *storeSession) refuse() {
	s.wait()
	open := s.state().open()
	if len(open) == 0 {
		return
	}
	s.did["refused"]++
	upper, _ := s.state()[open[0]].upper.Elem()
	_, err := s.writer(open[0]).CompareAndAppend(s.t.Context(), []rowUpdate{{Key: "never", Time: upper + 8, Diff: 1}},
		frontier.At(upper+7), frontier.At(upper+9)).Wait(s.t.Context())
	require.ErrorIs(s.t, err, persist.ErrUpperMismatch)
}

// recording is one run of a workload.
type recording struct {
	journal *disk.Journal
	states  []storeModel
	did     map[string]int
}

// recordStore runs a workload of so many commands.
func recordStore(t *testing.T, seed uint64, commands int) (r recording) {
	synctest.Test(t, func(t *testing.T) {
		m := disk.New()
		s := &storeSession{
			t: t, m: m, rng: rand.New(rand.NewPCG(seed, 0)), states: []storeModel{{}}, did: map[string]int{},
		}
		r.journal = m.Record()
		m.Mark(s.told)
		s.open()
		for range commands {
			s.submit(s.state().next(s.rng))
			if s.rng.IntN(3) > 0 {
				s.wait()
			}
			switch p := s.rng.IntN(120); {
			case p < 40:
				synctest.Wait() // what is done in the background is done
			case p < 42:
				s.refuse()
			case p < 44:
				s.did["maintain"]++
				require.NoError(t, s.c.Maintain(t.Context()))
			case p < 47:
				s.wait()
				s.did["reopen"]++
				require.NoError(t, s.c.Close())
				s.open()
			}
		}
		s.wait()
		require.NoError(t, s.c.Close())
		m.End()
		r.states, r.did = s.states, s.did
	})
	for _, st := range r.journal.Steps() {
		switch base := filepath.Base(st.Name); {
		case st.Op == "":
		case st.Op == "rename" && strings.HasPrefix(filepath.Base(st.To), sparePrefix) && !strings.HasPrefix(base, tempPrefix):
			r.did["segment truncated"]++
		case st.Op == "rename" && strings.HasPrefix(base, sparePrefix):
			r.did["segment made"]++
		case st.Op == "rename" && filepath.Base(st.To) == blobPath("manifest/base"):
			r.did["manifest base"]++
		case st.Op == "rename" && strings.Contains(st.To, "manifest"):
			r.did["manifest edit"]++
		case st.Op == "rename" && strings.Contains(st.To, "batch"):
			r.did["batch written"]++
		case st.Op == "remove" && strings.Contains(st.Name, "batch"):
			r.did["batch removed"]++
		}
		r.did["op "+st.Op]++
	}
	return r
}

// requireActive checks that a run did everything that it is there for.
func (r recording) requireActive(t *testing.T) {
	for _, what := range []string{
		"create", "destroy", "finish", "compare and append", "allow compaction", "write to 1", "write to 2", "write to 3",
		"refused", "maintain", "reopen", "segment made", "segment truncated",
		"manifest base", "manifest edit", "batch written", "batch removed",
		"op create", "op mkdir", "op rename", "op remove", "op write", "op truncate", "op sync", "op datasync", "op syncDir",
	} {
		require.NotZero(t, r.did[what], "the workload has done too little: no %s among %v", what, r.did)
	}
	require.Greater(t, len(r.journal.Steps()), 2500)
}
