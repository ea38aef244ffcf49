package source_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/operators/source"
	"github.com/tidemark-go/tidemark/persist"
	"github.com/tidemark-go/tidemark/persist/codec"
)

// Every combination of since, as-of, from and upper: a source is refused if and only if
// what it would emit, added to what a correct sink has before from, is not the contents of
// the stream as of some time from the as-of on.
func TestResumeIsExactOrRefused(t *testing.T) {
	const last = 3
	frontiers := []frontier.Antichain{frontier.Empty()}
	for at := range uint64(last + 1) {
		frontiers = append(frontiers, frontier.At(at))
	}
	ctx := testContext(t)
	client, err := mem.NewRegistry().Runtime(ctx, persist.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Stop()) })

	type attempt struct {
		asOf, from frontier.Antichain
		src        *source.BatchSource[string, string]
	}
	accepted := 0
	for _, since := range frontiers {
		for _, upper := range frontiers {
			// One update at each time, and later one more wherever that is possible: so whatever
			// is emitted twice, too late or not at all shows.
			write, read, err := persist.CreateOrLoad(ctx, client, fmt.Sprint(since, upper), codec.String, codec.String)
			require.NoError(t, err)
			s := &stream{ctx, t, client, write, read}
			var before, after []update
			for at := range uint64(last + 1) {
				before = append(before, update{Key: fmt.Sprint("before ", at), Time: at, Diff: 1})
				if upper.Admits(at) {
					after = append(after, update{Key: fmt.Sprint("after ", at), Time: at, Diff: 1})
				}
			}
			s.append(before...)
			_, err = write.AllowCompaction(ctx, since).Wait(ctx)
			require.NoError(t, err)
			if to, ok := upper.Elem(); ok {
				s.seal(to)
			} else {
				s.finish()
			}

			var attempts []attempt
			for _, asOf := range frontiers {
				for _, from := range frontiers {
					attempts = append(attempts, attempt{asOf, from, source.NewBatches(ctx, read, source.AsOf(asOf), source.From(from))})
				}
			}
			if !upper.IsEmpty() {
				s.append(after...)
				s.finish()
			}
			for _, a := range attempts {
				name := fmt.Sprintf("since %s, as-of %s, from %s, upper %s", since, a.asOf, a.from, upper)
				var sink, would []update
				for _, u := range before {
					if !a.from.Admits(u.Time) {
						sink = append(sink, u)
					}
					if u.Time = a.asOf.Advance(since.Advance(u.Time)); since.IsEmpty() {
						u.Time = max(u.Time, last+1) // only the sum of everything is exact
					}
					if a.from.Admits(u.Time) {
						would = append(would, u)
					}
				}
				for _, u := range after {
					if u.Time = a.asOf.Advance(u.Time); a.from.Admits(u.Time) {
						would = append(would, u)
					}
				}
				exact := !a.asOf.IsEmpty()
				for at := range uint64(last + 2) {
					if a.asOf.Admits(at) && at <= last {
						exact = exact && slices.Equal(asOf(at, before, after), asOf(at, sink, would))
					}
				}

				var got []update
				for b := range all(a.src) {
					got = append(got, b.Updates...)
					require.True(t, a.asOf.LessThan(b.Upper), "%s: %s is cut at or before the as-of", name, b.Description)
				}
				if !exact {
					require.Empty(t, got, name)
					err := a.src.Err()
					require.True(t, matches(err, persist.ErrAsOfBeforeSince) || matches(err, persist.ErrInvalid), "%s: %v", name, err)
					continue
				}
				require.NoError(t, a.src.Err(), name)
				require.ElementsMatch(t, would, got, name)
				accepted++
			}
		}
	}
	require.Greater(t, accepted, 100)
}

