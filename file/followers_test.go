//go:build unix

package file_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/storage"
)

// session is what a reader saw of a stream from one snapshot on.
type session struct {
	view   *view
	asked  bool // for this snapshot alone: nothing follows
	events []*heard
}

// follower is a reader in a process of its own. A goroutine takes down what it says,
// which ends when the process does.
type follower struct {
	*childProcess
	done   chan struct{}
	killed bool          // set when it is stopped
	all    chan struct{} // a token for each snapshot of all streams that was said

	mu       sync.Mutex // guards what follows
	sessions []*session
	now      map[string]*session
	lagged   int
	moved    chan struct{} // closed and replaced with each line
}

func startFollower(t *testing.T, dir string) *follower {
	f := &follower{
		childProcess: startChild(t, childRole{Role: "reader", Dir: dir}),
		done:         make(chan struct{}), all: make(chan struct{}, 100), now: map[string]*session{}, moved: make(chan struct{}),
	}
	for open := false; !open; {
		s, ok := f.childProcess.hear()
		require.True(t, ok, "%s", &f.errs)
		f.take(s)
		open = s.What == "open"
	}
	go func() {
		defer close(f.done)
		for {
			s, ok := f.childProcess.hear()
			if !ok {
				return
			}
			f.take(s)
		}
	}()
	return f
}

