package source_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// counting counts what it decodes.
type counting struct {
	persist.Codec[string]
	decoded *atomic.Int64
}

func (c counting) Decode(src []byte) (string, error) {
	c.decoded.Add(1)
	return c.Codec.Decode(src)
}

// readCounting returns a handle of the stream that counts the updates it decodes.
func (s *stream) readCounting() (*persist.ReadHandle[string, string], *atomic.Int64) {
	decoded := new(atomic.Int64)
	_, read, err := persist.CreateOrLoad(s.ctx, s.client, s.read.StreamName(), codec.String,
		persist.Codec[string](counting{codec.String, decoded}))
	require.NoError(s.t, err)
	return read, decoded
}

// ahead writes n updates, one at each time from the first on, in an order that is not theirs.
func (s *stream) ahead(first uint64, n int) {
	updates := make([]update, n)
	for i := range updates {
		at := first + uint64(i*7919%n)
		updates[i] = update{Key: fmt.Sprintf("%06d", i), Val: "1", Time: at, Diff: 1}
	}
	s.append(updates...)
}

// What a seal covers is what it costs, not what is ahead of it.
func TestSealsDoNotTouchWhatIsAhead(t *testing.T) {
	const ahead, ticks = 20_000, 50
	for name, live := range map[string]bool{"in the snapshot": false, "live": true} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			if !live {
				s.ahead(1000, ahead)
			}
			s.seal(1)
			src := source.NewBatches(s.ctx, s.read)
			out := src.Out()
			<-out
			if live {
				s.ahead(1000, ahead)
			}
			tick := func(at uint64) {
				s.append(tickAt("tick", at))
				s.seal(at + 1)
				require.Equal(t, []update{tickAt("tick", at)}, (<-out).(batch).Updates)
			}
			tick(1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for i := range uint64(ticks) {
				tick(2 + i)
			}
			runtime.ReadMemStats(&after)
			require.Less(t, (after.TotalAlloc-before.TotalAlloc)/ticks, uint64(200<<10), "bytes allocated for each")
		})
	}
}

func tickAt(key string, time uint64) update { return update{Key: key, Val: "1", Time: time, Diff: 1} }

// What does not fit is read again, once for as many seals as what fits lasts for, and not
// once for each.
func TestSpilledUpdatesAreReadForManySeals(t *testing.T) {
	const n, fits = 600, 100
	for name, write := range map[string]func(s *stream, from func()){
		"in the snapshot": func(s *stream, from func()) { s.ahead(10, n); from() },
		"live":            func(s *stream, from func()) { from(); s.ahead(10, n) },
		"live, many commands": func(s *stream, from func()) {
			from()
			for i := range 6 {
				s.ahead(10+uint64(i*n/6), n/6)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			read, decoded := s.readCounting()
			var src *source.BatchSource[string, string]
			write(s, func() { src = source.NewBatches(s.ctx, read, source.MaxPendingBytes(fits*400)) })
			out := src.Out()
			lower := frontier.At(0)
			for i := range uint64(n + 10) {
				s.seal(i + 1)
				b := (<-out).(batch)
				require.Equal(t, frontier.Description{Lower: lower, Upper: frontier.At(i + 1)}, b.Description)
				if i >= 10 {
					require.Len(t, b.Updates, 1)
					require.Equal(t, i, b.Updates[0].Time)
				}
				lower = b.Upper
			}
			require.NoError(t, src.Err())
			require.EqualValues(t, n, decoded.Load())
			require.Greater(t, src.Positions(), 2)
			require.LessOrEqual(t, src.Positions(), n/fits+1, "what fits is read once")
		})
	}
}