// asOf returns the keys that are there as of a time, sorted.
func asOf(t uint64, parts ...[]update) (keys []string) {
	for _, u := range slices.Concat(parts...) {
		if u.Time <= t {
			keys = append(keys, u.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

func matches(err, kind error) bool { return err != nil && errors.Is(err, kind) }

// What a refusal says: the frontiers in question, and what to do.
func TestRefusedResumptions(t *testing.T) {
	for name, tt := range map[string]struct {
		since, upper uint64
		asOf, from   frontier.Antichain
		want         error
		says         []string
	}{
		"as of the since, which is the sink's upper": {5, 8, frontier.At(5), frontier.At(5), persist.ErrAsOfBeforeSince, []string{"{5}", "empty sink"}},
		"as of a time past the sink's upper":         {0, 8, frontier.At(7), frontier.At(5), persist.ErrInvalid, []string{"{7}", "{5}", "leave source.AsOf away"}},
		"the since has passed the sink":              {5, 8, frontier.At(0), frontier.At(5), persist.ErrAsOfBeforeSince, []string{"{5}", "empty sink"}},
		"the input was begun again":                  {0, 8, frontier.At(0), frontier.At(1003), persist.ErrInvalid, []string{"{1003}", "{8}", "begun again", "open a writer first"}},
		"a finished sink of an input that is not":    {0, 8, frontier.At(0), frontier.Empty(), persist.ErrInvalid, []string{"{}", "{8}", "begun again"}},
		"an input that is empty":                     {0, 0, frontier.At(0), frontier.At(1), persist.ErrInvalid, []string{"{1}", "{0}", "begun again"}},
		"as of no time":                              {0, 8, frontier.Empty(), frontier.At(0), persist.ErrInvalid, []string{"{}"}},
		"as of a time before the since":              {5, 8, frontier.At(4), frontier.At(0), persist.ErrAsOfBeforeSince, []string{"{4}", "{5}", "source.AsOf"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			s.append(at("a", "1", 1, 1))
			s.seal(tt.upper)
			_, err := s.write.AllowCompaction(s.ctx, frontier.At(tt.since)).Wait(s.ctx)
			require.NoError(t, err)
			src := source.NewBatches(s.ctx, s.read, source.AsOf(tt.asOf), source.From(tt.from))
			s.finish() // or a source that is not refused waits for what will not come
			require.Empty(t, slices.Collect(all(src)))
			require.ErrorIs(t, src.Err(), tt.want)
			for _, part := range append(tt.says, `"quakes"`) {
				require.ErrorContains(t, src.Err(), part)
			}
		})
	}
}

// A sum of a sealed time that no int64 holds stays an error there, whatever is written later:
// only a source that is begun again as of the retraction gets past it, and the error says so.
func TestSealedSumThatOverflows(t *testing.T) {
	write := func(s *stream) {
		s.append(at("a", "1", 1, math.MaxInt64), at("a", "1", 1, 1))
		s.seal(2)
		s.append(at("a", "1", 2, -5))
		s.finish()
	}
	for name, built := range map[string]bool{"stored": false, "live": true} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			if !built {
				write(s)
			}
			src := source.NewBatches(s.ctx, s.read)
			if built {
				write(s)
			}
			require.Empty(t, slices.Collect(all(src)))
			require.ErrorIs(t, src.Err(), persist.ErrOverflow)
			require.ErrorContains(t, src.Err(), "begin again with an empty sink, as of the time of the retraction or later (source.AsOf)")

			again := slices.Collect(all(source.NewBatches(s.ctx, s.read, source.AsOf(frontier.At(2)))))
			require.Len(t, again, 1)
			require.Equal(t, []update{at("a", "1", 2, math.MaxInt64-4)}, again[0].Updates)
		})
	}
}

// Nothing is emitted before the upper has passed the as-of: a sink that is sealed to a time
// at or before the as-of would be one that cannot be told from another's.
func TestAsOfInAdvanceOfTheUpper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := openStream(t.Context(), t)
		defer stop()
		s.append(at("a", "1", 1, 1), at("b", "1", 20, 1))
		s.seal(5)
		src := source.NewBatches(s.ctx, s.read, source.AsOf(frontier.At(10)))
		out := src.Out()
		for _, upper := range []uint64{6, 10} {
			s.append(at("c", "1", upper, 1))
			s.seal(upper)
			synctest.Wait()
			select {
			case b := <-out:
				require.Fail(t, "too early", "%v", b)
			default:
			}
		}
		s.seal(11)
		require.Equal(t, batch{
			Description: frontier.Description{Upper: frontier.At(11), Since: frontier.At(10)},
			Updates:     []update{at("a", "1", 10, 1), at("c", "1", 10, 2)},
		}, <-out)
		s.finish()
		require.Equal(t, []update{at("b", "1", 20, 1)}, (<-out).(batch).Updates)
	})
}
