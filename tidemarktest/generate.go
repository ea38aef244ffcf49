package tidemarktest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
)

// generator draws the requests of a history. They depend on the seed alone, and not on any
// answer. The generator keeps a belief about what is there, as if every request succeeded
// that can. So a request can be named by its number, and many stores can be given the same
// list of requests.
type generator struct {
	random  *rand.Rand
	rare    *rand.Rand // for rare things, so that the other draws do not depend on them
	byKey   *rand.Rand // for reads by key, likewise
	has     map[Kind]bool
	calm    bool // do nothing whose outcome depends on what is on its way
	belief  *Model
	slots   []slot
	n       int
	stopped bool
	down    bool
	held    bool
	cut     bool

	snapshots, listeners, readers int
}

// slot is one of the streams that most requests are about. When that stream is destroyed,
// another one takes its place under the next name.
type slot struct {
	letter     string
	weight     int
	generation int
}

func (s slot) name() string {
	if s.generation == 0 {
		return s.letter
	}
	return fmt.Sprintf("%s%d", s.letter, s.generation)
}

func newGenerator(seed uint64, store Store, calm bool) *generator {
	g := &generator{
		random: rand.New(rand.NewPCG(seed, 0)),
		rare:   rand.New(rand.NewPCG(seed, 1)),
		byKey:  rand.New(rand.NewPCG(seed, 2)),
		has:    make(map[Kind]bool),
		belief: NewModel(),
		calm:   calm,
		slots:  []slot{{"a", 9, 0}, {"b", 5, 0}, {"c", 3, 0}, {"d", 1, 0}, {"e", 1, 0}},
	}
	for _, k := range store.kinds(calm) {
		g.has[k] = true
	}
	for _, s := range g.slots {
		_ = g.belief.Create(s.name())
	}
	return g
}

// kinds are the kinds of requests that a store can be given.
func (s Store) kinds(calm bool) (can []Kind) {
	for _, k := range kinds {
		ok := true
		switch k {
		case OpenReader, FromReader, ListenReader, CloseReader:
			ok = s.OpenRead != nil
		case Down, Up:
			ok = s.Faults != nil
		case Cut:
			ok = s.Faults != nil && !calm
		case Hold, Release, Crash:
			// Only where time is virtual, a held flush differs from a slow one.
			ok = s.Hold != nil && s.Crash != nil && s.Virtual && !calm
			if k == Crash {
				ok = s.Crash != nil && !calm
			}
		}
		if ok {
			can = append(can, k)
		}
	}
	return can
}

// weights are those of the usual state, in tenths of a percent or so. weight changes them
// as the state requires.
var weights = map[Kind]int{
	Write: 200, Append: 120, Seal: 90, Finish: 5, Allow: 60, Atomic: 100, Create: 25, Destroy: 6, Describe: 35,
	Snapshot: 75, Read: 90, CloseSnapshot: 45, Listen: 40, Pause: 20, Resume: 25, CloseListener: 22,
	Maintain: 25, Pass: 130, Stop: 7, Start: 5, OpenReader: 12, FromReader: 35, ListenReader: 10, CloseReader: 15,
	Down: 7, Up: 5, Cut: 6, Hold: 8, Release: 5, Crash: 5,
}

func (g *generator) weight(k Kind) int {
	w := weights[k]
	switch {
	case !g.has[k]:
		return 0
	case k == Start && g.stopped:
		w += 900
	case k == Up && g.down:
		w += 300
	case (k == Release || k == Crash) && g.held:
		w += 250
	case (k == Stop || k == Crash) && g.cut:
		w += 250
	case k == Read && g.snapshots == 0, k == FromReader && g.readers == 0, k == ListenReader && g.readers == 0,
		(k == Pause || k == Resume) && g.listeners == 0:
		w /= 20
	case k == CloseSnapshot && g.snapshots < 3, k == CloseListener && g.listeners < 2, k == CloseReader && g.readers < 2:
		w /= 4
	case k == Listen && g.listeners > 8, k == OpenReader && g.readers > 2, k == Snapshot && g.snapshots > 10:
		w /= 10
	}
	return max(w, 1)
}

