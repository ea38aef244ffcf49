package indexed_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/indexed"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
)

// spaced is a stream whose batches are compared with what the same contents take in a new
// store.
type spaced struct {
	*fixture
	id   indexed.StreamID
	rng  *rand.Rand
	now  uint64            // the time of the present command
	vals map[string]string // the table, if there is one

	upper, since frontier.Antichain
	all          []indexed.Row

	seen    map[uint64]bool // batches
	written int             // rows that all batches had when they were written
}

func newSpaced(t *testing.T) *spaced {
	s := &spaced{fixture: newFixture(t, still()), rng: rand.New(rand.NewPCG(1, 2)), vals: map[string]string{}, seen: map[uint64]bool{}}
	s.id = s.register("s")
	return s
}

// set returns what replaces the value of a key, at a time.
func (s *spaced) set(key string, time uint64) (rows []indexed.Row) {
	if old, ok := s.vals[key]; ok {
		rows = append(rows, row(key, old, time, -1))
	}
	s.vals[key] = fmt.Sprintf("%016x", s.rng.Uint64())
	return append(rows, row(key, s.vals[key], time, 1))
}

// put is one command.
func (s *spaced) put(rows []indexed.Row, upper, since frontier.Antichain) {
	_, err := s.submit(func(c *indexed.Command) {
		c.Write(s.id, columns(rows...))
		c.Seal(s.id, upper)
		c.AllowCompaction(s.id, since)
	})
	require.NoError(s, err)
	s.all = append(s.all, rows...)
	s.upper, s.since = upper, since
}

// count looks for batches that were written since it last looked.
func (s *spaced) count() (batches, rows int) {
	b := s.Buckets(s.id)
	for _, list := range [][]indexed.BatchView{b.Trace, b.Unsealed} {
		for _, v := range list {
			batches++
			rows += v.Rows
			if !s.seen[v.ID] {
				s.seen[v.ID] = true
				s.written += v.Rows
			}
		}
	}
	return batches, rows
}

// background does what rounds and merges do by themselves, until nothing is left.
func (s *spaced) background() {
	s.round(false)
	s.count()
	for n := 0; ; n++ {
		require.Less(s, n, 1000, "it goes on for ever")
		did, err := s.MergeOnce(s.ctx)
		require.NoError(s, err)
		s.count()
		if !did {
			return
		}
	}
}

// fresh returns the rows and bytes that the contents take in a store that never had
// others.
func (s *spaced) fresh(contents []indexed.Row) (rows int, bytes int64) {
	f := &fixture{TB: s.TB, ctx: s.ctx, place: mem.NewPlace(s.Name() + " fresh"), cfg: still()}
	f.open()
	defer func() { require.NoError(s, f.Stop()) }()
	id := f.register("s")
	_, err := f.submit(func(c *indexed.Command) {
		c.Write(id, columns(contents...))
		c.Seal(id, s.upper)
		c.AllowCompaction(id, s.since)
	})
	require.NoError(s, err)
	require.NoError(s, f.Maintain(s.ctx))
	infos, err := f.Streams(s.ctx)
	require.NoError(s, err)
	return int(infos[0].Rows), infos[0].BatchBytes
}

// What a batch takes beside its rows, and how far a sample may be off.
const (
	batchOverhead = 3 << 10
	batchSlack    = 4
)

// check compares contents and space with the model.
func (s *spaced) check(when string) {
	contents := s.read(s.id)
	require.Equal(s, show(consolidate(s.all, s.since)), show(contents), when)
	freshRows, freshBytes := s.fresh(contents)
	batches, rows := s.count()
	require.LessOrEqual(s, rows, 2*freshRows+batchSlack*batches, "rows of %d batches, %d live, %s: %+v", batches, freshRows, when, s.Buckets(s.id))
	infos, err := s.Streams(s.ctx)
	require.NoError(s, err)
	require.LessOrEqual(s, infos[0].BatchBytes, 2*freshBytes+batchOverhead*int64(batches), "bytes of %d batches, %s", batches, when)
}

const day = 24 * 60