// Among what does not fit is an update so far away that it is never needed.
func TestOneLargeTimeFarAway(t *testing.T) {
	const n = 50
	s := newStream(t)
	read, decoded := s.readCounting()
	s.append(update{Key: "far", Val: string(make([]byte, 10_000)), Time: math.MaxUint64, Diff: 1})
	src := source.NewBatches(s.ctx, read, source.MaxPendingBytes(5000))
	out := src.Out()
	for i := range uint64(n) {
		s.append(tickAt("tick", i))
		s.seal(i + 1)
		require.Equal(t, []update{tickAt("tick", i)}, (<-out).(batch).Updates)
	}
	require.EqualValues(t, n, decoded.Load())
	require.Equal(t, 1, src.Positions())
	s.finish()
	last := slices.Collect(all(src))
	require.Len(t, last, 1)
	require.Equal(t, "far", last[0].Updates[0].Key)
	require.NoError(t, src.Err())
}

// A sum that no int64 holds is an error that names the row, and one that does is exact
// whatever it comes to on the way.
func TestPendingDiffsAreExact(t *testing.T) {
	const most = math.MaxInt64
	for name, tt := range map[string]struct {
		diffs []int64
		want  int64
		wraps bool
	}{
		"one too many":      {[]int64{most, 1}, 0, true},
		"one too few":       {[]int64{-most, -2}, 0, true},
		"twice around":      {[]int64{most, most, 2}, 0, true},
		"over and back":     {[]int64{most, most, -most}, most, false},
		"under and back":    {[]int64{-most, -1, -1, 1}, math.MinInt64, false},
		"nothing remains":   {[]int64{-most, -1, most, 1}, 0, false},
		"the least of them": {[]int64{-most, -1}, math.MinInt64, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			s, stop := openStream(ctx, t)
			defer stop()
			src := source.NewBatches(s.ctx, s.read)
			out := src.Out()
			for _, diff := range tt.diffs {
				_, err := s.write.Write(s.ctx, []update{at("row", "1", 3, diff)}).Wait(s.ctx)
				require.NoError(t, err)
			}
			s.seal(4)
			if tt.wraps {
				_, open := <-out
				require.False(t, open)
				require.ErrorContains(t, src.Err(), `"row"`)
				require.ErrorContains(t, src.Err(), "time 3")
				require.ErrorIs(t, src.Err(), persist.ErrOverflow)
				return
			}
			var want []update
			if tt.want != 0 {
				want = []update{at("row", "1", 3, tt.want)}
			}
			if tt.want == math.MinInt64 {
				want = []update{at("row", "1", 3, -most), at("row", "1", 3, -1)}
			}
			require.Equal(t, want, append([]update(nil), (<-out).(batch).Updates...))
		})
	}
}

// A source never encodes, and decodes an update once, when the batch leaves: a row that no
// codec can decode ends it when a seal has covered the row, after the batches before that,
// and not at all if it was retracted.
func TestUpdatesAreDecodedWhenTheyLeave(t *testing.T) {
	refused := errors.New("refused")
	var decoded atomic.Int64
	picky := codec.Func("string",
		func([]byte, string) ([]byte, error) { panic("a source encodes") },
		func(src []byte) (string, error) {
			decoded.Add(1)
			if string(src) == "bad" {
				return "", refused
			}
			return string(src), nil
		})
	for where, order := range map[string][]func(s *stream){
		"in the snapshot": {func(s *stream) { s.append(at("bad", "1", 3, 1), at("k", "1", 5, 1), at("bad", "1", 5, 1)) }, func(*stream) {}},
		"live":            {func(*stream) {}, func(s *stream) { s.append(at("bad", "1", 3, 1), at("k", "1", 5, 1), at("bad", "1", 5, 1)) }},
	} {
		t.Run(where, func(t *testing.T) {
			decoded.Store(0)
			s := newStream(t)
			_, read, err := persist.CreateOrLoad(s.ctx, s.client, "quakes", picky, codec.String)
			require.NoError(t, err)
			order[0](s)
			src := source.NewBatches(s.ctx, read)
			out := src.Out()
			order[1](s)
			s.append(at("a", "1", 1, 1), at("bad", "1", 3, -1), at("a", "1", 1, 1))
			s.seal(2)
			require.Equal(t, []update{at("a", "1", 1, 2)}, (<-out).(batch).Updates)
			s.seal(4)
			require.Empty(t, (<-out).(batch).Updates)
			require.EqualValues(t, 1, decoded.Load())
			s.seal(6)
			_, open := <-out
			require.False(t, open)
			require.ErrorIs(t, src.Err(), refused)
			require.ErrorContains(t, src.Err(), `key of update of key "bad" at time 5`)
			require.Equal(t, frontier.At(4), src.Probe().Frontier())
		})
	}
}

