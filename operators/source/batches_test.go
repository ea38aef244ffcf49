package source_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/operators"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

func all(src *source.BatchSource[string, string]) iter.Seq[batch] {
	return func(yield func(batch) bool) {
		for e := range src.Out() {
			if !yield(e.(batch)) {
				return
			}
		}
	}
}

func TestBatchesFollowSeals(t *testing.T) {
	s := newStream(t)
	s.append(at("a", "1", 1, 1), at("b", "1", 3, 1), at("a", "1", 1, 1), at("c", "1", 0, 1))
	s.append(at("c", "1", 0, -1))
	s.seal(2)
	src := source.NewBatches(s.ctx, s.read)
	out := src.Out()
	require.Equal(t, batch{
		Description: frontier.Description{Upper: frontier.At(2)},
		Updates:     []update{at("a", "1", 1, 2)},
	}, <-out, "consolidated")
	require.NoError(t, src.Probe().Wait(s.ctx, 2))

	s.append(at("d", "1", 4, 1), at("a", "2", 2, 1), at("b", "1", 3, 2))
	s.seal(4)
	require.Equal(t, batch{
		Description: frontier.Description{Lower: frontier.At(2), Upper: frontier.At(4)},
		Updates:     []update{at("a", "2", 2, 1), at("b", "1", 3, 3)},
	}, <-out, "with what the snapshot had of it")

	s.seal(4)
	s.finish()
	require.Equal(t, batch{
		Description: frontier.Description{Lower: frontier.At(4), Upper: frontier.Empty()},
		Updates:     []update{at("d", "1", 4, 1)},
	}, <-out)
	_, open := <-out
	require.False(t, open)
	<-src.Probe().Done()
	require.NoError(t, src.Err())
	require.True(t, src.Probe().Frontier().IsEmpty())
	_, open = <-src.Errs().Out()
	require.False(t, open)

	resumed := source.NewBatches(s.ctx, s.read, source.From(frontier.Empty()))
	require.Empty(t, slices.Collect(all(resumed)))
	require.True(t, resumed.Probe().Frontier().IsEmpty())
}

// Seals that come while the consumer is busy make one batch.
func TestBatchesCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := openStream(t.Context(), t)
		defer stop()
		src := source.NewBatches(s.ctx, s.read, source.MaxPendingBytes(5000))
		out := src.Out()
		for i := range uint64(1000) {
			s.append(at("a", "1", i, 1))
			s.seal(i + 1)
			synctest.Wait()
		}
		s.finish()
		var descriptions []string
		updates := 0
		for e := range out {
			descriptions = append(descriptions, e.(batch).String())
			updates += len(e.(batch).Updates)
			synctest.Wait()
		}
		require.Equal(t, 1000, updates)
		require.Equal(t, "[{0}, {1}) since {0}", descriptions[0])
		// As much as may be pending is one batch, and what did not fit the next ones.
		require.Greater(t, len(descriptions), 3)
		require.Less(t, len(descriptions), 100)
	})
}

func TestBatchErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		opts []source.BatchOption
		want error
	}{
		"as-of before since":  {[]source.BatchOption{source.AsOf(frontier.At(4))}, persist.ErrAsOfBeforeSince},
		"resume before since": {[]source.BatchOption{source.From(frontier.At(4))}, persist.ErrAsOfBeforeSince},
		// Times 5 and before are one now.
		"resume at since":   {[]source.BatchOption{source.From(frontier.At(5))}, persist.ErrAsOfBeforeSince},
		"as-of {}":          {[]source.BatchOption{source.AsOf(frontier.Empty())}, persist.ErrInvalid},
		"resume past since": {[]source.BatchOption{source.From(frontier.At(6))}, nil},
		"as-of since":       {[]source.BatchOption{source.AsOf(frontier.At(5))}, nil},
		"both":              {[]source.BatchOption{source.AsOf(frontier.At(5)), source.From(frontier.At(4))}, persist.ErrAsOfBeforeSince},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			s.append(at("a", "1", 1, 1), at("a", "1", 6, 1))
			s.seal(8)
			_, err := s.write.AllowCompaction(s.ctx, frontier.At(5)).Wait(s.ctx)
			require.NoError(t, err)
			s.finish()
			src := source.NewBatches(s.ctx, s.read, tt.opts...)
			errs := src.Errs().Out()
			got := slices.Collect(all(src))
			if tt.want == nil {
				require.NotEmpty(t, got)
				require.NoError(t, src.Err())
				return
			}
			require.Empty(t, got)
			require.ErrorIs(t, (<-errs).(operators.Error), tt.want)
			_, open := <-errs
			require.False(t, open)
			require.ErrorIs(t, src.Err(), tt.want)
			require.ErrorIs(t, src.Probe().Wait(s.ctx, 100), tt.want)
		})
	}
}

