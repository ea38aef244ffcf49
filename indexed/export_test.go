package indexed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed/internal/part"
	"github.com/tidemark-go/tidemark/storage"
)

// The tests of the whole engine run on the storage of package mem, which imports
// this package, so they live in indexed_test and reach inside through this file.

// OpenStill is Open without background work: a test makes each round itself.
func OpenStill(ctx context.Context, log storage.Log, blob storage.Blob, cfg Config) (*Engine, error) {
	return open(ctx, log, blob, cfg)
}

// RegisterAnyName is Register as older versions had it, which took any name.
func (e *Engine) RegisterAnyName(ctx context.Context, name, keyCodec, valCodec string) (id StreamID, err error) {
	err = e.do(ctx, &request{plan: func(p *plan) ([]op, error) {
		s := &planned{id: p.nextID, name: name, keyCodec: keyCodec, valCodec: valCodec}
		p.add(s)
		id = s.id
		return []op{{kind: opRegister, stream: s.id, registration: &registration{name, keyCodec, valCodec}}}, nil
	}})
	return id, err
}

// Round is one round of maintenance, and one of deleting garbage.
func (e *Engine) Round(ctx context.Context, force bool) error {
	truncated, err := e.runRound(ctx, force, nil)
	return errors.Join(err, truncated, e.deleteGarbage(ctx, force))
}

// AdvanceBehindThePlan moves a stream's upper in the state alone.
func (e *Engine) AdvanceBehindThePlan(id StreamID, upper frontier.Antichain) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	e.st.streams[id].upper = upper
}

// CheckNothingToMerge returns an error if the merge goroutine would find something to do.
func (e *Engine) CheckNothingToMerge() error {
	m := e.planMerge(anything)
	if m == nil {
		return nil
	}
	defer e.endMerge(m)
	return fmt.Errorf("stream %q: work %d of %v", m.stream.name, m.work, m.inputs)
}

// RoundIfFree is a round of maintenance unless one is under way.
func (e *Engine) RoundIfFree(ctx context.Context) error {
	if !e.maintenance.round.TryAcquire(1) {
		return nil
	}
	e.maintenance.round.Release(1)
	return e.Round(ctx, true)
}

// MergeWidth is how many batches a merge by level takes.
const MergeWidth = mergeWidth

// LogBounds returns the bounds of the engine's log.
func (e *Engine) LogBounds(ctx context.Context) (storage.Bounds, error) { return e.log.Bounds(ctx) }

// MergeOnce is one merge, if there is one to do.
func (e *Engine) MergeOnce(ctx context.Context) (bool, error) { return e.mergeOnce(ctx, anything) }

// MoveInRounds sets how many bytes of unsealed batches the moves of a round may read.
func (e *Engine) MoveInRounds(bytes int64) {
	_ = e.maintenance.round.Acquire(context.Background(), 1)
	defer e.maintenance.round.Release(1)
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	e.maintenance.movedInRound = bytes
}

// CollectOrphans looks for blobs that no manifest names.
func (e *Engine) CollectOrphans(ctx context.Context) error { return e.collectOrphans(ctx) }

// PreferBase makes the next manifest write a full copy.
func (e *Engine) PreferBase() {
	_ = e.maintenance.round.Acquire(context.Background(), 1)
	defer e.maintenance.round.Release(1)
	if m := &e.maintenance.manifest; m.pending == nil {
		m.size = math.MaxInt64 / 2
	}
}

// ManifestVersion returns the version of the newest edit written.
func (e *Engine) ManifestVersion() uint64 {
	_ = e.maintenance.round.Acquire(context.Background(), 1)
	defer e.maintenance.round.Release(1)
	return e.maintenance.manifest.version
}

// PartsOf returns the parts of a stream's batches, by the checksums of their files.
func (e *Engine) PartsOf(id StreamID) map[uint64]part.Part {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	parts := map[uint64]part.Part{}
	for _, b := range e.st.streams[id].set.all() {
		for _, p := range b.parts {
			parts[p.Sum] = p
		}
	}
	return parts
}

// BatchView is what a test may know of a batch.
type BatchView struct {
	Desc             frontier.Description
	After, Through   storage.SeqNo
	Level, Rows      int
	MinTime, MaxTime uint64
	Parts            int
	ID               uint64
}

func view(list []*batch) []BatchView {
	views := make([]BatchView, len(list))
	for i, b := range list {
		views[i] = BatchView{b.desc, b.after, b.through, b.level, int(b.rows), b.minTime, b.maxTime, len(b.parts), b.id}
	}
	return views
}

// Buckets is where the updates of a stream are.
type Buckets struct {
	Trace, Unsealed []BatchView
	TailChunks      int
}

// Buckets returns where the updates of a stream are.
func (e *Engine) Buckets(id StreamID) Buckets {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	s := e.st.streams[id]
	return Buckets{view(s.set.trace), view(s.set.unsealed), len(s.tail.columns())}
}

// Garbage returns the number of blobs that wait to be deleted.
func (e *Engine) Garbage() int {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	return e.st.trash.count()
}