// A consumer may change the keys and values of a batch, and append to them: they share no
// memory with each other, the stream, or the next source.
func TestUpdatesAreTheConsumers(t *testing.T) {
	type row struct{ Key, Val string }
	for name, live := range map[string]bool{"stored": false, "live": true} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			write, read, err := persist.CreateOrLoad(s.ctx, s.client, "bytes", codec.Bytes, codec.Bytes)
			require.NoError(t, err)
			var want []row
			fill := func() {
				var updates []persist.Update[[]byte, []byte]
				for i := range 300 {
					r := row{fmt.Sprintf("%0*d", 1+i%40, i), fmt.Sprintf("v%d", i)}
					want = append(want, r)
					updates = append(updates, persist.Update[[]byte, []byte]{Key: []byte(r.Key), Val: []byte(r.Val), Time: uint64(i % 7), Diff: 1})
				}
				least := row{"least", "sum"}
				want = append(want, least, least)
				for _, diff := range []int64{-math.MaxInt64, -1} {
					updates = append(updates, persist.Update[[]byte, []byte]{Key: []byte(least.Key), Val: []byte(least.Val), Time: 3, Diff: diff})
				}
				_, err := write.Write(s.ctx, updates).Wait(s.ctx)
				require.NoError(t, err)
			}
			if !live {
				fill()
				_, err = write.Seal(s.ctx, 7).Wait(s.ctx)
				require.NoError(t, err)
			}
			src := source.NewBatches(s.ctx, read)
			if live {
				fill()
			}
			_, err = write.Finish(s.ctx).Wait(s.ctx)
			require.NoError(t, err)
			var got []row
			for e := range src.Out() {
				b := e.(operators.Batch[[]byte, []byte])
				for i := range b.Updates {
					u := &b.Updates[i]
					key := string(u.Key)
					clear(u.Key)
					u.Key = append(u.Key, 1)
					got = append(got, row{key, string(u.Val)})
					clear(u.Val)
					u.Val = append(u.Val, 1)
				}
			}
			require.NoError(t, src.Err())
			require.ElementsMatch(t, want, got)
		})
	}
}

// A decoder may append to the bytes that it is given, which are all that the source holds.
func TestDecodersMayAppend(t *testing.T) {
	appending := codec.Func("string", codec.String.Append, func(src []byte) (string, error) {
		s := append(src, "\x00end"...)
		return string(s[:len(src)]), nil
	})
	want := []update{at("a", "one", 1, 1), at("b", "two", 1, 1), at("c", "three", 2, 1)}
	for name, order := range map[string][]func(s *stream){
		"stored":          {func(s *stream) { s.append(want...); s.seal(3) }, func(*stream) {}},
		"in the snapshot": {func(s *stream) { s.append(want...) }, func(s *stream) { s.seal(3) }},
		"live":            {func(*stream) {}, func(s *stream) { s.append(want...); s.seal(3) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			_, read, err := persist.CreateOrLoad(s.ctx, s.client, "quakes", appending, appending)
			require.NoError(t, err)
			order[0](s)
			batches, records := source.NewBatches(s.ctx, read), source.New(s.ctx, read)
			order[1](s)
			s.finish()
			var got []update
			for b := range all(batches) {
				got = append(got, b.Updates...)
			}
			require.NoError(t, batches.Err())
			require.Equal(t, want, got)
			got = nil
			for u, err := range records.All() {
				require.NoError(t, err)
				got = append(got, u)
			}
			require.Equal(t, want, got)
		})
	}
}