// distributions are ways of writing: what one command writes, how far it seals, and which
// since it allows. Zero frontiers leave them as they are.
var distributions = map[string]func(s *spaced, i int) (rows []indexed.Row, upper, since uint64){
	"a Row at the last of all times": func(s *spaced, i int) ([]indexed.Row, uint64, uint64) {
		rows := append(s.set(fmt.Sprint(i%40), s.now), row("far", fmt.Sprint(i), math.MaxUint64, 1))
		s.now++
		return rows, s.now, s.now - 1
	},
	"a Row far away, sealed later": func(s *spaced, i int) ([]indexed.Row, uint64, uint64) {
		rows := append(s.set(fmt.Sprint(i%40), s.now), row("far", fmt.Sprint(i), math.MaxUint64, 1))
		if s.now++; i%16 < 15 {
			return rows, 0, 0
		}
		return rows, s.now, s.now - 1
	},
	"retracted after thirty days": func(s *spaced, i int) (rows []indexed.Row, _, _ uint64) {
		s.now += day / 2
		for k := range 4 {
			rows = append(rows, row("event", fmt.Sprint(i, k), s.now, 1), row("event", fmt.Sprint(i, k), s.now+30*day, -1))
		}
		return rows, s.now + 1, s.now
	},
	"most of it far": func(s *spaced, i int) (rows []indexed.Row, _, _ uint64) {
		s.now++
		for k := range 9 {
			rows = append(rows, row("far", fmt.Sprint(i, k), s.now+1<<40, 1))
		}
		return append(rows, s.set(fmt.Sprint(i%10), s.now)...), s.now, s.now - 1
	},
	"exponential": func(s *spaced, i int) (rows []indexed.Row, _, _ uint64) {
		s.now++
		for k := range 8 {
			rows = append(rows, row("k", fmt.Sprint(i%9, k), s.now+1<<(5*k), 1), row("k", fmt.Sprint(i%9, k), s.now+1<<(5*k)+1, -1))
		}
		return rows, s.now, s.now - 1
	},
	"out of order, sealed by jumps": func(s *spaced, i int) (rows []indexed.Row, upper, since uint64) {
		for range 6 {
			rows = append(rows, s.set(fmt.Sprint(s.rng.IntN(50)), s.now+100)...)
			rows = append(rows, up(fmt.Sprint(s.rng.IntN(9)), s.now+s.rng.Uint64N(200)))
		}
		if s.now++; i%20 != 19 {
			return rows, 0, 0
		}
		s.now += 150
		return rows, s.now, s.now - 10
	},
	"sealed right behind": func(s *spaced, i int) (rows []indexed.Row, _, _ uint64) {
		for k := range 5 {
			s.now++
			rows = append(rows, s.set(fmt.Sprint((5*i+k)%70), s.now)...)
		}
		return rows, s.now + 1, s.now
	},
	"sealed when all is written": func(s *spaced, i int) (rows []indexed.Row, _, _ uint64) {
		for k := range 8 {
			rows = append(rows, row(fmt.Sprint(s.rng.IntN(1000)), fmt.Sprint(i, k), s.now+s.rng.Uint64N(100), 1))
		}
		if i%80 == 79 {
			s.now += 100
		}
		return rows, s.now, 0
	},
	"a since that does not move": func(s *spaced, i int) ([]indexed.Row, uint64, uint64) {
		s.now++
		return append(s.set(fmt.Sprint(i%40), s.now), row("far", fmt.Sprint(i), math.MaxUint64-uint64(i), 1)), s.now, 0
	},
	"sealed far ahead, the since behind": func(s *spaced, i int) (rows []indexed.Row, upper, since uint64) {
		if i == 0 {
			for range 3000 {
				s.now++
				rows = append(rows, s.set(fmt.Sprint(s.now%30), s.now)...)
			}
			return append(rows, row("far", "", math.MaxUint64-1, 1)), math.MaxUint64, 0
		}
		return []indexed.Row{row("more", "", math.MaxUint64, 1)}, math.MaxUint64, uint64(i) * 20
	},
	"overwritten and never sealed": func(s *spaced, i int) ([]indexed.Row, uint64, uint64) {
		s.now++
		return append(s.set(fmt.Sprint(i%20), s.now), s.set(fmt.Sprint(i%7), s.now)...), 0, s.now
	},
	"overwritten and never sealed, with rows far away": func(s *spaced, i int) ([]indexed.Row, uint64, uint64) {
		s.now++
		return append(s.set(fmt.Sprint(i%20), s.now), row("far", fmt.Sprint(i%50), math.MaxUint64, 1)), 0, s.now - min(s.now, 5)
	},
	"overwritten at one time": func(s *spaced, i int) ([]indexed.Row, uint64, uint64) {
		return append(s.set(fmt.Sprint(i%20), 7), s.set(fmt.Sprint("far", i%7), math.MaxUint64)...), 0, 0
	},
	"retracted at the last of all times": func(s *spaced, i int) ([]indexed.Row, uint64, uint64) {
		s.now++
		return append(s.set("near", s.now), s.set(fmt.Sprint("far", i%3), math.MaxUint64)...), s.now, s.now - 1
	},
}

