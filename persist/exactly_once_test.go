package persist_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/internal/proof"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// TestSnapshotPlusListener has eight writers that write, seal and compact, a hundred
// listeners that come in at all moments, and background work all the time. What a
// listener has in its snapshot and hears after it is what was acknowledged, each
// update once, and nothing comes at a time that was sealed before.
func TestSnapshotPlusListener(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		const writers, streams, listeners, perWrite = 8, 2, 100, 4
		writes := proof.Pick(50, 100, 600)
		c := start(t, p, tiny())
		var ws [streams]*writer
		var rs [streams]*reader
		for i := range streams {
			ws[i], rs[i] = create(t, c, fmt.Sprint(i))
		}

		var mu sync.Mutex
		var acknowledged [streams]map[string]bool // guarded by mu
		for i := range streams {
			acknowledged[i] = make(map[string]bool)
		}
		var got [listeners]map[string]int
		var clock, done atomic.Uint64
		var readers, running sync.WaitGroup
		begin := make(chan int, listeners) // a listener to start
		for w := range writers {
			running.Go(func() {
				random := rand.New(rand.NewPCG(uint64(w), 0))
				for i := range writes {
					s := random.IntN(streams)
					var updates []update
					for n := range perWrite {
						updates = append(updates, up(fmt.Sprintf("%d-%d-%d", w, i, n), "", clock.Load()+random.Uint64N(4), 1))
					}
					if _, err := ws[s].Write(t.Context(), updates).Wait(t.Context()); err != nil {
						// Somebody has sealed the time since the clock was read.
						check(t, errors.Is(err, persist.ErrSealed), err)
					} else {
						mu.Lock()
						for _, u := range updates {
							acknowledged[s][u.Key] = true
						}
						mu.Unlock()
					}
					if random.IntN(8) == 0 {
						now := clock.Add(1)
						_, err := ws[s].Seal(t.Context(), now).Wait(t.Context())
						check(t, err == nil || errors.Is(err, persist.ErrSealRegression), err)
						_, err = ws[s].AllowCompaction(t.Context(), frontier.At(now-min(now, 5))).Wait(t.Context())
						check(t, err == nil || errors.Is(err, persist.ErrSinceRegression), err)
					}
					every := uint64(writers * writes / listeners)
					if n := done.Add(1); n%every == 0 && n/every <= listeners {
						begin <- int(n/every) - 1
					}
				}
			})
		}
		go func() {
			running.Wait()
			for i := range streams {
				_, err := ws[i].Finish(t.Context()).Wait(t.Context())
				check(t, err == nil, err)
			}
			close(begin)
		}()
		for i := range begin {
			readers.Go(func() { got[i] = follow(t, rs[i%streams]) })
		}
		readers.Wait()
		for i := range listeners {
			want := acknowledged[i%streams]
			require.Len(t, got[i], len(want), "listener %d", i)
			for key, times := range got[i] {
				require.True(t, want[key], "listener %d got %s, which was not acknowledged", i, key)
				require.Equal(t, 1, times, "listener %d got %s more than once", i, key)
			}
		}
	})
}

// check is require for any goroutine.
func check(t *testing.T, ok bool, err error) {
	if !ok {
		t.Errorf("unexpected outcome: %v", err)
	}
}

// follow reads a stream until it is finished and counts the keys.
func follow(t *testing.T, r *reader) map[string]int {
	got := make(map[string]int)
	s, l, err := r.Listen(t.Context())
	check(t, err == nil, err)
	if err != nil {
		return got
	}
	defer func() { _, _ = s.Close(), l.Close() }()
	updates, err := s.ReadToEnd(t.Context())
	check(t, err == nil, err)
	for _, u := range updates {
		got[u.Key] += int(u.Diff)
	}
	upper, seqno := s.Upper(), s.SeqNo()
	for {
		e, err := l.Next(t.Context())
		if err != nil {
			check(t, errors.Is(err, io.EOF) && upper.IsEmpty(), err)
			return got
		}
		// The updates of a command and its seal have one SeqNo; here they are apart.
		check(t, e.SeqNo > seqno, fmt.Errorf("%v follows %s", e, seqno))
		seqno = e.SeqNo
		if e.Updates == nil {
			check(t, upper.LessEqual(e.Sealed), fmt.Errorf("%v follows %s", e, upper))
			upper = e.Sealed
		}
		for _, u := range e.Updates {
			check(t, upper.Admits(u.Time), fmt.Errorf("%v follows the seal to %s", u, upper))
			got[u.Key] += int(u.Diff)
		}
	}
}

// TestCompareAndAppendRace: of those who expect the same upper one succeeds, and the
// others are told where to go on.
func TestCompareAndAppendRace(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		rounds := uint64(proof.Pick(50, 200, 2000))
		c := start(t, p, tiny())
		w, r := create(t, c, "s")
		won := make([]atomic.Int32, rounds)
		var racers sync.WaitGroup
		for i := range 8 {
			racers.Go(func() {
				for upper := uint64(0); upper < rounds; {
					_, err := w.CompareAndAppend(t.Context(), []update{up(fmt.Sprint(i), "", upper, 1)},
						frontier.At(upper), frontier.At(upper+1)).Wait(t.Context())
					var mismatch *persist.UpperMismatchError
					switch {
					case err == nil:
						won[upper].Add(1)
						upper++
					case errors.As(err, &mismatch):
						now, ok := mismatch.Upper.Elem()
						check(t, ok && now > upper, err)
						upper = max(now, upper+1)
					default:
						check(t, false, err)
						return
					}
				}
			})
		}
		racers.Wait()
		perTime := make(map[uint64]int)
		for _, u := range contents(t, r) {
			perTime[u.Time]++
		}
		for upper := range rounds {
			require.EqualValues(t, 1, won[upper].Load(), "winners at %d", upper)
			require.Equal(t, 1, perTime[upper])
		}
	})
}