// What lies before an update that cannot be decoded, or a sum that no int64 holds, is emitted,
// wherever its key puts it among what is read at once, and however that is cut.
func TestUpdatesBeforeAnError(t *testing.T) {
	const times = 9
	for name, opts := range map[string][]source.BatchOption{
		"one batch":         nil,
		"a time each":       {source.MaxBatchUpdates(2)},
		"two times each":    {source.MaxBatchUpdates(5)},
		"few bytes":         {source.MaxBatchBytes(300)},
		"few bytes at once": {source.MaxBatchBytes(300), source.MaxBatchUpdates(4)},
	} {
		for live := range 2 {
			for _, keys := range []string{"az", "za"} {
				for bad := range uint64(times) {
					for _, overflow := range []bool{false, true} {
						s := newStream(t)
						_, read, err := persist.CreateOrLoad(s.ctx, s.client, "quakes", codec.String, persist.Codec[string](fussy{codec.String}))
						require.NoError(t, err)
						var src *source.BatchSource[string, string]
						begin := func() { src = source.NewBatches(s.ctx, read, opts...) }
						if live == 1 {
							begin()
						}
						for i := range uint64(times) {
							s.append(at("m", strings.Repeat("v", 100), i, 1), at("n", "1", i, 1))
						}
						for i := range min(2, times-bad) {
							if overflow {
								s.append(at(keys[i:i+1], "1", bad+i, math.MaxInt64), at(keys[i:i+1], "1", bad+i, 1))
							} else {
								s.append(at(keys[i:i+1], "bad", bad+i, 1))
							}
						}
						s.seal(times)
						if live == 0 {
							begin()
						}
						var got []update
						for b := range all(src) {
							got = append(got, b.Updates...)
						}
						what := fmt.Sprintf("%s, live %d, keys %s, time %d, overflow %v", name, live, keys, bad, overflow)
						if overflow {
							require.ErrorIs(t, src.Err(), persist.ErrOverflow, what)
							if live == 0 && name != "a time each" {
								continue // not promised
							}
						} else {
							require.ErrorIs(t, src.Err(), errFussy, what)
						}
						require.ErrorContains(t, src.Err(), fmt.Sprintf("at time %d", bad), what)
						require.Equal(t, frontier.At(bad), src.Probe().Frontier(), what)
						require.Len(t, got, 2*int(bad), what)
					}
				}
			}
		}
	}
}

// A batch of one time is sorted and added up where it lies: a time may have any number of
// updates, whatever the bounds of a batch are.
func TestOneTimeNeedsNoRoom(t *testing.T) {
	const rounds, each = 100, 1000
	s := newStream(t)
	src := source.NewBatches(s.ctx, s.read)
	out := src.Out()
	for i := range rounds {
		updates := make([]update, each)
		for k := range updates {
			updates[k] = at("key", "1", 1, int64(1-2*(i%2)))
		}
		s.append(updates...)
	}
	s.append(at("last", "1", 1, 1))
	s.seal(1)
	require.Empty(t, (<-out).(batch).Updates, "all was taken in")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.seal(2)
	require.Equal(t, []update{at("last", "1", 1, 1)}, (<-out).(batch).Updates)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(rounds*each*4), "bytes, of %d updates", rounds*each)
}

// A consumer that keeps keys keeps no values, though the stream stores both side by side: the
// keys of a batch lie in memory of their own, one after the other.
func TestKeysDoNotKeepValues(t *testing.T) {
	const rows, size = 64, 64 << 10
	for name, live := range map[string]bool{"in the snapshot": false, "live": true} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			var src *source.BatchSource[string, string]
			if live {
				src = source.NewBatches(s.ctx, s.read)
			}
			for i := range rows {
				s.append(update{Key: fmt.Sprintf("key-%06d", i), Val: strings.Repeat("v", size), Time: uint64(i % 4), Diff: 1})
			}
			if !live {
				src = source.NewBatches(s.ctx, s.read)
			}
			s.finish()
			var at []uintptr
			for b := range all(src) {
				for _, u := range b.Updates {
					at = append(at, uintptr(unsafe.Pointer(unsafe.StringData(u.Key))))
				}
			}
			require.Len(t, at, rows)
			blocks := 1
			for i := 1; i < rows; i++ {
				if at[i] < at[i-1] || at[i]-at[i-1] > size/2 {
					blocks++
				}
			}
			require.Less(t, blocks, rows/4)
		})
	}
}

