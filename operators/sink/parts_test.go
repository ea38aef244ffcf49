package sink_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/sink"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// small is a runtime whose commands have at most 16 KiB, so that 64 KiB are many parts.
var small = persist.Config{MaxTailBytes: 16 << 10}

// rowsOf returns rows of the given size, spread over times.
func rowsOf(n, size int, times ...uint64) (rows []update) {
	for i := range n {
		u := at(fmt.Sprintf("%04d", i), times[i%len(times)], 1)
		u.Val = strings.Repeat("x", size)
		rows = append(rows, u)
	}
	return rows
}

func (s *stream) allow(since uint64) {
	_, err := s.write.AllowCompaction(s.ctx, frontier.At(since)).Wait(s.ctx)
	require.NoError(s.t, err)
}

// requireIdle checks that the side stream, if there is one, has nothing left in it.
func (s *stream) requireIdle() {
	name := "tidemark/parts/" + s.write.StreamName()
	d, err := s.client.Description(s.ctx, name)
	if err != nil {
		require.ErrorIs(s.t, err, persist.ErrUnknownStream)
		return
	}
	gen, _ := d.Upper.Elem()
	require.Zero(s.t, gen%4)
	_, read, err := persist.CreateOrLoad(s.ctx, s.client, name, codec.Bytes, codec.Bytes)
	require.NoError(s.t, err)
	snapshot, err := read.Snapshot(s.ctx)
	require.NoError(s.t, err)
	defer snapshot.Close()
	all, err := snapshot.ReadToEnd(s.ctx)
	require.NoError(s.t, err)
	require.Empty(s.t, all)
}

// nothing are updates that change nothing.
var nothing = []update{{Key: "0", Time: 3}, {Key: "x", Val: strings.Repeat("\x00", 30), Time: 3}, {Key: "y", Val: strings.Repeat("y", 9<<10), Time: 3}}

// A batch that is larger than a command is written, whatever it is that is large.
func TestLargeBatches(t *testing.T) {
	many := make([]uint64, 100)
	for i := range many {
		many[i] = uint64(i)
	}
	largest := slices.Concat(rowsOf(60, 400, 3), []update{{Key: "z", Val: strings.Repeat("x", 14<<10), Time: 3, Diff: 1}})
	wide := func(size int) []update { // each fits into a command, but not twice
		return slices.Concat(rowsOf(9, 400, 3), []update{
			{Key: "w1", Val: strings.Repeat("w", size), Time: 3, Diff: 1},
			{Key: "w2", Val: strings.Repeat("w", size), Time: 3, Diff: -7},
			{Key: "w3", Val: strings.Repeat("w", size), Time: 3, Diff: 2},
		})
	}
	odd := rowsOf(100, 400, 3)
	odd[1].Diff, odd[2].Diff, odd[3].Diff = math.MaxInt64, -7, math.MinInt64+1
	for name, tt := range map[string]struct {
		rows  []update
		upper frontier.Antichain
		parts bool
	}{
		"many times":                 {rowsOf(300, 400, many...), frontier.At(200), false},
		"one time":                   {rowsOf(200, 400, 3), frontier.At(10), true},
		"large and small times":      {rowsOf(400, 400, 1, 5, 5, 5, 9, 5, 5, 99), frontier.At(100), true},
		"several large times":        {rowsOf(400, 400, 1, 4, 5), frontier.At(100), true},
		"to the end":                 {rowsOf(200, 400, 7, math.MaxUint64), frontier.Empty(), true},
		"one row as large as can be": {largest, frontier.At(10), true},
		"rows of half a command":     {wide(9 << 10), frontier.At(10), true},
		"rows as large as can be":    {wide(16<<10 - 24 - 2 - 80), frontier.At(10), true},
		"odd diffs":                  {odd, frontier.At(10), true},
		"small rows":                 {rowsOf(3000, 0, 3), frontier.At(10), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, small)
			b := batch{Description: frontier.Description{Upper: tt.upper}, Updates: slices.Clone(tt.rows)}
			b.Updates = append(b.Updates, nothing...)
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(b.Updates), func(i, j int) { b.Updates[i], b.Updates[j] = b.Updates[j], b.Updates[i] })
			to := sink.New(s.ctx, s.write)
			input := []any{b, b}
			if upper, ok := tt.upper.Elem(); ok {
				input = append(input, batchOf(upper, upper+1, at("zz", upper, 1)))
				tt.rows = append(tt.rows, at("zz", upper, 1))
				tt.upper = frontier.At(upper + 1)
			}
			feed(to, input...)
			require.NoError(t, to.Err())
			require.True(t, slices.Equal(tt.rows, s.contents()))
			require.Equal(t, tt.upper, s.upper())
			require.Equal(t, tt.upper, to.Probe().Frontier())
			s.requireIdle()
			streams, err := s.client.Streams(s.ctx)
			require.NoError(t, err)
			require.Equal(t, tt.parts, len(streams) == 2, "a side stream only if it is needed")
		})
	}
}

