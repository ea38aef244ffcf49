package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/file/internal/disk"
	"github.com/tidemark-go/tidemark/file/internal/vfs"
	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/resources"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// quiet is a configuration in which nothing happens by itself after the first
// round, and everything that is read comes from the files.
func quietConfig() persist.Config {
	return persist.Config{
		MinStepInterval: time.Hour, FlushInterval: -1, FollowInterval: time.Hour,
		CacheSizeLimit: 1, ListenerWindowBytes: 1,
	}
}

func startOwner(f vfs.FS, cfg persist.Config) (*persist.Client, error) {
	return Open(context.Background(), "/db", cfg, withFileSystem(f), SegmentSize(MinSegmentSize, MinSegmentSize))
}

func startFollower(f vfs.FS, cfg persist.Config) (*persist.ReadClient, error) {
	return OpenRead(context.Background(), "/db", cfg, withFileSystem(f))
}

// storeRun is one run of the workload: several openings of a location by a writer
// and a follower, with commands of every kind, against a model. It goes on after
// each failure that leaves the runtime usable, opens again after others, and holds
// every answer against what it promises.
type storeRun struct {
	t   *testing.T
	f   *disk.Faulty
	rng *rand.Rand
	history

	db      *persist.Client
	writers map[string]*rowWriter
	read    map[string]*rowReader
	stopped bool // this opening takes no more commands
	cut     *disk.Disk
	metrics *prometheus.Registry // of this opening
	merges  float64
	acked   int
	failed  int         // answers that were errors
	open    []io.Closer // to be closed if the test ends early
}

// opens notes something that is to be closed; closes closes it.
func (r *storeRun) opens(c io.Closer) { r.open = append(r.open, c) }

func (r *storeRun) closes(c io.Closer) error {
	r.open = slices.DeleteFunc(r.open, func(other io.Closer) bool { return other == c })
	return c.Close()
}

// abandon closes whatever a run that failed has left open.
func (r *storeRun) abandon() {
	r.f.Heal()
	for _, c := range slices.Backward(r.open) {
		_ = c.Close()
	}
}

var (
	ctx0        = context.Background()
	workStreams = []string{"a", "b", "c"}
)

const (
	workSessions = 2
	workSteps    = 13
)

// expected requires of an error that it has a cause that was injected, or says that
// an earlier one has stopped the runtime; that it is not taken for damage; and that
// it says what it was about.
func (r *storeRun) expected(err error, doing string) {
	r.t.Helper()
	r.failed++
	require.True(r.t, r.f.Happened(), "%s failed without a fault: %v", doing, err)
	cause := errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE)
	require.True(r.t, cause || errors.Is(err, persist.ErrStopped), "%s: not what was injected: %v", doing, err)
	require.NotErrorIs(r.t, err, storage.ErrCorrupt, "%s: a fault is no damage", doing)
	require.Contains(r.t, err.Error(), "/db", "%s: the error names no file", doing)
}

func (r *storeRun) run() {
	for session := range workSessions {
		r.f.Disk.NoByteLocks = session == workSessions-1 // as if the location had moved to another system
		if !r.reopen() {
			return // the fault stays, and so does this
		}
		leave := r.session(session)
		synctest.Wait()
		r.cut = r.f.Disk.Crash(r.rng, []float64{0, 0.5, 1}[r.rng.IntN(3)])
		r.close()
		leave()
	}
}

// reopen opens the location, at the second attempt if it must.
func (r *storeRun) reopen() bool {
	for attempt := range 2 {
		r.f.NewSession()
		cfg := quietConfig()
		r.metrics = prometheus.NewRegistry()
		cfg.Registerer = r.metrics
		db, err := startOwner(r.f, cfg)
		if err != nil {
			require.True(r.t, attempt == 0 || r.f.Sticky(), "a fault that is over keeps the location from being opened: %v", err)
			r.expected(err, "open")
			continue
		}
		r.opens(db)
		r.db, r.stopped = db, false
		r.writers, r.read = map[string]*rowWriter{}, map[string]*rowReader{}
		synctest.Wait() // for the round of maintenance that comes with it
		return true
	}
	return false
}