// A batch that is slow to decode does not hold up the end of its source.
func TestDecodingEndsWithItsContext(t *testing.T) {
	const rows = 5000
	for name, order := range map[string]string{"stored": "write seal read", "in the snapshot": "write read seal", "live": "read write seal"} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			ctx, cancel := context.WithCancel(s.ctx)
			decoded := 0
			slow := codec.Func("string", codec.String.Append, func(src []byte) (string, error) {
				if decoded++; decoded == rows/5 {
					cancel()
				}
				return string(src), nil
			})
			_, read, err := persist.CreateOrLoad(s.ctx, s.client, s.read.StreamName(), slow, codec.String)
			require.NoError(t, err)
			var src *source.BatchSource[string, string]
			for _, step := range strings.Fields(order) {
				switch step {
				case "write":
					updates := make([]update, rows)
					for i := range updates {
						updates[i] = at(fmt.Sprint(i), "1", 1, 1)
					}
					s.append(updates...)
				case "seal":
					s.seal(2)
				case "read":
					src = source.NewBatches(ctx, read)
					src.Out()
				}
			}
			require.Empty(t, slices.Collect(all(src)))
			require.ErrorIs(t, src.Err(), context.Canceled)
			require.Less(t, decoded, rows/5+300)
		})
	}
}

// failing is a log that does not return from reads.
type failing struct {
	storage.Log
	fail atomic.Pointer[func()]
}

func (f *failing) Read(ctx context.Context, after storage.SeqNo) iter.Seq2[storage.Entry, error] {
	if fail := f.fail.Load(); fail != nil {
		(*fail)()
	}
	return f.Log.Read(ctx, after)
}

// A storage that panics or ends its goroutine while a source listens ends the source, not the
// process, and not in silence.
func TestStorageThatDoesNotReturn(t *testing.T) {
	for name, fail := range map[string]func(){
		"panic": func() { panic("no") },
		"exit":  runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			place := mem.NewPlace("here")
			lock := storage.LockInfo{}
			log, err := place.OpenLog(lock)
			require.NoError(t, err)
			blob, err := place.OpenBlob(lock)
			require.NoError(t, err)
			bad := &failing{Log: log}
			client, err := persist.Start(ctx, bad, blob, persist.Config{ListenerWindowBytes: 1})
			require.NoError(t, err)
			defer func() { require.NoError(t, client.Stop()) }()
			write, read, err := persist.CreateOrLoad(ctx, client, "quakes", codec.String, codec.String)
			require.NoError(t, err)
			src := source.NewBatches(ctx, read)
			bad.fail.Store(&fail)
			for i := range uint64(10) {
				_, err := write.Write(ctx, []update{at("a", "1", i, 1)}).Wait(ctx)
				require.NoError(t, err)
			}
			require.Empty(t, slices.Collect(all(src)))
			require.ErrorIs(t, src.Err(), operators.ErrPanic)
		})
	}
}

// BenchmarkLive reads a stream as it is written: 100 updates to a seal, to times up to three
// seals ahead.
func BenchmarkLive(b *testing.B) {
	const each = 100
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, stop := openStream(ctx, b)
	defer stop()
	src := source.NewBatches(ctx, s.read)
	out := src.Out()
	updates := make([]update, each)
	b.ReportAllocs()
	for now := uint64(0); b.Loop(); now++ {
		for i := range updates {
			updates[i] = update{Key: fmt.Sprintf("station-%06d", i*7919%1000), Val: "21.5 degrees, wind from the west", Time: now + uint64(i%4), Diff: 1}
		}
		s.append(updates...)
		s.seal(now + 1)
		<-out
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/each, "ns/update")
}