// TestCompareAndAppendRetry loses the answer of every third append, whether it has
// happened or not. Whoever opens the location again and goes on where the upper is
// writes everything once.
func TestCompareAndAppendRetry(t *testing.T) {
	registry, faults := mem.NewRegistry(), mem.NewUnreliable()
	open := func() (*persist.Client, *writer) {
		c, err := registry.RuntimeUnreliable(t.Context(), faults, onDemand())
		require.NoError(t, err)
		w, _ := create(t, c, "s")
		return c, w
	}
	c, w := open()
	var landed, vanished int
	for step := range uint64(60) {
		var outcome mem.Outcome
		if fails := step%3 == 0; fails {
			outcome = []mem.Outcome{mem.AnswerLost, mem.Vanished}[step/3%2]
			faults.Inject(mem.Fault{Op: mem.OpAppend, Outcome: outcome})
		}
		write := func() error {
			_, err := w.CompareAndAppend(t.Context(), []update{up("k", "", step, 1)},
				frontier.At(step), frontier.At(step+1)).Wait(t.Context())
			return err
		}
		err := write()
		if step%3 != 0 {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, persist.ErrOutcomeUnknown)
		require.ErrorIs(t, write(), persist.ErrStopped)
		require.NoError(t, c.Stop())
		c, w = open()
		if err := write(); err == nil {
			vanished++
			require.Equal(t, mem.Vanished, outcome)
		} else {
			landed++
			var mismatch *persist.UpperMismatchError
			require.ErrorAs(t, err, &mismatch)
			require.Equal(t, frontier.At(step+1), mismatch.Upper)
			require.Equal(t, mem.AnswerLost, outcome)
		}
	}
	require.Equal(t, 10, landed)
	require.Equal(t, 10, vanished)
	_, r := create(t, c, "s")
	got := contents(t, r)
	require.Len(t, got, 60)
	for i, u := range got {
		require.Equal(t, up("k", "", uint64(i), 1), u)
	}
	require.NoError(t, c.Stop())
}

// TestAtomicWrites puts the same key into several streams at once. Some are refused
// by one of the streams. At any time the streams agree with one another.
func TestAtomicWrites(t *testing.T) {
	onPlaces(t, func(t *testing.T, p place) {
		c := start(t, p, tiny())
		var ws [3]*writer
		var rs [3]*reader
		for i := range ws {
			ws[i], rs[i] = create(t, c, fmt.Sprint(i))
		}
		must(t, ws[2].Seal(t.Context(), 5))
		multi, err := persist.NewMultiWriteHandle(ws[0], ws[1], ws[2])
		require.NoError(t, err)
		var want []update
		for i := range 60 {
			u := up(fmt.Sprintf("%03d", i), "", uint64(i%10), 1)
			add := func(b *persist.AtomicWrite) error {
				for _, w := range ws {
					if err := persist.AddWrite(b, w, []update{u}); err != nil {
						return err
					}
				}
				if i%6 == 4 {
					return persist.AddSeal(b, ws[0], 0) // no regression
				}
				if i%6 == 5 {
					return errors.New("changed my mind")
				}
				return nil
			}
			_, err := multi.WriteAtomic(t.Context(), add).Wait(t.Context())
			switch {
			case i%6 == 5:
				require.EqualError(t, err, "changed my mind")
			case u.Time < 5:
				require.ErrorIs(t, err, persist.ErrSealed)
			default:
				require.NoError(t, err)
				want = append(want, u)
			}
			for _, r := range rs {
				require.Equal(t, want, contents(t, r))
			}
		}
		// A compare-and-append in an atomic write refuses all of it.
		_, err = multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
			require.NoError(t, persist.AddWrite(b, ws[0], twoUpdates))
			require.NoError(t, persist.AddAllowCompaction(b, ws[0], frontier.At(1)))
			return persist.AddCompareAndAppend(b, ws[2], nil, frontier.At(4), frontier.At(9))
		}).Wait(t.Context())
		require.ErrorIs(t, err, persist.ErrUpperMismatch)
		require.Equal(t, want, contents(t, rs[0]))
		require.Equal(t, frontier.At(0), describe(t, c, "0").Since)

		// A seal takes effect after the writes, whatever the order they are added in, and
		// a listener hears them so, at one SeqNo.
		_, l := listen(t, rs[0])
		late := []update{up("late", "", 20, 1)}
		at := must(t, multi.WriteAtomic(t.Context(), func(b *persist.AtomicWrite) error {
			require.NoError(t, persist.AddSeal(b, ws[0], 30))
			return persist.AddWrite(b, ws[0], late)
		}))
		require.Equal(t, event{Updates: late, SeqNo: at}, next(t, l))
		require.Equal(t, event{Sealed: frontier.At(30), SeqNo: at}, next(t, l))
	})
}