func (r *storeRun) close() {
	if err := r.closes(r.db); err != nil {
		r.expected(err, "close")
	}
}

// do has a command executed and notes what became of it. A command that had no
// effect is given once more, for the fault may be over.
func (r *storeRun) do(doing string, c storeCommand, submit func() error) {
	for attempt := 0; ; attempt++ {
		err := submit()
		synctest.Wait()
		if !r.answered(doing, err, c) && attempt == 0 {
			continue
		}
		return
	}
}

// answered reports whether the answer is final.
func (r *storeRun) answered(doing string, err error, c storeCommand) bool {
	if err == nil {
		require.False(r.t, r.stopped, "%s: acknowledged by a runtime that has stopped", doing)
		r.add(c)
		r.acked++
		return true
	}
	r.expected(err, doing)
	switch {
	case errors.Is(err, persist.ErrOutcomeUnknown):
		require.NotErrorIs(r.t, err, storage.ErrNoEffect)
		r.maybe = append(r.maybe, c)
		r.stopped = true
	case errors.Is(err, persist.ErrStopped):
		require.True(r.t, r.stopped, "%s: the runtime has stopped without an answer that says so: %v", doing, err)
	default:
		require.ErrorIs(r.t, err, storage.ErrNoEffect, "%s: neither unknown nor without effect", doing)
		return false
	}
	return true
}

// again does something that changes no contents until it succeeds, twice at most,
// and reports whether it did.
func (r *storeRun) again(doing string, do func() error) bool {
	for range 2 {
		err := do()
		synctest.Wait()
		if err == nil {
			return true
		}
		r.expected(err, doing)
	}
	return false
}

// session is what happens while a location is open. Its follower ends with the function
// that it returns, after the owner.
func (r *storeRun) session(session int) (leave func()) {
	for _, name := range workStreams[:2+min(session, 1)] {
		r.do("create", created(name), func() error {
			w, h, err := persist.CreateOrLoad(ctx0, r.db, name, codec.String, codec.Uint64)
			if err == nil {
				r.writers[name], r.read[name] = w, h
			}
			return err
		})
	}
	if len(r.writers) < 2 {
		return func() {}
	}
	require.True(r.t, r.checkOwn() || r.f.Sticky(), "reading fails although the fault is over")
	follower := r.follow()
	hearing := r.listen("a")
	var late []*held
	for step := range workSteps {
		switch step {
		case 4, 8:
			r.maintain()
		case workSteps - 1:
			for _, name := range workStreams {
				r.allow(name) // what folds is merged, although there are few batches
			}
			for _, name := range workStreams[:2] {
				late = append(late, r.hold(follower, name))
			}
			r.maintain()
			r.merges += resources.Metric(r.t, r.metrics, "tidemark_compaction_total")
		case 6, 11:
			r.look(follower)
			r.checkOwn()
		default:
			r.command(step)
		}
	}
	r.hear(hearing)
	require.True(r.t, !r.stopped || !r.survivable(), "the runtime has stopped after a fault that leaves it usable: %s", r.f.Plan())
	for _, h := range late {
		r.readHeld(h)
	}
	if len(late) > 0 {
		r.letGo(late[len(late)-1]) // so that there is something to sweep when the owner closes
		late = late[:len(late)-1]
	}
	return func() {
		for _, h := range late {
			r.readHeld(h)
			r.letGo(h)
		}
		if follower != nil {
			if err := r.closes(follower); err != nil {
				r.expected(err, "close the follower")
			}
		}
	}
}