func (f *follower) take(s said) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s.What {
	case "listening":
		f.now[s.View.Stream] = &session{view: s.View}
		f.sessions = append(f.sessions, f.now[s.View.Stream])
	case "snapshot":
		f.sessions = append(f.sessions, &session{view: s.View, asked: true})
	case "heard":
		now := f.now[s.Event.Stream]
		now.events = append(now.events, s.Event)
	case "lagged":
		f.lagged++
	case "all":
		f.all <- struct{}{}
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

// reach waits until the follower has heard, or has in a snapshot, what happened to a
// stream at a position.
func (f *follower) reach(stream string, at storage.SeqNo) {
	never := time.After(30 * time.Second) // so that what is lost does not end in a hang
	for {
		f.mu.Lock()
		s, moved := f.now[stream], f.moved
		there := s != nil && (s.view.SeqNo >= at || len(s.events) > 0 && s.events[len(s.events)-1].SeqNo >= at)
		f.mu.Unlock()
		if there {
			return
		}
		select {
		case <-moved:
		case <-f.done:
			require.Fail(f.t, "a follower ended", "%s", &f.errs)
		case <-never:
			require.Fail(f.t, "a follower never heard the end", "what happened to stream %q at position %s", stream, at)
		}
	}
}

// stop ends the follower, with SIGKILL or in its own time.
func (f *follower) stop(kill bool) {
	if f.killed = kill; kill {
		_ = f.cmd.Process.Kill()
	} else {
		require.NoError(f.t, f.in.Close())
	}
	<-f.done
	f.childProcess.kill()
}

// TestFollowersOfADyingWriter: processes that only read listen to a location, while
// its writer writes, compacts, truncates its log, is killed and started again; they
// are themselves stopped for a while, killed and started again. What each has seen is
// exactly what was written up to there; a snapshot contains what was acknowledged
// before it was asked for.
func TestFollowersOfADyingWriter(t *testing.T) {
	seeds, rounds := proof.Pick(1, 3, 20), proof.Pick(3, 12, 40)
	var ran, events, sessions, lagged atomic.Int64
	proof.Run(t, seeds, func(t *testing.T, seed uint64) {
		ran.Add(1)
		rng := rand.New(rand.NewPCG(seed, 3))
		dir := t.TempDir()
		l := newLedger()
		l.keep = true
		var followers, all []*follower
		for round := range rounds {
			w := startWriter(t, dir, seed, round+1, l)
			for len(followers) < 3 {
				f := startFollower(t, dir)
				followers, all = append(followers, f), append(all, f)
			}
			paused := followers[rng.IntN(len(followers))]
			if round%3 == 1 {
				paused.signal(syscall.SIGSTOP)
			}
			w.acks(50 + rng.IntN(200))
			acked := l.newestAcked()
			awake := followers[0]
			if awake == paused {
				awake = followers[1]
			}
			awake.requireSnapshots(acked, func() { w.acks(20) })
			paused.signal(syscall.SIGCONT)
			w.end(rng.IntN(4) > 0)
			if i := rng.IntN(6); i < len(followers) {
				followers[i].stop(rng.IntN(2) == 0)
				followers = slices.Delete(followers, i, i+1)
			}
		}
		// One more process, whose last words everybody hears.
		w := startWriter(t, dir, seed, rounds+1, l)
		w.acks(50)
		w.end(false)
		views, err := viewDir(t.Context(), dir)
		require.NoError(t, err)
		require.NoError(t, l.settle(views))
		for _, f := range followers {
			f.requireSnapshots(l.newestAcked(), func() {})
			for name, at := range l.lastEvents() {
				f.reach(name, at)
			}
			f.stop(false)
		}
		for i, f := range all {
			lagged.Add(int64(f.lagged))
			for _, s := range f.sessions {
				require.NoError(t, l.checkSession(s, f.killed), "follower %d of %d", i, len(all))
				events.Add(int64(len(s.events)))
				sessions.Add(1)
			}
		}
	})
	if t.Failed() {
		return
	}
	t.Logf("%d events in %d snapshots, %d times cut off", events.Load(), sessions.Load(), lagged.Load())
	require.Greater(t, events.Load(), ran.Load()*int64(rounds)*100)
	proof.Reached(t, 6, "events that followers of killed writers heard", events.Load())
}

// requireSnapshots asks for a snapshot of each stream, and requires that they reflect
// what was acknowledged before.
func (f *follower) requireSnapshots(acked storage.SeqNo, meanwhile func()) {
	f.t.Helper()
	f.mu.Lock()
	from := len(f.sessions)
	f.mu.Unlock()
	f.tell("snapshot")
	meanwhile()
	select {
	case <-f.all:
	case <-f.done:
		require.Fail(f.t, "a follower ended", "%s", &f.errs)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := 0
	for _, s := range f.sessions[from:] {
		if s.asked {
			asked++
			require.GreaterOrEqual(f.t, s.view.SeqNo, acked, "a snapshot of %q misses what was acknowledged", s.view.Stream)
		}
	}
	require.Len(f.t, fixedStreams(), asked)
}

// TestFollowersChangeNothing: readers of a location that nobody writes to leave every
// byte and every name as it is.
func TestFollowersChangeNothing(t *testing.T) {
	dir := t.TempDir()
	l := newLedger()
	w := startWriter(t, dir, 1, 1, l)
	w.acks(100)
	w.end(true)
	before := digest(t, dir)
	var followers []*follower
	for range 2 {
		followers = append(followers, startFollower(t, dir))
	}
	for i, f := range followers {
		f.requireSnapshots(l.newestAcked(), func() {})
		f.stop(i == 0)
	}
	require.Equal(t, before, digest(t, dir))
}

// newestAcked returns the newest position that was acknowledged.
func (l *ledger) newestAcked() (newest storage.SeqNo) {
	for _, c := range l.history {
		newest = max(newest, c.seqno)
	}
	for _, c := range l.open {
		newest = max(newest, c.seqno)
	}
	return newest
}

// runningWriter is a writer whose words go into a ledger.
type runningWriter struct {
	*childProcess
	ledger *ledger
}

// startWriter starts a writer and settles with its ledger what it finds.
func startWriter(t *testing.T, dir string, seed uint64, incarnation int, l *ledger) *runningWriter {
	w := &runningWriter{startChild(t, childRole{Role: "writer", Dir: dir, Seed: seed, Incarnation: incarnation}), l}
	var views []*view
	for {
		s, ok := w.hear()
		require.True(t, ok, "%s", &w.errs)
		switch s.What {
		case "view":
			views = append(views, s.View)
		case "loaded":
			require.NoError(t, l.settle(views))
			return w
		}
	}
}

// acks waits for so many acknowledgements.
func (w *runningWriter) acks(n int) {
	for n > 0 {
		s, ok := w.hear()
		require.True(w.t, ok, "%s", &w.errs)
		require.NoError(w.t, w.ledger.hear(s))
		if s.What == "acked" {
			n--
		}
	}
}

// end ends the writer.
func (w *runningWriter) end(kill bool) {
	var rest []said
	if kill {
		rest = w.kill()
	} else {
		rest = w.childProcess.end()
	}
	for _, s := range rest {
		require.NoError(w.t, w.ledger.hear(s))
	}
}