func (g *generator) next() request {
	r := request{n: g.n, kind: g.kind()}
	g.n++
	r.pick = g.random.IntN(1 << 20)
	switch r.kind {
	case Write, Append, Seal, Finish, Allow:
		r.command = Command{g.change(r.kind, g.stream())}
	case Atomic:
		for range 1 + g.random.IntN(4) {
			kind := []Kind{Write, Write, Append, Seal, Allow}[g.random.IntN(5)]
			ch := g.change(kind, g.stream())
			if kind == Seal && ch.Seal.IsEmpty() {
				ch.Seal = nil // an atomic write seals to a time
			}
			r.command = append(r.command, ch)
		}
	case Create:
		r.stream = g.stream()
	case Destroy:
		slot := g.slot()
		r.stream = slot.name()
		switch g.random.IntN(8) {
		case 0:
			r.stream = "never registered"
		case 1:
			r.stream = g.stream()
		default:
			slot.generation++ // believed to be new: the next requests create it
		}
	case Describe, Snapshot, Listen, FromReader, ListenReader:
		r.stream = g.stream()
	case Read:
		r.way = way(g.random.IntN(int(waysToReadAll)))
		r.lower, r.width = g.random.Uint64N(10), g.random.Uint64N(9)
		if g.byKey.IntN(3) == 0 {
			r.way = readKey + way(g.byKey.IntN(int(readPrefix-readKey)+1))
			r.keys = g.keysFor(r.way)
		}
	case Pass:
		r.wait = []time.Duration{
			time.Millisecond, time.Millisecond, 2 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
			5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, time.Second, time.Second,
		}[g.random.IntN(10)]
		if g.random.IntN(20) == 0 {
			r.wait = time.Minute
		}
	case Cut:
		r.outcome = []mem.Outcome{mem.Vanished, mem.AnswerLost, mem.Torn}[g.random.IntN(3)]
		r.parts = g.random.IntN(4)
	case Crash:
		r.seed = g.random.Uint64()
	}
	g.believe(r)
	return r
}

func (g *generator) kind() Kind {
	total := 0
	for _, k := range kinds {
		if g.has[k] {
			total += g.weight(k)
		}
	}
	n := g.random.IntN(total)
	for _, k := range kinds {
		if g.has[k] {
			if n -= g.weight(k); n < 0 {
				return k
			}
		}
	}
	panic("unreachable: n is less than the sum of the weights")
}

// slot draws a slot by its weight.
func (g *generator) slot() *slot {
	n := g.random.IntN(19)
	for i := range g.slots {
		if n -= g.slots[i].weight; n < 0 {
			return &g.slots[i]
		}
	}
	panic("unreachable: the weights add up to 19")
}

// stream draws a stream: a live one mostly.
func (g *generator) stream() string {
	s := *g.slot()
	if s.generation > 0 && g.random.IntN(25) == 0 {
		s.generation--
	}
	return s.name()
}

// change draws a change to a stream, about one in ten of which is illegal.
func (g *generator) change(kind Kind, name string) Change {
	ch := Change{Stream: name}
	d, _ := g.belief.Description(name)
	switch kind {
	case Write:
		ch.Updates = g.updates(name, d.Upper, 5, 12)
	case Seal:
		ch.Seal = g.frontier(d.Upper)
		if g.rare.IntN(250) == 0 {
			f := g.last()
			ch.Seal = &f
		}
	case Finish:
		f := frontier.Empty()
		ch.Seal = &f
	case Allow:
		from := d.Since
		if g.random.IntN(3) == 0 {
			from = d.Upper // beyond the upper is legal too
		}
		ch.Allow = g.frontier(from)
		if g.random.IntN(250) == 0 {
			f := frontier.Empty()
			ch.Allow = &f
		}
		if g.rare.IntN(50) == 0 {
			f := g.last()
			if upper, ok := d.Upper.Elem(); ok && g.rare.IntN(4) == 0 {
				// The first time that has wrapped, or the last that has not.
				f = frontier.At(later(upper, 1<<63-g.rare.Uint64N(2)))
			}
			ch.Allow = &f
		}
	case Append:
		expect := d.Upper
		if g.random.IntN(12) == 0 {
			expect = *g.frontier(expect)
		}
		least, ok := expect.Elem()
		if !ok { // finished: every compare-and-append is refused
			expect, least = frontier.At(1), 1
		}
		width := 1 + g.random.Uint64N(5)
		next := frontier.At(later(least, width))
		if least == math.MaxUint64 {
			next = frontier.Empty()
		}
		ch.Expect, ch.Seal = &expect, &next
		ch.Updates = g.updates(name, expect, width, 60)
		if g.random.IntN(40) == 0 {
			next = frontier.Empty() // the last one
		}
		if g.rare.IntN(12) == 0 {
			expect, next = d.Upper, d.Upper // an assertion, if it has no updates
			if g.rare.IntN(3) > 0 {
				ch.Updates = nil
			}
			if g.rare.IntN(4) == 0 {
				expect = frontier.At(g.rare.Uint64N(30)) // most likely wrong
				next = expect
			}
		}
	}
	return ch
}