// survivable reports whether commands go on after the fault, as the log promises:
// after all but a failed write or flush of a segment and a failed flush of a
// directory.
func (r *storeRun) survivable() bool {
	p := r.f.Plan()
	if p == nil || p.Sticky {
		return p == nil
	}
	_, segment := segmentIndex(filepath.Base(r.f.HappenedAt()))
	switch p.Site.Op {
	case "write", "sync", "datasync":
		return !segment
	case "syncDir":
		return false
	}
	return true
}

func (r *storeRun) command(step int) {
	names := workStreams[:len(r.writers)]
	name := names[r.rng.IntN(len(names))]
	upper := r.now.upper
	updates := func(name string, until uint64) []rowUpdate {
		us := make([]rowUpdate, 1+r.rng.IntN(3))
		for i := range us {
			pad := strings.Repeat("x", []int{0, 40, 1500}[r.rng.IntN(3)])
			us[i] = rowUpdate{Key: fmt.Sprint("k", r.rng.IntN(3), pad), Val: r.rng.Uint64N(2), Time: upper(name) + r.rng.Uint64N(until), Diff: r.rng.Int64N(3) - 1}
			if us[i].Diff == 0 {
				us[i].Diff = -2
			}
		}
		return us
	}
	wait := func(f *persist.Future[storage.SeqNo]) error { _, err := f.Wait(ctx0); return err }
	w := r.writers[name]
	if w == nil {
		return
	}
	switch kind := (step + r.rng.IntN(3)) % 6; kind {
	case 0:
		us := updates(name, 5)
		r.do("write", wrote(name, us), func() error { return wait(w.Write(ctx0, us)) })
	case 1:
		to := upper(name) + 1 + r.rng.Uint64N(2)
		r.do("seal", sealed(name, to), func() error { return wait(w.Seal(ctx0, to)) })
	case 2:
		from := upper(name)
		us := updates(name, 2)
		r.do("compare and append", together(wrote(name, us), sealed(name, from+2)), func() error {
			return wait(w.CompareAndAppend(ctx0, us, frontier.At(from), frontier.At(from+2)))
		})
	case 3:
		r.allow(name)
	case 4:
		r.atomic(updates("a", 4), updates("b", 4), upper("a")+1, upper("b")+1)
	case 5: // a group of several commands
		one, two := updates(name, 3), updates(name, 3)
		first, second := w.Write(ctx0, one), w.Write(ctx0, two)
		errOne, errTwo := wait(first), wait(second)
		synctest.Wait()
		r.answered("first of two writes", errOne, wrote(name, one))
		r.answered("second of two writes", errTwo, wrote(name, two))
	}
}

// allow lets fold what is sealed of a stream.
func (r *storeRun) allow(name string) {
	w := r.writers[name]
	if w == nil {
		return
	}
	to := max(r.now.upper(name), 1) - 1
	if since, _ := r.now[name].since.Elem(); since > to {
		return
	}
	r.do("allow compaction", compacted(name, to), func() error {
		_, err := w.AllowCompaction(ctx0, frontier.At(to)).Wait(ctx0)
		return err
	})
}

// atomic writes to two streams and seals them, all in one command.
func (r *storeRun) atomic(a, b []rowUpdate, sealA, sealB uint64) {
	wa, wb := r.writers["a"], r.writers["b"]
	m, err := persist.NewMultiWriteHandle(wa, wb)
	require.NoError(r.t, err)
	r.do("atomic write", together(wrote("a", a), wrote("b", b), sealed("a", sealA), sealed("b", sealB)), func() error {
		_, err := m.WriteAtomic(ctx0, func(w *persist.AtomicWrite) error {
			return errors.Join(persist.AddWrite(w, wa, a), persist.AddWrite(w, wb, b),
				persist.AddSeal(w, wa, sealA), persist.AddSeal(w, wb, sealB))
		}).Wait(ctx0)
		return err
	})
}

func (r *storeRun) maintain() {
	ok := r.again("maintain", func() error { return r.db.Maintain(ctx0) })
	require.True(r.t, ok || !r.survivable(), "maintenance fails although the fault is over")
}