// Several rows of one time that leave no room to say that they have arrived are refused.
func TestRowsThatLeaveNoRoom(t *testing.T) {
	s := newStream(t, small)
	rows := slices.Concat(rowsOf(60, 400, 3), rowsOf(2, 16<<10-24-4-79, 3))
	to := sink.New(s.ctx, s.write)
	feed(to, batchOf(0, 10, rows...))
	require.ErrorIs(t, to.Err(), persist.ErrTooLarge)
	require.ErrorContains(t, to.Err(), `"out"`)
	require.ErrorContains(t, to.Err(), `key "0001"`)
	require.Empty(t, s.contents(), "found out before anything was written")
	to = sink.New(s.ctx, s.write)
	feed(to, batchOf(0, 10, at("instead", 3, 1)))
	require.NoError(t, to.Err())
	require.Equal(t, []update{at("instead", 3, 1)}, s.contents())
	s.requireIdle()
}

// What is too large is found out by the encoding, if the memory does not tell.
func TestLargeByItsEncoding(t *testing.T) {
	client, err := mem.NewRegistry().Runtime(t.Context(), small)
	require.NoError(t, err)
	defer client.Stop()
	write, read, err := persist.CreateOrLoad(t.Context(), client, strings.Repeat("n", 1020), codec.JSON[[]float64](), codec.Unit)
	require.NoError(t, err)
	var b operators.Batch[[]float64, struct{}]
	b.Upper = frontier.At(5)
	for i := range 8 {
		long := make([]float64, 100)
		for k := range long {
			long[k] = 1 / float64(3+i+k)
		}
		b.Updates = append(b.Updates, persist.Update[[]float64, struct{}]{Key: long, Time: 2, Diff: 1})
	}
	to := sink.New(t.Context(), write)
	next := b
	next.Lower, next.Upper, next.Updates = b.Upper, frontier.At(6), nil
	feed(to, b, next)
	require.NoError(t, to.Err())
	snapshot, err := read.Snapshot(t.Context())
	require.NoError(t, err)
	defer snapshot.Close()
	all, err := snapshot.ReadToEnd(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 8)
	require.Equal(t, frontier.At(6), snapshot.Upper())
}

// TestKilledInParts kills a sink at each of its commands, before it is durable, after, and
// without anybody knowing, and the run after it at each of its own; meanwhile others have
// unsealed rows at the same times, which nobody may touch.
func TestKilledInParts(t *testing.T) {
	rows := rowsOf(42, 400, 1, 3, 3, 3, 3, 3, 3)
	for _, key := range []string{"w1", "w2", "w2", "w3"} {
		rows = append(rows, update{Key: key, Val: strings.Repeat("w", 9<<10), Time: 3, Diff: 1})
	}
	foreign := []update{{Key: "0001", Val: rows[1].Val, Time: 3, Diff: 5}, at("foreign", 4, 1)}
	want := slices.Concat(rows[:42], []update{at("foreign", 4, 1)}, rows[42:44], rows[45:])
	want[1].Diff += 5
	want[44].Diff++ // w2
	run := func(nth int, outcome mem.Outcome) (deaths int) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		reg := mem.NewRegistry()
		for round := 0; ; round++ {
			s := openStream(ctx, t, reg, "out", small)
			b := batchOf(0, 10, append(nothing, rows...)...)
			switch round {
			case 0:
				require.NoError(t, wait(s, s.write.Write(ctx, foreign)))
				s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: nth, Outcome: outcome})
			case 1:
				s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 1 + nth%4, Outcome: mem.AnswerLost})
			case 2:
				b = batchOf(0, 12, rows...) // cut otherwise
			}
			to := sink.New(ctx, s.write, sink.PartBytes(2<<10))
			feed(to, b)
			if to.Err() != nil {
				require.ErrorIs(t, to.Err(), persist.ErrOutcomeUnknown)
				deaths++
				_ = s.client.Stop()
				continue
			}
			require.True(t, slices.Equal(want, s.contents()), "killed at command %d", nth)
			s.requireIdle()
			require.NoError(t, s.client.Stop())
			return deaths
		}
	}
	commands := 1
	for run(commands, mem.AnswerLost) > 0 {
		commands++
	}
	require.Greater(t, commands, 20)
	for nth := 1; nth < commands; nth++ {
		if nth%3 == 0 {
			require.Zero(t, run(nth, mem.Refused), "it is tried again")
		} else {
			require.Positive(t, run(nth, mem.Vanished))
		}
	}
}