// When what is pending does not fit, it is read when it is sealed; if compaction
// has passed it by then, that is an error and not a wrong answer.
func TestSpilledUpdatesThatCompactionHasPassed(t *testing.T) {
	s := newStream(t)
	s.seal(2)
	src := source.NewBatches(s.ctx, s.read, source.MaxPendingBytes(1))
	out := src.Out()
	<-out
	s.append(at("a", "1", 3, 1))
	s.seal(4)
	require.Len(t, (<-out).(batch).Updates, 1)
	require.NoError(t, src.Err())
	s.append(at("a", "1", 5, 1))
	_, err := s.write.AllowCompaction(s.ctx, frontier.At(5)).Wait(s.ctx)
	require.NoError(t, err)
	s.seal(6)
	_, open := <-out
	require.False(t, open)
	require.ErrorIs(t, src.Err(), persist.ErrAsOfBeforeSince)
	require.Equal(t, frontier.At(4), src.Probe().Frontier())
}

// A codec that panics or ends its goroutine while the history is read ends the source: no
// batch is emitted that misses an update, and the stream does not seem to be at its end.
func TestCodecsThatDoNotReturn(t *testing.T) {
	for name, fail := range map[string]func(){
		"panic": func() { panic("no") },
		"exit":  runtime.Goexit,
	} {
		failing := codec.Func("string",
			func(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil },
			func(src []byte) (string, error) {
				if string(src) == "z" {
					fail()
				}
				return string(src), nil
			})
		for where, write := range map[string]func(s *stream, read func()){
			"sealed":   func(s *stream, read func()) { s.append(at("z", "1", 2, 1)); s.finish(); read() },
			"unsealed": func(s *stream, read func()) { s.append(at("z", "1", 2, 1)); read(); s.finish() },
			"live":     func(s *stream, read func()) { read(); s.append(at("z", "1", 2, 1)); s.finish() },
		} {
			t.Run(name+"/"+where, func(t *testing.T) {
				s := newStream(t)
				s.append(at("a", "1", 0, 1), at("b", "1", 1, 1))
				_, read, err := persist.CreateOrLoad(s.ctx, s.client, s.read.StreamName(), failing, codec.String)
				require.NoError(t, err)
				var src *source.BatchSource[string, string]
				write(s, func() { src = source.NewBatches(s.ctx, read) })
				require.Empty(t, slices.Collect(all(src)))
				require.ErrorIs(t, src.Err(), operators.ErrPanic)
			})
		}
	}
}

// The last of all times has no time after it to cut at.
func TestManyUpdatesAtTheLastTime(t *testing.T) {
	const n = 20
	for name, opts := range map[string][]source.BatchOption{
		"written there": nil,
		"as of it":      {source.AsOf(frontier.At(math.MaxUint64))},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			for i := range uint64(n) {
				u := at(fmt.Sprint(i), "1", i, 1)
				if opts == nil {
					u.Time = math.MaxUint64
				}
				s.append(u)
			}
			s.finish()
			lower, got := frontier.Antichain{}, 0
			for b := range all(source.NewBatches(s.ctx, s.read, append(opts, source.MaxBatchUpdates(3))...)) {
				require.Equal(t, lower, b.Description.Lower)
				require.True(t, lower.LessThan(b.Description.Upper), "%s", b.Description)
				lower = b.Description.Upper
				got += len(b.Updates)
			}
			require.Equal(t, n, got)
			require.Equal(t, frontier.Empty(), lower)
		})
	}
}