// The batches of a stream take at most twice what the same contents take in a new store,
// however times are distributed: after Maintain, and after background work came to its end
// by itself. And no row is written again more often than there are levels.
func TestSpaceOfAnyTimes(t *testing.T) {
	const commands, flushes = 160, 4 // commands to a flush
	for name, next := range distributions {
		for _, mode := range []string{"maintained", "left alone", "reopened"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				s := newSpaced(t)
				for i := range commands {
					rows, upper, since := next(s, i)
					f := func(t uint64, old frontier.Antichain) frontier.Antichain {
						if t == 0 {
							return old
						}
						return frontier.At(t)
					}
					s.put(rows, f(upper, s.upper), f(since, s.since))
					if i%flushes == flushes-1 {
						s.background()
					}
					if i%80 != 79 {
						continue
					}
					switch mode {
					case "maintained":
						require.NoError(t, s.Maintain(s.ctx))
					case "reopened":
						s.crash()
						s.background()
					}
					s.check(fmt.Sprint("after command ", i))
				}
				t.Logf("%d rows written for %d", s.written, len(s.all))
				require.Less(t, s.written, 6*len(s.all), "rows written by flushes, moves and merges")
			})
		}
	}
}

// The same for times, seals and sinces at random.
func TestSpaceOfRandomTimes(t *testing.T) {
	stores := proof.Pick(10, 20, 2000)
	proof.Run(t, stores, func(t *testing.T, seed uint64) {
		s := newSpaced(t)
		s.rng = rand.New(rand.NewPCG(seed, 7))
		s.MoveInRounds([]int64{0, 2000, 1 << 20}[s.rng.IntN(3)])
		sealed := seed%4 != 3 // otherwise the since may be in advance of the upper
		spreads := make([]func() uint64, 1+s.rng.IntN(3))
		for i := range spreads {
			width := uint64(1) << s.rng.IntN(14)
			spreads[i] = []func() uint64{
				func() uint64 { return s.now },
				func() uint64 { return s.now + s.rng.Uint64N(width) },
				func() uint64 { return s.now + width },
				func() uint64 { return s.now + 1<<s.rng.IntN(20) },
				func() uint64 { return math.MaxUint64 - s.rng.Uint64N(3) },
			}[s.rng.IntN(5)]
		}
		keys, commands, pace := 5+s.rng.IntN(100), 40+s.rng.IntN(80), 1+s.rng.Uint64N(20)
		for i := range commands {
			var rows []indexed.Row
			for range 1 + s.rng.IntN(12) {
				rows = append(rows, s.set(fmt.Sprint(s.rng.IntN(keys)), spreads[s.rng.IntN(len(spreads))]())...)
			}
			upper, since := s.upper, s.since
			s.now += s.rng.Uint64N(pace)
			if sealed && s.rng.IntN(4) == 0 {
				upper = frontier.At(s.now)
			}
			if s.rng.IntN(6) == 0 {
				since = since.Join(frontier.At(s.now - min(s.now, s.rng.Uint64N(20))))
				if sealed {
					since = since.Meet(upper)
				}
			}
			s.put(rows, upper, since)
			switch s.rng.IntN(8) {
			case 0, 1:
				s.background()
			case 2:
				s.round(false)
				s.count()
			case 3:
				if s.rng.IntN(4) == 0 {
					s.crash()
				}
			}
			if s.rng.IntN(commands/3) == 0 {
				require.NoError(t, s.Maintain(s.ctx))
				s.check(fmt.Sprint("after command ", i))
			}
		}
		if s.rng.IntN(2) == 0 {
			s.crash()
		}
		require.NoError(t, s.Maintain(s.ctx))
		s.check("at the end")
		named := s.NamedBlobs()
		s.crash()
		require.NoError(t, s.Maintain(s.ctx))
		require.Equal(t, named, s.NamedBlobs(), "an opening decides as the one before did")
		require.Less(t, s.written, 8*len(s.all))
	})
	proof.Reached(t, 20, "stores with times, seals and sinces at random", stores)
}