// Random batches, cut anew at each start and advanced to a since that moves, of an output
// whose since moves as well, and kills at random commands.
func TestRandomKillsInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		const times = 6
		reg := mem.NewRegistry()
		weights := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 5, 40}), times, times).Draw(t, "rows")
		var input []update
		for time, n := range weights {
			for i := range n {
				u := at(fmt.Sprintf("%d/%02d", time, i%30), uint64(time), int64(1+i%3))
				u.Val = strings.Repeat("x", 400)
				input = append(input, u)
			}
		}
		since := uint64(0)
		for round := 0; ; round++ {
			s := openStream(ctx, t, reg, "out", small)
			upper, _ := s.upper().Elem()
			if round > 0 && upper > since {
				since = rapid.Uint64Range(since, upper-1).Draw(t, "since")
			}
			if rapid.Bool().Draw(t, "the output's since moves") {
				d, err := s.write.Description(ctx)
				require.NoError(t, err)
				if e, _ := d.Since.Elem(); e < times {
					s.allow(rapid.Uint64Range(e, times).Draw(t, "to"))
				}
			}
			if round < 6 && rapid.Bool().Draw(t, "kill") {
				s.unreliable.Inject(mem.Fault{
					Op: mem.OpAppend, Nth: rapid.IntRange(1, 25).Draw(t, "at"),
					Outcome: rapid.SampledFrom([]mem.Outcome{mem.Vanished, mem.AnswerLost, mem.Refused}).Draw(t, "outcome"),
				})
			}
			to := sink.New(ctx, s.write, sink.PartBytes(int64(rapid.SampledFrom([]int{500, 2000, 0}).Draw(t, "part"))))
			for lower := uint64(0); lower < times; {
				end := rapid.Uint64Range(lower+1, times).Draw(t, "cut")
				b := advanced(lower, since, end)
				for _, u := range input {
					if u.Time = max(u.Time, since); u.Time >= lower && u.Time < end {
						b.Updates = append(b.Updates, u)
					}
				}
				to.In() <- b
				lower = end
			}
			feed(to)
			if to.Err() != nil {
				require.ErrorIs(t, to.Err(), persist.ErrOutcomeUnknown)
				_ = s.client.Stop()
				continue
			}
			sums := make(map[string]int64)
			for _, u := range input {
				sums[u.Key] += u.Diff
			}
			for _, u := range s.contents() {
				sums[u.Key] -= u.Diff
			}
			for key, left := range sums {
				require.Zero(t, left, key)
			}
			require.Equal(t, frontier.At(times), s.upper())
			s.requireIdle()
			require.NoError(t, s.client.Stop())
			return
		}
	})
}

// held is the codec of strings, which waits when it is told to.
type heldCodec struct {
	persist.Codec[string]
	wait func()
}

func (c heldCodec) Append(dst []byte, v string) ([]byte, error) {
	c.wait()
	return c.Codec.Append(dst, v)
}

// A sink that begins while another one has parts open takes them back, and the other one
// can neither add to them nor seal over what is gone. One that began before it is refused.
func TestSecondSinkAmongParts(t *testing.T) {
	rows := rowsOf(100, 400, 3)
	for _, before := range []bool{false, true} {
		for _, stopsAt := range []int{101, 120, 150, 199} { // rows are encoded twice
			s := newStream(t, small)
			encoded, stopped, goOn := 0, make(chan struct{}), make(chan struct{})
			held, _, err := persist.CreateOrLoad(s.ctx, s.client, "out", codec.String, persist.Codec[string](heldCodec{codec.String, func() {
				if encoded++; encoded == stopsAt {
					close(stopped)
					<-goOn
				}
			}}))
			require.NoError(t, err)
			one := sink.New(s.ctx, held, sink.PartBytes(2<<10))
			two := sink.New(s.ctx, s.write, sink.PartBytes(2<<10))
			one.In() <- batchOf(0, 10, rows...)
			<-stopped
			if !before {
				two = sink.New(s.ctx, s.write, sink.PartBytes(2<<10))
			}
			feed(two, batchOf(0, 10, rows...))
			close(goOn)
			feed(one)
			if before && stopsAt > 110 {
				require.NoError(t, one.Err())
				require.ErrorIs(t, two.Err(), persist.ErrUpperMismatch)
				require.ErrorContains(t, two.Err(), "another writer")
			} else {
				require.ErrorIs(t, one.Err(), persist.ErrUpperMismatch)
				require.ErrorContains(t, one.Err(), "another writer")
				require.NoError(t, two.Err())
			}
			require.True(t, slices.Equal(rows, s.contents()))
			s.requireIdle()
		}
	}
}