// NamedBlobs returns the keys of the blobs of live streams.
func (e *Engine) NamedBlobs() []string {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	keys := []string{}
	for _, s := range e.st.streams {
		for _, b := range s.set.all() {
			for i := range b.parts {
				keys = append(keys, b.parts[i].Key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// CheckIdle checks what must hold of an engine that nothing is on its way in.
func (e *Engine) CheckIdle() error {
	if err := e.st.check(); err != nil {
		return err
	}
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	if n := e.inFlight.get(); n != 0 {
		return fmt.Errorf("%d bytes in flight", n)
	}
	free := e.cfg.MaxTailBytes - e.st.tailBytes
	if !e.admission.TryAcquire(free) {
		return fmt.Errorf("admission: less than %d bytes are free", free)
	}
	defer e.admission.Release(free)
	if e.admission.TryAcquire(1) {
		e.admission.Release(1)
		return fmt.Errorf("admission: more than %d bytes are free", free)
	}
	return nil
}

// Check checks the view of a follower.
func (f *Follower) Check() error { return f.current().check() }

// check checks what must always hold of a state.
func (st *state) check() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	var bytes, used int64
	tails, held := 0, 0
	var needed []*batch
	for _, s := range st.names {
		if (st.streams[s.id] == nil) != s.destroyed {
			return fmt.Errorf("stream %q: destroyed is %v", s.name, s.destroyed)
		}
		if err := s.validateSet(s.set, st.applied); err != nil {
			return fmt.Errorf("stream %q: %w", s.name, err)
		}
		var own int64
		last := s.flushed
		for c := range s.tail.chunks() {
			if c.from <= last || c.through < c.from || c.through > st.applied {
				return fmt.Errorf("stream %q: chunk from %s through %s follows %s", s.name, c.from, c.through, last)
			}
			last = c.through
			own += int64(c.cols.Size())
		}
		if own != s.tailBytes {
			return fmt.Errorf("stream %q: tail of %d bytes, counted %d", s.name, own, s.tailBytes)
		}
		bytes += own
		if !s.tail.empty() {
			tails++
		}
		needed = append(needed, append(s.set.all(), s.manifest.dropped...)...)
		for _, b := range s.set.all() {
			if b.sets < 1 || b.unlisted {
				return fmt.Errorf("stream %q: %s is in %d sets, unlisted %v", s.name, b, b.sets, b.unlisted)
			}
			if _, ok := st.held[b]; ok {
				return fmt.Errorf("stream %q: %s is in use and held", s.name, b)
			}
		}
		after := s.windowAfter
		for _, ev := range s.events {
			unread := 0
			for l := range s.listeners {
				if l.cursor < ev.seqno {
					unread++
				}
			}
			if ev.unread != unread || unread == 0 || ev.seqno <= after || ev.stream != s {
				return fmt.Errorf("stream %q: event at %s after %s is unread by %d, counted %d", s.name, ev.seqno, after, ev.unread, unread)
			}
			after = ev.seqno
			used += ev.size
			held++
		}
	}
	for b := range st.held {
		if b.sets < 1 {
			return fmt.Errorf("%s is held by nobody", b)
		}
		needed = append(needed, b)
	}
	keys := map[string]*batch{}
	for _, b := range needed {
		for i := range b.parts {
			keys[b.parts[i].Key] = b
		}
	}
	for _, g := range slices.Concat(st.trash.blobs, st.trash.kept) {
		if b := keys[g.key]; b != nil {
			return fmt.Errorf("%s is garbage, but in use by %s, in %d sets, unlisted %v", g.key, b, b.sets, b.unlisted)
		}
	}
	if bytes != st.tailBytes || tails != st.tailCount || used != st.window.used || held != st.window.held {
		return fmt.Errorf("counted %d bytes in %d tails, %d bytes of %d events: have %d, %d, %d, %d",
			bytes, tails, used, held, st.tailBytes, st.tailCount, st.window.used, st.window.held)
	}
	if used > st.window.limit {
		return fmt.Errorf("window of %d bytes, limit %d", used, st.window.limit)
	}
	return nil
}

// WaitingListeners returns how many listeners wait to be woken.
func (e *Engine) WaitingListeners() (n int) {
	e.st.mu.Lock()
	defer e.st.mu.Unlock()
	for s := range maps.Values(e.st.names) {
		n += len(s.waiting)
	}
	return n
}

// WaitingBytes returns the bytes that writers wait for room for.
func (e *Engine) WaitingBytes() int64 { return e.waiting.Load() }

// MeetUnread is what the merge goroutine does when it cannot read a stream's batches.
func (e *Engine) MeetUnread(id StreamID, err error) {
	e.foundDamage(e.st.streams[id], part.Unread(err), nil)
}

// ReadAgain is what a round does when what could not be read is to be tried again.
func (e *Engine) ReadAgain() { e.readAgain(time.Time{}) }

// ConfigNumber is the range of a field of Config.
type ConfigNumber struct {
	Name     string
	Most     int64
	Negative bool // less than 0 has a meaning
}

// ConfigNumbers returns the ranges of all numbers in a Config.
func ConfigNumbers() (numbers []ConfigNumber) {
	for _, n := range new(Config).numbers() {
		numbers = append(numbers, ConfigNumber{n.name, n.most, n.negative != ""})
	}
	return numbers
}

// LongestBackoff is the longest distance between attempts.
func LongestBackoff(cfg Config) time.Duration {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return 0
	}
	return (&retry{failures: math.MaxInt}).distance(cfg.MinStepInterval)
}

// QueueDepth returns how many requests wait for the commit goroutine.
func (e *Engine) QueueDepth() int { return len(e.queue) }