// later returns the time that is by after t, or the last of all times.
func later(t, by uint64) uint64 {
	if t > math.MaxUint64-by {
		return math.MaxUint64
	}
	return t + by
}

// last draws a time near the last of all times. Most often a since there is refused, as
// upper-1 is at an upper of 0. A stream that is sealed there takes hardly anything from
// then on, so last is called rarely.
func (g *generator) last() frontier.Antichain {
	return frontier.At(math.MaxUint64 - g.rare.Uint64N(5))
}

// frontier draws a frontier at or a little after another one, and sometimes before it.
func (g *generator) frontier(from frontier.Antichain) *frontier.Antichain {
	f := from
	if t, ok := from.Elem(); ok {
		f = frontier.At(later(t, g.random.Uint64N(5)))
		if t > 0 && g.random.IntN(12) == 0 {
			f = frontier.At(t - 1 - g.random.Uint64N(min(t, 3)))
		}
	} else if g.random.IntN(4) == 0 {
		f = frontier.At(g.random.Uint64N(20))
	}
	return &f
}

// updates draws updates with times in [lower, lower+width). One in badly times, one of them
// lies before lower. The streams of slot d have sums that pass what an int64 holds.
func (g *generator) updates(name string, lower frontier.Antichain, width uint64, badly int) []Update {
	least, _ := lower.Elem()
	updates := make([]Update, g.random.IntN(6))
	for i := range updates {
		updates[i] = Update{
			Key:  []string{"a", "a", "a", "b", "b", "c", "", "a longer key"}[g.random.IntN(8)],
			Val:  []string{"", "x", "y"}[g.random.IntN(3)],
			Time: later(least, g.random.Uint64N(width)),
			Diff: int64(g.random.IntN(5)) - 2,
		}
		if u := &updates[i]; name[0] == 'd' {
			switch {
			case u.Diff == 2 && u.Key == "a longer key":
				u.Diff = math.MinInt64 // refused
			case u.Diff == 2:
				u.Diff = math.MaxInt64
			case u.Diff == -2:
				u.Diff = -math.MaxInt64
			}
		}
	}
	if len(updates) > 0 && least > 0 && g.random.IntN(badly) == 0 {
		updates[g.random.IntN(len(updates))].Time = least - 1
	}
	return updates
}

// keysFor draws the keys of a read by key. Some of them are in no stream.
func (g *generator) keysFor(w way) []string {
	key := func() string {
		return []string{"a", "a", "b", "c", "", "a longer key", "absent", "d"}[g.byKey.IntN(8)]
	}
	keys := []string{key()}
	switch w {
	case readKeys:
		for range g.byKey.IntN(4) {
			keys = append(keys, key())
		}
		slices.Sort(keys)
	case readRange:
		keys = append(keys, key())
	case readPrefix:
		keys[0] = keys[0][:g.byKey.IntN(len(keys[0])+1)]
	}
	return keys
}

// believe takes a request as having succeeded, if it can succeed.
func (g *generator) believe(r request) {
	works := !g.stopped && !g.down && !g.cut
	switch r.kind {
	case Write, Append, Seal, Finish, Allow, Atomic:
		if works {
			_ = g.belief.Apply(r.command)
		}
	case Create:
		if works {
			_ = g.belief.Create(r.stream)
		}
	case Destroy:
		if works {
			_, _ = g.belief.Destroy(r.stream)
		}
	case Snapshot:
		g.snapshots++
	case CloseSnapshot:
		g.snapshots = max(g.snapshots-1, 0)
	case Listen, ListenReader:
		g.listeners++
	case CloseListener:
		g.listeners = max(g.listeners-1, 0)
	case OpenReader:
		g.readers++
	case CloseReader:
		g.readers = max(g.readers-1, 0)
	case Stop:
		g.stopped, g.cut, g.held, g.snapshots, g.listeners = true, false, false, 0, 0
	case Start:
		g.stopped = g.stopped && g.down
	case Down, Up:
		g.down = r.kind == Down
	case Cut:
		g.cut = !g.stopped
	case Hold:
		g.held = true
	case Release:
		g.held = false
	case Crash:
		g.stopped, g.cut, g.held, g.snapshots, g.listeners, g.readers = true, false, false, 0, 0, 0
	}
}
