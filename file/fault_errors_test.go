package file

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/storage"
)

// plansOf returns the faults that are tried on the operations of a run. A fault is one
// operation that fails in one of the ways in which it can: of one kind, once or from
// then on, or with all that follow it.
//
// Tier B takes each operation in each way. Tier A takes the first from each place in each
// kind, once or from then on, and the others in one way each, all ways in turn. A smoke test
// takes the first ones only. All directories are flushed from one place, so all of them die
// in every tier.
func plansOf(ops []disk.Site) (plans []disk.Fault) {
	calls, turns := map[disk.Site]int{}, map[string]int{}
	for _, s := range ops {
		calls[s]++
		first := calls[s] == 1
		dead := disk.Fault{Site: s, Nth: calls[s], Kind: disk.Dead, Sticky: true}
		var ways []disk.Fault
		for _, kind := range disk.FaultsOf(s.Op) {
			for _, sticky := range []bool{false, true} {
				ways = append(ways, disk.Fault{Site: s, Nth: calls[s], Kind: kind, Sticky: sticky})
			}
		}
		turn := turns[s.Op]
		turns[s.Op]++
		switch {
		case proof.Pick(false, false, true):
			plans = append(plans, dead)
			plans = append(plans, ways...)
			continue
		case first:
			plans = append(plans, dead)
			for i := 0; i < len(ways); i += 2 {
				plans = append(plans, ways[i+turn%2])
			}
			continue
		case s.Op == "syncDir":
			plans = append(plans, dead)
		default:
			ways = append(ways, dead)
		}
		if proof.Pick(false, true, true) {
			plans = append(plans, ways[turn%len(ways)])
		}
	}
	return plans
}

// tally counts what a test of faults has done, over parallel runs.
type tally struct {
	mu          sync.Mutex
	runs, fired int
	kinds       map[disk.FaultKind]int
	sites       map[disk.Site]int // failures
	acked       int
	refused     int
}

func newTally() *tally { return &tally{kinds: map[disk.FaultKind]int{}, sites: map[disk.Site]int{}} }

func (y *tally) add(f *disk.Faulty, acked, refused int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.runs++
	y.acked += acked
	y.refused += refused
	if f.Happened() {
		y.fired++
		y.kinds[f.Plan().Kind]++
	}
	for _, s := range f.Failed() {
		y.sites[s]++
	}
}

// never returns the calls that have never failed.
func (y *tally) never(calls []callSite) (missing []string) {
	own := map[disk.Site]bool{} // lines that belong to a call of their own
	for _, c := range calls {
		own[c.Site] = true
	}
	for _, c := range calls {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(y.sites)), func(s disk.Site) bool {
			return s == c.Site || s.File == c.File && c.isOp(s.Op) && c.Line <= s.Line && s.Line <= c.until && !own[s]
		}) {
			missing = append(missing, c.String())
		}
	}
	slices.Sort(missing)
	return missing
}

// runStore runs the workload of a seed on a file system with a fault, and holds what
// is left against what was acknowledged.
func runStore(t *testing.T, f *disk.Faulty, seed uint64) (r *storeRun) {
	synctest.Test(t, func(t *testing.T) {
		r = &storeRun{t: t, f: f, rng: rand.New(rand.NewPCG(seed, 0))}
		t.Cleanup(r.abandon)
		explain(t, f)
		r.run()
		f.Heal()
		require.Empty(t, f.Wrong(), "after a failed flush")
		require.Zero(t, f.Disk.Handles(), "files are left open")
		r.verify(f.Disk, "reopened")
		if r.cut != nil {
			r.verify(r.cut, "power cut")
		}
	})
	return r
}

func explain(t *testing.T, f *disk.Faulty) {
	t.Cleanup(func() {
		if t.Failed() && f.Plan() != nil {
			t.Logf("the fault: %s, on %s", f.Plan(), f.HappenedAt())
		}
	})
}

func runCorner(t *testing.T, c corner, f *disk.Faulty) {
	synctest.Test(t, func(t *testing.T) {
		explain(t, f)
		errs := c.run(t, f)
		f.Heal()
		requireInjected(t, f, errs)
		require.Empty(t, f.Wrong(), "after a failed flush")
		c.check(t, f.Disk)
	})
}

// Every operation of an engine on disk fails, in each way that it can. Nothing is
// acknowledged that is not there afterwards, also after a power cut; nothing is
// lost; what leaves the runtime usable leaves it usable; no flush is tried again; no
// file is left open, nothing hangs. And every call of the file system in this package
// has failed.
func TestErrorAtEveryCall(t *testing.T) {
	all := newTally()
	var merging atomic.Int64 // seeds
	proof.Run(t, proof.Pick(1, 1, 8), func(t *testing.T, seed uint64) {
		clean := disk.NewFaulty(disk.New(), nil)
		clean.RecordOps()
		if runStore(t, clean, seed).merges > 0 {
			merging.Add(1)
		}
		for _, plan := range plansOf(clean.Ops()) {
			f := disk.NewFaulty(disk.New(), &plan)
			r := runStore(t, f, seed)
			if t.Failed() {
				return
			}
			all.add(f, r.acked, r.failed)
		}
	})
	for _, c := range corners {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			whole := c.prepare(t)
			clean := disk.NewFaulty(whole.Clone(), nil)
			clean.RecordOps()
			runCorner(t, c, clean)
			for _, plan := range plansOf(clean.Ops()) {
				f := disk.NewFaulty(whole.Clone(), &plan)
				runCorner(t, c, f)
				if t.Failed() {
					return
				}
				all.add(f, 0, 0)
			}
		})
	}
	if t.Failed() || os.Getenv("TIDEMARK_SEED") != "" {
		return
	}
	require.GreaterOrEqual(t, merging.Load(), int64(proof.Pick(1, 1, 4)), "seeds of which the workload merges")
	require.GreaterOrEqual(t, all.fired, all.runs*95/100, "faults that were planned did not happen")
	for _, kind := range disk.FaultKinds() {
		require.NotZero(t, all.kinds[kind], "no %s", kind)
	}
	sites := callSites(t)
	require.Greater(t, len(sites), 80, "the calls of the file system were not found")
	require.Empty(t, all.never(sites), "calls that have never failed")
	t.Logf("%d runs, %d acknowledgements, %d errors, %v", all.runs, all.acked, all.refused, all.kinds)
	proof.Reached(t, 4, "runs with a fault", all.fired)
	proof.Reached(t, 4, "call sites that failed", len(sites))
}

// A group whose mark cannot be written is not acknowledged: nobody else would see it.
func TestFailedMark(t *testing.T) {
	m := threeSegments(t)
	l, err := logOn(m)
	require.NoError(t, err)
	writes := 0
	m.SetHook(func(op, _ string) error {
		if op == "write" {
			writes++
		}
		if writes == 2 {
			return syscall.EIO
		}
		return nil
	})
	_, err = l.Append(ctx0, tornAt, [][]byte{entryData(tornAt+1, 10)})
	m.SetHook(nil)
	require.ErrorIs(t, err, ErrFailed)
	require.NotErrorIs(t, err, storage.ErrNoEffect)
	b, err := l.Bounds(ctx0)
	require.NoError(t, err)
	require.EqualValues(t, tornAt+1, b.Last, "it is durable all the same")
	require.NoError(t, l.Close())
	requireWholeLog(t, m)
}
