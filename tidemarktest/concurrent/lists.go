package concurrent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/seed"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/storage"
)

// listRun is the load of [RecordLists].
type listRun struct {
	*run
	mu    sync.Mutex
	tails map[int]map[string][]Tail // guarded by mu; by listener and stream
}

// RecordLists runs a load on a store in which every stream is a list, and returns the
// transactions for [StrictSerializable]. There are two kinds of transactions:
//
//   - One appends one or two elements to each of one to three lists, by an atomic write of
//     compare-and-appends. So the time of an element is its place.
//   - One reads a list, by a snapshot.
//
// No call reads several streams at one moment. But a listener of several streams has all of
// them as of each SeqNo. Each such cut is a transaction that reads all lists, at any moment
// before it was heard, since listeners may lag.
//
// Compaction, restarts and troubles are those of [Record].
func RecordLists(ctx context.Context, store Store, opts Options) ([]Txn, *History, error) {
	r, err := newRun(ctx, store, opts)
	if err != nil {
		return nil, nil, err
	}
	l := &listRun{run: r, tails: make(map[int]map[string][]Tail)}
	if err := r.perform(ctx, l.write, l.listen); err != nil {
		return nil, nil, err
	}
	h := &r.history
	var txns []Txn
	for i := range h.Commands {
		if txn := appendTxn(&h.Commands[i]); len(txn.Appends) > 0 {
			txns = append(txns, txn)
		}
	}
	for i := range h.Reads {
		txn, err := listTxn(&h.Reads[i])
		if err != nil {
			h.Failures = append(h.Failures, err)
		}
		if !h.Reads[i].Detached {
			txns = append(txns, txn)
		}
	}
	cuts, err := l.cuts()
	if err != nil {
		h.Failures = append(h.Failures, err)
	}
	return append(txns, cuts...), h, nil
}

// RunLists records transactions on the lists of a store, and fails the test unless they are
// strict serializable. The failure says how to repeat it.
func RunLists(t testing.TB, store Store, opts Options) []Txn {
	t.Helper()
	opts, err := opts.seeded()
	if err != nil {
		t.Fatal(err)
	}
	txns, h, err := RecordLists(t.Context(), store, opts)
	if err != nil {
		t.Fatalf("seed %d: %v\nrepeat with: %s", opts.Seed, err, seed.Repeat(t.Name(), opts.Seed))
	}
	t.Logf("seed %d: %s; %d transactions", opts.Seed, h, len(txns))
	opts = opts.withDefaults()
	appended, several := 0, 0
	for i := range txns {
		switch n := len(txns[i].Appends); {
		case txns[i].Outcome != Done || n == 0:
		case n == 1:
			appended++
		default:
			several++
		}
	}
	errs := append(h.Failures, StrictSerializable(txns), CheckTails(h))
	if appended < opts.Operations/20 || opts.Streams > 1 && several < opts.Operations/20 {
		errs = append(errs, fmt.Errorf("%w: %d transactions appended to one list and %d to several", ErrVoid, appended, several))
	}
	if rate := float64(h.Operations) / max(h.Elapsed.Seconds(), 1e-9); rate < float64(opts.MinRate) {
		errs = append(errs, fmt.Errorf("%w: %.0f operations a second, the least is %d", ErrVoid, rate, opts.MinRate))
	}
	if err := errors.Join(errs...); err != nil {
		t.Errorf("seed %d: %v\nrepeat with: %s", opts.Seed, err, seed.Repeat(t.Name(), opts.Seed))
	}
	return txns
}

// write appends and reads.
func (l *listRun) write(ctx context.Context, i int) {
	c := &client{run: l.run, id: i, rng: l.rng("writer", i)}
	for c.takes(ctx) {
		switch n := c.rng.IntN(10); {
		case n < 3:
			c.snapshot(ctx)
		case n < 9:
			c.commands(ctx, 1, c.appends)
		default:
			c.commands(ctx, 1, func() []Effect { return c.sinceEffect(c.rng.IntN(c.Streams)) })
		}
	}
}

// appends draws appends to one to three lists, at the ends that the client knows. The place
// of an element is its time, and also its value, since compaction makes times equal.
func (c *client) appends() []Effect {
	c.serial++
	var effects []Effect
	for _, s := range c.rng.Perm(c.Streams)[:min(c.Streams, 1+c.rng.IntN(3))] {
		end := c.known[s].upper.Load()
		e := Effect{Stream: c.streams[s]}
		for n := range uint64(1 + c.rng.IntN(2)) {
			e.Updates = append(e.Updates, Update{
				Key: fmt.Sprintf("%d.%d/%d.%d", c.id, c.serial, s, n), Val: strconv.FormatUint(end+n, 10), Time: end + n, Diff: 1,
			})
		}
		expected, next := frontier.At(end), frontier.At(end+uint64(len(e.Updates)))
		e.Expected, e.Seal = &expected, &next
		effects = append(effects, e)
	}
	return effects
}

// appendTxn turns a command into a transaction that appends.
func appendTxn(c *Command) Txn {
	txn := Txn{Call: c.Call, Return: c.Return, Outcome: c.Outcome, Appends: make(map[string][]string)}
	for _, e := range c.Effects {
		for _, u := range e.Updates {
			txn.Appends[e.Stream] = append(txn.Appends[e.Stream], u.Key)
			txn.Name = "append of " + u.Key
		}
	}
	return txn
}

