//go:build unix

package file_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file"
	"github.com/tidemark-go/tidemark/internal/proof"
)

// TestKills kills a process that does everything at once, again and again, at random
// moments of its work, of its opening and of its closing. It says every command
// before it asks for it and every answer when it has it. Whatever was acknowledged
// is there, once; of what was not, a beginning is, and each command as a whole;
// frontiers never go back; and the next process goes on with the same location.
func TestKills(t *testing.T) {
	stores, kills := proof.Pick(1, 4, 20), proof.Pick(5, 50, 100)
	var total struct {
		sync.Mutex
		killer
	}
	proof.Run(t, stores, func(t *testing.T, seed uint64) {
		k := &killer{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 6)), seed: seed, ledger: newLedger()}
		for k.kills < kills {
			k.round()
		}
		k.finish()
		total.Lock()
		defer total.Unlock()
		total.add(k)
	})
	if t.Failed() {
		return
	}
	f := &total.figures
	t.Logf("%d kills: %d while opening, %d while closing; %d processes ended by themselves; %+v", total.kills, total.opening, total.closing, total.ended, *f)
	if proof.Current() != proof.Smoke && os.Getenv("TIDEMARK_SEED") == "" {
		require.Greater(t, total.opening, total.kills/20, "killed while opening")
		require.Positive(t, total.closing, "killed while closing")
		require.Positive(t, total.ended, "ended by themselves")
		require.Greater(t, f.acked, 20*total.kills, "acknowledged")
		require.Greater(t, f.survived, total.kills/10, "not acknowledged and there")
		require.Greater(t, f.lost, total.kills/10, "not acknowledged and not there")
		require.Positive(t, f.refused, "refused")
		require.Positive(t, f.created, "created")
		require.Positive(t, f.dropped, "destroyed")
	}
	require.Positive(t, f.acked)
	proof.Reached(t, 6, "kills", total.kills)
	proof.Reached(t, 6, "commands acknowledged before a kill", f.acked)
}

// killer kills the writers of one location.
type killer struct {
	t      *testing.T
	dir    string
	rng    *rand.Rand
	seed   uint64
	ledger *ledger

	incarnation int
	loaded      bool // some process has said what is there

	kills, opening, closing, ended int
	figures                        figures
}

func (k *killer) add(other *killer) {
	k.kills += other.kills
	k.opening += other.opening
	k.closing += other.closing
	k.ended += other.ended
	f, g := &k.figures, other.ledger.figures
	f.acked += g.acked
	f.refused += g.refused
	f.survived += g.survived
	f.lost += g.lost
	f.created += g.created
	f.dropped += g.dropped
}

// moment is when a process is to die.
type moment struct {
	says  string        // after it has said this
	times int           // so often
	close bool          // it is told to end then
	delay time.Duration // and so much later it is killed
	lives bool          // unless it may end by itself
}

// enough acknowledgements kill a process that does not say what was waited for.
const enough = 400

func (k *killer) choose() moment {
	later := time.Duration(k.rng.IntN(2000)) * time.Microsecond
	switch p := k.rng.IntN(100); {
	case p < 45:
		return moment{says: "acked", times: 1 + k.rng.IntN(150)}
	case p < 50:
		return moment{says: "acked", times: 1 + k.rng.IntN(enough)}
	case p < 60:
		return moment{says: "submit", times: 1 + k.rng.IntN(200), delay: later}
	case p < 68:
		return moment{says: "maintained", times: 1 + k.rng.IntN(3), delay: later}
	case p < 80:
		return moment{says: "starting", times: 1, delay: 5 * later}
	case p < 88:
		return moment{says: []string{"log", "open", "view"}[k.rng.IntN(3)], times: 1 + k.rng.IntN(3)}
	case p < 96:
		return moment{says: "acked", times: 1 + k.rng.IntN(100), delay: later, close: true}
	default:
		return moment{says: "acked", times: 1 + k.rng.IntN(100), close: true, lives: true}
	}
}

// round starts a process, kills it and takes note of what it said.
func (k *killer) round() {
	k.incarnation++
	m := k.choose()
	c := startChild(k.t, childRole{Role: "writer", Dir: k.dir, Seed: k.seed, Incarnation: k.incarnation})
	var views []*view
	loaded, stopped := false, false
	take := func(s said) {
		switch s.What {
		case "view":
			views = append(views, s.View)
		case "loaded":
			loaded, k.loaded = true, true
			require.NoError(k.t, k.ledger.settle(views), "incarnation %d finds what %d left", k.incarnation, k.incarnation-1)
		case "stopped":
			stopped = true
		default:
			require.NoError(k.t, k.ledger.hear(s))
		}
	}
	for times, acked := 0, 0; times < m.times && acked < enough; {
		s, ok := c.hear()
		require.True(k.t, ok, "incarnation %d ended by itself: %s", k.incarnation, &c.errs)
		take(s)
		if s.What == "acked" {
			acked++
		}
		if s.What == m.says {
			times++
		}
	}
	var rest []said
	switch {
	case m.lives:
		rest = c.end()
	case m.close:
		require.NoError(k.t, c.in.Close())
		fallthrough
	default:
		if m.delay > 0 {
			<-time.After(m.delay)
		}
		rest = c.kill()
	}
	for _, s := range rest {
		take(s)
	}
	switch {
	case c.cmd.ProcessState.Exited():
		require.True(k.t, c.cmd.ProcessState.Success(), "incarnation %d: %s: %s", k.incarnation, c.cmd.ProcessState, &c.errs)
		k.ended++
	case stopped || m.close:
		k.kills++
		k.closing++
	case !loaded:
		k.kills++
		k.opening++
	default:
		k.kills++
	}
	if k.loaded && k.incarnation%8 == 0 {
		k.look()
	}
}

// look reads the location as it was left, without a writer, and finds everything
// that was acknowledged; and looking changes nothing.
func (k *killer) look() {
	before := digest(k.t, k.dir)
	views, err := viewDir(k.t.Context(), k.dir)
	require.NoError(k.t, err)
	require.NoError(k.t, k.ledger.check(views), "read after incarnation %d", k.incarnation)
	require.Equal(k.t, before, digest(k.t, k.dir), "a reader changed something")
}

// finish opens the location in this process, and again after everything was moved to
// batches.
func (k *killer) finish() {
	cfg, segments := hurried()
	client, err := file.Open(k.t.Context(), k.dir, cfg, segments)
	require.NoError(k.t, err)
	views := viewClient(k.t, client)
	require.NoError(k.t, k.ledger.settle(views))
	require.NoError(k.t, client.Maintain(k.t.Context()))
	require.NoError(k.t, k.ledger.settle(viewClient(k.t, client)), "after maintenance")
	require.NoError(k.t, client.Stop())
	views, err = viewDir(k.t.Context(), k.dir)
	require.NoError(k.t, err)
	require.NoError(k.t, k.ledger.settle(views), "after a clean end")

	if proof.Current() == proof.Smoke {
		return
	}
	names, err := filepath.Glob(filepath.Join(k.dir, "log", "*.log"))
	require.NoError(k.t, err)
	require.NotContains(k.t, names[0], "0000000000000001.log", "the log was never truncated")
}

// digest stands for every name and every byte below a directory.
func digest(t testing.TB, dir string) string {
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %d %x\n", path, len(data), xxhash.Sum64(data))
		return err
	}))
	return all.String()
}