// After a spill, updates that fit are held in memory again.
func TestSpillIsNotForEver(t *testing.T) {
	s := newStream(t)
	src := source.NewBatches(s.ctx, s.read, source.MaxPendingBytes(1000))
	out := src.Out()
	s.append(at(string(make([]byte, 2000)), "1", 3, 1))
	s.seal(4)
	require.Len(t, (<-out).(batch).Updates, 1)
	s.append(at("a", "1", 5, 1))
	_, err := s.write.AllowCompaction(s.ctx, frontier.At(5)).Wait(s.ctx)
	require.NoError(t, err)
	s.seal(6)
	require.Len(t, (<-out).(batch).Updates, 1)
	s.finish()
	<-out
}

// Random histories, cut by restarts and small limits: the batches follow each other
// without a gap, each is complete and consolidated, and together they are the
// stream.
func TestBatchesAreTheStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		s, stop := openStream(ctx, t)
		defer stop()

		asOf := rapid.Uint64Range(0, 12).Draw(t, "as-of")
		pendingBytes := rapid.SampledFrom([]int64{1, 400, 0}).Draw(t, "pending")
		batchUpdates := rapid.SampledFrom([]int{1, 3, 0}).Draw(t, "updates")
		batchBytes := rapid.SampledFrom([]int64{1, 60, 0}).Draw(t, "bytes")
		open := func(lower frontier.Antichain) (*source.BatchSource[string, string], context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			return source.NewBatches(ctx, s.read, source.AsOf(frontier.At(asOf)), source.From(lower),
				source.MaxPendingBytes(pendingBytes), source.MaxBatchUpdates(batchUpdates), source.MaxBatchBytes(batchBytes)), cancel
		}

		want := map[update]int64{}
		got := map[update]int64{}
		lower, upper := frontier.At(0), uint64(0)
		take := func(b batch) {
			if b.Lower != lower || !b.Lower.LessThan(b.Upper) {
				t.Fatalf("batch %s after %s", b.Description, lower)
			}
			if batchBytes > 0 {
				requireBounded(t, b, int(batchBytes))
			}
			seen := map[update]bool{}
			for _, u := range b.Updates {
				row := at(u.Key, u.Val, u.Time, 0)
				if !b.Contains(u.Time) || u.Diff == 0 || seen[row] {
					t.Fatalf("%v in %s: %v", u, b.Description, b.Updates)
				}
				seen[row] = true
				if got[row] += u.Diff; got[row] == 0 {
					delete(got, row)
				}
			}
			lower = b.Upper
		}

		src, cancelSource := open(lower)
		defer func() { cancelSource() }()
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				var updates []update
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					u := at(rapid.SampledFrom([]string{"a", "b", "ba"}).Draw(t, "key"), rapid.SampledFrom([]string{"", "a"}).Draw(t, "val"),
						upper+rapid.Uint64Range(0, 6).Draw(t, "time"), rapid.Int64Range(-1, 2).Draw(t, "diff"))
					updates = append(updates, u)
					row := at(u.Key, u.Val, max(u.Time, asOf), 0)
					if want[row] += u.Diff; want[row] == 0 {
						delete(want, row)
					}
				}
				s.append(updates...)
			},
			"seal": func(t *rapid.T) {
				upper += rapid.Uint64Range(0, 4).Draw(t, "by")
				s.seal(upper)
			},
			"maintain": func(t *rapid.T) {
				require.NoError(t, s.client.Maintain(ctx))
			},
			"compact": func(t *rapid.T) {
				// As far as a resumption allows.
				to := asOf
				if elem, _ := lower.Elem(); elem > asOf+1 {
					to = elem - 1
				}
				_, err := s.write.AllowCompaction(ctx, frontier.At(to)).Wait(ctx)
				require.NoError(t, err)
			},
			"take": func(t *rapid.T) {
				if lower.LessThan(frontier.At(upper)) && asOf < upper {
					take((<-src.Out()).(batch))
				}
			},
			"restart": func(t *rapid.T) {
				cancelSource()
				src, cancelSource = open(lower)
			},
		})
		s.finish()
		for b := range all(src) {
			take(b)
		}
		require.NoError(t, src.Err())
		require.True(t, lower.IsEmpty())
		require.Equal(t, want, got)
	})
}