// listTxn turns a snapshot into a transaction that reads a list.
func listTxn(r *Read) (Txn, error) {
	values, err := listOf(r.Updates, nil)
	if err != nil {
		err = &Violation{Property: "strict serializable", Stream: r.Stream, Reader: r.Reader, SeqNo: r.SeqNo, Detail: err.Error()}
	}
	return Txn{
		Name: fmt.Sprintf("snapshot of %s by %s at SeqNo %s", r.Stream, r.Reader, r.SeqNo),
		Call: r.Call, Return: r.Return, Reads: map[string][]string{r.Stream: values},
	}, err
}

// listOf returns the elements of a list in their order: the known ones and those of
// updates. It returns an error if they do not have the places from 0 on.
func listOf(updates []Update, known []string) ([]string, error) {
	type place struct {
		at    uint64
		value string
	}
	var places []place
	for _, u := range updates {
		at, err := strconv.ParseUint(u.Val, 10, 64)
		if err != nil || u.Diff != 1 {
			return known, fmt.Errorf("%v was never written", u)
		}
		places = append(places, place{at, u.Key})
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.value, b.value)) })
	values := known[:len(known):len(known)] // other transactions have the same slice
	for _, p := range places {
		switch n := uint64(len(values)); {
		case p.at == n:
			values = append(values, p.value)
		case p.at > n:
			return values, fmt.Errorf("%q has place %d of the list, and %d elements come before it", p.value, p.at, n)
		case values[p.at] != p.value:
			return values, fmt.Errorf("%q and %q have both place %d of the list", values[p.at], p.value, p.at)
		}
	}
	return values, nil
}

// listen listens to all streams at once. Every other listener is at a follower.
func (l *listRun) listen(ctx context.Context, i int) {
	var f *follower
	if n := len(l.followers); n > 0 && i%2 == 1 {
		f = l.followers[i/2%n]
	}
	var streams sync.WaitGroup
	for s := range l.streams {
		streams.Go(func() { l.listenTo(ctx, l.rng("listener", i*l.Streams+s), f, i, s) })
	}
	streams.Wait()
}

func (l *listRun) listenTo(ctx context.Context, rng *rand.Rand, f *follower, i, stream int) {
	for ctx.Err() == nil {
		t, err := l.attend(ctx, rng, f, l.Writers+i, stream)
		if err != nil {
			l.failed("listen", err)
			sleep(ctx, upTo(rng, l.Pause)/4)
			continue
		}
		l.run.addTail(t)
		l.mu.Lock()
		if l.tails[i] == nil {
			l.tails[i] = make(map[string][]Tail)
		}
		l.tails[i][t.Start.Stream] = append(l.tails[i][t.Start.Stream], t)
		l.mu.Unlock()
		if ends(t.Ended) && !errors.Is(t.Ended, persist.ErrStopped) && !errors.Is(t.Ended, persist.ErrLagged) && !errors.Is(t.Ended, persist.ErrClosed) {
			return
		}
	}
}

// cuts returns what each listener knew of all lists, as of each SeqNo.
func (l *listRun) cuts() (txns []Txn, err error) {
	var errs []error
	for _, i := range slices.Sorted(maps.Keys(l.tails)) {
		var all []cutEvent
		covered := make(map[string][]span)
		for stream, tails := range l.tails[i] {
			for k := range tails {
				t := &tails[k]
				covered[stream] = append(covered[stream], span{t.Start.SeqNo, t.through()})
				all = append(all, cutEvent{t.Start.SeqNo, stream, t.Start.Updates, true, t.Start.Return})
				for _, e := range t.Events {
					all = append(all, cutEvent{e.SeqNo, stream, e.Updates, false, e.Heard})
				}
			}
		}
		cuts, cutErr := cutsOf(fmt.Sprintf("listener %d", i), l.streams, all, covered)
		txns, errs = append(txns, cuts...), append(errs, cutErr)
	}
	return txns, errors.Join(errs...)
}

// span is an interval of positions that a tail covers: from its snapshot up to the
// last event.
type span struct{ from, through storage.SeqNo }

// cutEvent is a snapshot or an event of one of the streams that a listener listens to.
type cutEvent struct {
	seqno   storage.SeqNo
	stream  string
	updates []Update
	whole   bool // a snapshot: it replaces what was known
	heard   int64
}

// cutsOf returns the lists as of each position at which all streams are known.
func cutsOf(who string, streams []string, events []cutEvent, covered map[string][]span) ([]Txn, error) {
	slices.SortStableFunc(events, func(a, b cutEvent) int { return cmp.Compare(a.seqno, b.seqno) })
	known := make(map[string][]string)
	heard := int64(0)
	var txns []Txn
	var failed error
	for i, e := range events {
		values, err := listOf(e.updates, known[e.stream])
		if e.whole {
			values, err = listOf(e.updates, nil)
		}
		if err != nil && failed == nil {
			failed = &Violation{Property: "strict serializable", Stream: e.stream, Reader: who, SeqNo: e.seqno, Detail: err.Error()}
		}
		known[e.stream] = values
		heard = max(heard, e.heard)
		if i+1 < len(events) && events[i+1].seqno == e.seqno {
			continue
		}
		if !slices.ContainsFunc(streams, func(s string) bool { return !covers(covered[s], e.seqno) }) {
			txns = append(txns, Txn{Name: fmt.Sprintf("%s at SeqNo %s", who, e.seqno), Call: past, Return: heard, Reads: maps.Clone(known)})
		}
	}
	return txns, failed
}

func covers(spans []span, at storage.SeqNo) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.from <= at && at <= s.through })
}