// What a move wrote as of the since was folded with nothing but itself: what it overwrites
// or deletes in an older batch goes only when both are merged, whatever since they have,
// and whether or not this opening has written them.
func TestBatchesOfOneSinceAreFolded(t *testing.T) {
	for _, older := range []uint64{10, 20} {
		for _, reopened := range []bool{false, true} {
			f := newFixture(t, still())
			id := f.register("s")
			move := func(upper, since uint64, rows ...indexed.Row) {
				f.write(id, rows...)
				f.seal(id, frontier.At(upper))
				f.allow(id, frontier.At(since))
				f.round(true)
			}
			var first, second []indexed.Row
			for i := range 100 {
				first = append(first, up(fmt.Sprint("old", i), 10))
				second = append(second, row("k", fmt.Sprint("old", i), 20, -1), up(fmt.Sprint("new", i), 20))
			}
			move(11, older, first...)
			move(1<<40+1, 20, append(second, up("later", 1<<40))...)
			require.Len(t, f.Buckets(id).Trace, 2)
			if reopened {
				f.crash()
			}
			require.NoError(t, f.Maintain(f.ctx))
			trace := f.Buckets(id).Trace
			require.Len(t, trace, 1)
			require.Equal(t, 101, trace[0].Rows)
			require.Len(t, f.read(id), 101)
		}
	}
}

// Nor is a batch written again for nothing: few of its rows are at the since, whatever a
// guess of its times says after a restart.
func TestBatchesAreNotFoldedByAGuess(t *testing.T) {
	for _, reopened := range []bool{false, true} {
		f := newFixture(t, still())
		id := f.register("s")
		var first, second []indexed.Row
		for i := range 100 {
			first = append(first, up(fmt.Sprint("first", i), 10))
			second = append(second, up(fmt.Sprint("second", i), 21))
		}
		f.write(id, first...)
		f.seal(id, frontier.At(11))
		f.allow(id, frontier.At(10))
		f.round(true)
		f.write(id, append(second, up("at the since", 20))...)
		f.seal(id, frontier.At(22))
		f.allow(id, frontier.At(20))
		f.round(true)
		if reopened {
			f.crash()
		}
		require.NoError(t, f.Maintain(f.ctx))
		require.Len(t, f.Buckets(id).Trace, 2, "reopened: %t", reopened)
	}
}

// A sum that no int64 holds is several equal rows, which nothing can fold: they are not
// written again and again for it.
func TestWideSumsAreLeftAlone(t *testing.T) {
	f := newFixture(t, still())
	id := f.register("s")
	for range 3 {
		f.write(id, row("k", "v", 1, math.MaxInt64))
	}
	f.allow(id, frontier.At(10))
	f.round(true)
	n := 0
	for did := true; did && n < 10; n++ {
		var err error
		did, err = f.MergeOnce(f.ctx)
		require.NoError(t, err)
	}
	require.Less(t, n, 5)
}

// TestGarbageOfSeveralRulesAddsUp: what folds in the oldest batch by itself, and what the
// batches after it delete, may each be too little for a merge. Counted apart, they leave
// 259 rows for 41.
func TestGarbageOfSeveralRulesAddsUp(t *testing.T) {
	for name, since := range map[string]uint64{"all before the since": 20, "the since within a batch": 9} {
		t.Run(name, func(t *testing.T) {
			s := newSpaced(t)
			key := func(i int) string { return fmt.Sprint("key ", i) }
			var rows []indexed.Row
			for i := range 100 {
				rows = append(rows, s.set(key(i), 1)...)
			}
			for i := range 49 { // they fold with 49 of 198 rows: less than a quarter
				rows = append(rows, s.set(key(i), 2)...)
			}
			s.put(rows, frontier.At(3), s.since)
			s.background()

			rows = []indexed.Row{row("later", "", 15, 1)}
			for i := range 60 { // less than a third of 198, and less than a quarter of all
				rows = append(rows, row(key(i), s.vals[key(i)], 5, -1))
			}
			s.put(rows, frontier.At(30), s.since)
			s.background()
			require.Len(t, s.Buckets(s.id).Trace, 2)

			s.put(nil, s.upper, frontier.At(since))
			s.background()
			s.check("after the since has moved")
		})
	}
}