// Of two sinks that begin at once, and see the same parts, one takes them back, or drops
// them.
func TestOneSinkTakesBack(t *testing.T) {
	rows := rowsOf(100, 400, 3)
	states, refused, over := map[uint64]int{}, 0, false
	for nth := 1; !over; nth++ {
		synctest.Test(t, func(t *testing.T) {
			reg := mem.NewRegistry()
			s := openStream(t.Context(), t, reg, "out", small)
			s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: nth, Outcome: mem.AnswerLost})
			killed := sink.New(s.ctx, s.write)
			feed(killed, batchOf(0, 10, rows...))
			_ = s.client.Stop()
			if over = killed.Err() == nil; over {
				return
			}
			s = openStream(t.Context(), t, reg, "out", small)
			defer func() { _ = s.client.Stop() }()
			d, err := s.client.Description(s.ctx, "tidemark/parts/out")
			require.NoError(t, err)
			gen, _ := d.Upper.Elem()
			states[gen%4]++

			gate := s.unreliable.GateBefore(mem.OpAppend)
			one, two := sink.New(s.ctx, s.write), sink.New(s.ctx, s.write)
			_, _ = one.In(), two.In()
			synctest.Wait() // both want to take over
			gate.Open()
			synctest.Wait()
			if one.Err() != nil {
				one, two = two, one
			}
			twos := two.Err()
			feed(two)
			feed(one, batchOf(0, 10, rows...))
			require.NoError(t, one.Err())
			if twos != nil { // it did not begin when the other one had ended
				refused++
				require.ErrorIs(t, twos, persist.ErrUpperMismatch)
				require.ErrorContains(t, twos, "another writer")
			}
			require.True(t, slices.Equal(rows, s.contents()))
			s.requireIdle()
		})
	}
	require.Greater(t, states[1], 5, "kills among parts that are open")
	require.Greater(t, states[2], 3, "kills among parts that are sealed")
	require.Greater(t, refused, 8)
}

// A sink that began when there were no parts yet does not seal over those of another one.
func TestSinkThatBeganBeforeTheParts(t *testing.T) {
	for _, side := range []bool{false, true} { // there is a side stream already
		s := newStream(t, small)
		lower := uint64(0)
		if side {
			feed(sink.New(s.ctx, s.write), batchOf(0, 1, rowsOf(100, 400, 0)...))
			lower = 1
		}
		before := s.contents()
		two := sink.New(s.ctx, s.write)
		two.In() <- batchOf(lower, 2, at("first", 1, 1))
		require.NoError(t, two.Probe().Wait(s.ctx, 2))
		s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 5, Outcome: mem.Refused})
		one := sink.New(s.ctx, s.write, sink.PartBytes(2<<10), sink.Retry(-1, 1))
		feed(one, batchOf(2, 10, rowsOf(60, 400, 3)...))
		require.ErrorContains(t, one.Err(), "given up", "in the middle of its parts")
		feed(two, batchOf(2, 10, at("small", 3, 1)))
		require.ErrorIs(t, two.Err(), persist.ErrUpperMismatch)
		require.ErrorContains(t, two.Err(), "another writer has taken over the parts")
		require.Equal(t, frontier.At(2), s.upper())

		last := sink.New(s.ctx, s.write)
		feed(last, batchOf(2, 10, at("small", 3, 1)))
		require.NoError(t, last.Err())
		require.Equal(t, append(before, at("first", 1, 1), at("small", 3, 1)), s.contents())
		s.requireIdle()
	}
}

// Parts that somebody has sealed over cannot be taken back, which no start passes by.
func TestPartsThatWereSealedOver(t *testing.T) {
	reg := mem.NewRegistry()
	s := openStream(t.Context(), t, reg, "out", small)
	s.unreliable.Inject(mem.Fault{Op: mem.OpAppend, Nth: 4, Outcome: mem.AnswerLost})
	to := sink.New(s.ctx, s.write)
	feed(to, batchOf(0, 10, rowsOf(100, 400, 3)...))
	require.ErrorIs(t, to.Err(), persist.ErrOutcomeUnknown)
	_ = s.client.Stop()
	for range 2 {
		s = openStream(t.Context(), t, reg, "out", small)
		_, _ = s.write.Seal(s.ctx, 5).Wait(s.ctx)
		to = sink.New(s.ctx, s.write)
		feed(to, batchOf(5, 6))
		require.ErrorIs(t, to.Err(), persist.ErrSealed)
		require.ErrorContains(t, to.Err(), "another writer")
		require.ErrorContains(t, to.Err(), "tidemark/parts/out")
		require.Equal(t, frontier.At(5), s.upper())
		require.NoError(t, s.client.Stop())
	}
}
